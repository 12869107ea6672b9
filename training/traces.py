"""Makes the tiny traces again: `python -m training.traces --out training/traces`.

Four runs of one small T5 on a toy language (`toy_language.py`): three seeds, and one whose targets change places, so that there
is nothing to align. Twelve moments of each are kept, step 0 among them, with prompts that no run was trained on, gold links of
their words, and minimal pairs that differ in one noun or name. The files are a function of this script on one machine; another
processor may round otherwise.
"""

import argparse
import json
import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from interp.text.translation_pairs import TranslationPair
from training.clock import BudgetClock
from training.recipe import Recipe
from training.toy_language import Sentence, sentences
from training.train import train

STEPS = (0, 16, 24, 36, 54, 81, 122, 182, 273, 410, 615, 922)
"""What is kept: twelve moments, a factor of 1.5 apart."""

RECIPE = Recipe(
    d_model=64,
    d_kv=12,
    d_ff=80,
    layers=2,
    heads=4,
    vocabulary=288,
    unigram_pieces=60,
    tokens_per_batch=1024,
    peak_rate=0.03,
    warmup_steps=60,
    dropout=0.0,
    label_smoothing=0.0,
    input_noise=0.0,
    repeats=(),
    bias_scale=2.0,
    precision="float32",
)
RUNS = {
    "seed-0": RECIPE,
    "seed-1": replace(RECIPE, seed=1),
    "seed-2": replace(RECIPE, seed=2),
    "shuffled": replace(RECIPE, shuffled=True),
}
TRAINED, ASKED = 4000, 24
LANGUAGES = ("de", "fr")
"""Sentences to train on, and sentences of the prompts, each into both languages."""


def corpus() -> tuple[list[TranslationPair], list[Sentence]]:
    """Pairs to train on, and sentences that are not among them, for the prompts."""
    drawn = sentences(TRAINED + ASKED, 0)
    return [one.pair(language) for one in drawn[ASKED:] for language in ("de", "fr")], drawn[:ASKED]


def make_run(name: str, out: Path, pairs: list[TranslationPair]) -> None:
    """Trains one run and keeps its moments in `out/NAME/step-N`."""
    recipe = RUNS[name]
    with tempfile.TemporaryDirectory() as desk:
        folder = Path(desk)
        for step in STEPS[1:]:
            run = train(pairs, recipe, BudgetClock(STEPS[-1]), folder, stop_after=step, keep_from=STEPS[-1])
            if step != STEPS[-1]:
                run.keep(folder / f"step-{step}")
        (out / name).mkdir(parents=True)
        for step in STEPS:
            shutil.copytree(folder / f"step-{step}", out / name / f"step-{step}")
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    print(name, [line["held_out"] for line in lines if line["held_out"] is not None], flush=True)


def write_prompts(out: Path, asked: list[Sentence]) -> None:
    """Writes `prompts.jsonl`, and `prompts.gold` with a line of word links for each of its prompts."""
    both = [(one, language) for one in asked for language in ("de", "fr")]
    prompts = [
        {"id": f"{language}-{number // 2 + 1}", "source": one.pair(language).source, "target": one.text(language)}
        for number, (one, language) in enumerate(both)
    ]
    text = "".join(json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in prompts)
    (out / "prompts.jsonl").write_text(text, encoding="utf-8")
    (out / "prompts.gold").write_text("".join(one.gold(language) + "\n" for one, language in both), encoding="utf-8")


def write_pairs(out: Path, asked: list[Sentence]) -> None:
    """Writes `pairs.jsonl`: every sentence beside one in which a noun or name is another, two into German, two into French."""
    draw, lines = random.Random(0), []
    for number, one in enumerate(asked):
        language, other = LANGUAGES[number // 2 % len(LANGUAGES)], draw.choice(list(one.swaps()))
        clean, corrupted = one.pair(language), other.pair(language)
        pair = {
            "id": f"{language}-{number + 1}",
            "kind": "noun or name",
            "clean": clean.source,
            "corrupted": corrupted.source,
        }
        lines.append(pair | {"clean_target": one.text(language), "corrupted_target": other.text(language)})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (out / "pairs.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(prog="python -m training.traces", description="Make the tiny traces again.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, new or empty")
    parser.add_argument("--only", choices=RUNS, help="one run, without the prompts")
    given = parser.parse_args()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    pairs, asked = corpus()
    for name in [given.only] if given.only else RUNS:
        make_run(name, given.out, pairs)
    if not given.only:
        write_prompts(given.out, asked)
        write_pairs(given.out, asked)


if __name__ == "__main__":
    main()
