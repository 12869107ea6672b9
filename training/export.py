"""From a finished run to a checkpoint folder: `python -m training.export --runs RUN --test TEST.tsv.gz --out FOLDER`.

Writes what any transformers loads (safetensors, configuration, tokenizer.json), loads it again as a reader would, scores that,
and writes the card from what was measured: what is described is what is shipped, rounding of the weights included.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import get_args

import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration
from transformers.utils import logging as transformers_logging

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair, read_pairs
from interp.text.translation_quality import prefix_swap, score_texts, translate
from training.abilities import measure
from training.averaging import Averaged, average
from training.card import EXAMPLES, Card, worst_translations
from training.checkpoints import Storage, read_recipe, write_model
from training.curve import draw, read_log
from training.origin import Origin
from training.warmstart import fresh_model

LARGEST = 18_000_000
MOST_PARAMETERS = 9_000_000
BEAMS = 4


def write_checkpoint(run: Path, folder: Path, storage: Storage, other: Averaged | None = None) -> None:
    """Writes weights, configuration and tokenizer of the run in `run` to `folder`.

    Args:
        run: a run's folder, with a checkpoint.
        folder: where to write; made if absent.
        storage: number type of the stored weights; `config.json` says float32, so that plain loading computes in float32.
        other: weights to take the mean with.

    Raises:
        InputError: if the run has no checkpoint, or `other` another shape.
    """
    if not (run / "checkpoint.pt").is_file():
        raise InputError(f"There is no checkpoint.pt in {str(run)!r}. Train first.")
    state = torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")["model"]
    recipe = read_recipe(run)
    # Runs of before they wrote one have no config.json.
    config = T5Config.from_pretrained(run) if (run / "config.json").is_file() else recipe.config()
    model = fresh_model(config, recipe.tied)
    model.load_state_dict(state)
    if other is not None:
        average(model, other)
    write_model(model, AutoTokenizer.from_pretrained(run / "tokenizer"), folder, storage)


def export(
    run: Path,
    pairs: tuple[TranslationPair, ...],
    folder: Path,
    storage: Storage,
    command: str,
    before: str = "",
    other: Averaged | None = None,
) -> Card:
    """Writes the checkpoint folder of a run, with card, loss curve and digests.

    Args:
        run: the run's folder.
        pairs: test pairs.
        folder: where to write.
        storage: number type of the stored weights.
        command: the shell command that trained the model, for the card.
        before: how the weights came to be that the run started from, for the card.
        other: weights to take the mean with.

    Raises:
        InputError: if the run started from other weights and nothing is said of them, or if the model is larger than what is
            bundled: 9 million parameters, 18 MB.
    """
    curve = read_log(run / "log.jsonl")
    start = Origin(**json.loads((run / "origin.json").read_text(encoding="utf-8")))
    if start.start_sha256 is not None and not before.strip():
        raise InputError("The run started from other weights; say in --before how they came to be, for the card.")
    if read_recipe(run).parameters() > MOST_PARAMETERS:
        raise InputError(
            f"The model has {read_recipe(run).parameters():,} parameters, but at most {MOST_PARAMETERS:,} can be bundled. Use a "
            "kept moment of the run (--keep-from) as it is."
        )
    # Before the folder is written, which may be the other's own.
    averaged = None if other is None else (other.share, digest(other.folder / "model.safetensors"))
    write_checkpoint(run, folder, storage, other)
    draw(curve, folder / "loss.svg")
    digests = tuple(
        (path.name, digest(path)) for path in sorted(folder.iterdir()) if path.suffix in {".json", ".safetensors"}
    )
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    translations = translate(model, tokenizer, [pair.source for pair in pairs], BEAMS)
    card = Card(
        recipe=read_recipe(run),
        origin=start,
        curve=curve,
        command=command,
        before=before.strip(),
        averaged=averaged,
        storage=storage,
        beams=BEAMS,
        scores=score_texts(pairs, translations),
        abilities=measure(model, tokenizer, pairs, read_recipe(run), BEAMS),
        swap=prefix_swap(model, tokenizer, pairs, BEAMS),
        examples=tuple(zip(EXAMPLES, translate(model, tokenizer, EXAMPLES, BEAMS), strict=True)),
        worst=worst_translations(pairs, translations),
        digests=digests,
    )
    (folder / "MODEL_CARD.md").write_text(card.render(), encoding="utf-8")
    write_digests(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > LARGEST:
        raise InputError(
            f"{str(folder)!r} holds {size:,} bytes, but at most {LARGEST:,} can be bundled. Store as bfloat16."
        )
    return card


def write_digests(folder: Path) -> None:
    """Writes `sha256.txt`: digest and name of every other file in `folder`."""
    lines = [f"{digest(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.name != "sha256.txt"]
    (folder / "sha256.txt").write_text("".join(lines), encoding="utf-8")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Reads the command line and exports."""
    parser = argparse.ArgumentParser(
        prog="python -m training.export", description="Export and measure a trained model."
    )
    parser.add_argument("--runs", type=Path, required=True, help="folder of the run")
    parser.add_argument("--test", type=Path, required=True, help="pair file to measure with (TSV, .gz allowed)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--storage", choices=get_args(Storage), default="bfloat16", help="number type of the weights on disk"
    )
    parser.add_argument("--command", required=True, help="the command that trained the model, for the card")
    parser.add_argument("--before", default="", help="how the weights came to be that it started from, for the card")
    parser.add_argument("--mean-with", type=Path, help="checkpoint folder to take the mean of the weights with")
    parser.add_argument("--mean-share", type=float, default=0.5, help="its share in that mean")
    given = parser.parse_args()
    transformers_logging.disable_progress_bar()
    try:
        other = None if given.mean_with is None else Averaged(given.mean_with, given.mean_share)
        pairs = read_pairs(given.test)
        card = export(given.runs, pairs, given.out, given.storage, given.command, given.before, other)
    except InputError as error:
        parser.error(str(error))
    for score in card.scores:
        print(
            f"{score.corpus} {score.language}: BLEU {score.bleu:.1f}, chrF {score.chrf:.1f} ({score.sentences} sentences)"
        )
    print(
        f"Other prefix, other language: {card.swap.switched:.2%} (classifier errs on {card.swap.reference_error:.2%})"
    )


if __name__ == "__main__":
    main()
