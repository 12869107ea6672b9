"""A run made ready: its folder, tokenizer, model and optimizer, new or from where its checkpoint left off.

Files of a run's folder that never change once written: `recipe.json`, `origin.json`, `config.json` (the model's shape, as
transformers reads it) and `tokenizer/`.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration, T5Tokenizer

from interp.errors import InputError
from interp.output_files import part_of, write_whole
from interp.text.translation_pairs import TranslationPair
from training.checkpoints import read_recipe
from training.clock import BudgetClock
from training.objective import use_byte_dropout
from training.optimizer import make_optimizer
from training.origin import Origin, origin
from training.recipe import LISTED_WORDS, SENTINELS, Recipe
from training.run import Run
from training.sizes import shape_of
from training.tokenizer import add_words, build, pieces_of, train_pieces
from training.warmstart import fresh_model, grown_model, tuned_config, tuned_model
from training.workers import Workers


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint folder to start from.

    Attributes:
        folder: where it is.
        as_it_is: whether its shape and tokenizer stay as they are (fine-tuning), in place of growing to the recipe's.
    """

    folder: Path
    as_it_is: bool = False


def make_tokenizer(pairs: Sequence[TranslationPair], recipe: Recipe, start: Path | None) -> T5Tokenizer:
    """The run's tokenizer: fitted to the pairs, or the starting checkpoint's; either way with frequent words added.

    Raises:
        InputError: if the pairs have too few words to fill the recipe's vocabulary, or the start has more pieces than that.
    """
    texts = [text for pair in pairs for text in (pair.sentence, pair.target)]
    texts += sorted({pair.prefix.rstrip() for pair in pairs})
    pieces = train_pieces(texts, recipe.unigram_pieces) if start is None else pieces_of(start)
    tokenizer = build(add_words(pieces, texts, recipe.vocabulary - SENTINELS, LISTED_WORDS))
    if len(tokenizer) != recipe.vocabulary:
        raise InputError(
            f"The pairs give a vocabulary of {len(tokenizer)}, sentinels included, but the recipe asks for {recipe.vocabulary}. "
            f"Set vocabulary={len(tokenizer)}."
        )
    return tokenizer


def prepare(
    pairs: Sequence[TranslationPair],
    recipe: Recipe,
    clock: BudgetClock,
    folder: Path,
    start: Start | None,
    workers: Workers,
) -> Run:
    """The run in `folder`, at its checkpoint where there is one, else before its first step.

    Args:
        pairs: translation pairs.
        recipe: hyperparameters; of a start that stays as it is, the shape replaces the recipe's.
        clock: the budget.
        folder: where the run's files are; made if absent.
        start: what to start from; fresh weights if None.
        workers: the processes of the run.

    Raises:
        InputError: if the folder holds a run of another recipe or on other pairs, or the start does not suit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    resumes = (folder / "checkpoint.pt").exists()
    if start is not None and start.as_it_is:
        # A run that goes on needs its start no more, and it may be gone.
        config = tuned_config(folder if resumes else start.folder, recipe.dropout)
        recipe = replace(recipe, **shape_of(config))
    else:
        config = recipe.config()
    _check(folder, recipe, pairs, resumes)
    workers.wait()  # The first writes the folder when all have looked what it held, and they read it when all is written.
    if workers.first and not resumes:
        _write(folder, recipe, config, pairs, start)
    workers.wait()
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    torch.manual_seed(recipe.seed)
    if resumes or start is None:
        model = fresh_model(config, recipe.tied)
    elif start.as_it_is:
        model = tuned_model(config, start.folder)
    else:
        model = grown_model(recipe, tokenizer, start.folder)
    return _run(model, folder, recipe, clock, workers)


def _check(folder: Path, recipe: Recipe, pairs: Sequence[TranslationPair], resumes: bool) -> None:
    if (folder / "recipe.json").exists() and read_recipe(folder) != recipe:
        raise InputError(
            f"{str(folder)!r} holds a run of another recipe (see its recipe.json). Choose another folder or the same recipe."
        )
    if resumes:
        before = Origin(**json.loads((folder / "origin.json").read_text(encoding="utf-8")))
        if before.pairs_sha256 != origin(pairs, None).pairs_sha256:
            raise InputError(
                f"{str(folder)!r} holds a run on other pairs (see its origin.json). Choose another folder or the same pairs."
            )


def _write(
    folder: Path, recipe: Recipe, config: T5Config, pairs: Sequence[TranslationPair], start: Start | None
) -> None:
    where_from = origin(pairs, None if start is None else start.folder)
    for name, content in (("recipe", asdict(recipe)), ("origin", asdict(where_from))):
        write_whole(folder / f"{name}.json", f"{json.dumps(content, indent=1)}\n".encode())
    config.save_pretrained(folder)
    if not (folder / "tokenizer").exists():
        kept = start is not None and start.as_it_is
        tokenizer: PreTrainedTokenizerBase = (
            AutoTokenizer.from_pretrained(start.folder)
            if start is not None and kept
            else make_tokenizer(pairs, recipe, None if start is None else start.folder)
        )
        part = part_of(folder / "tokenizer")
        shutil.rmtree(part, ignore_errors=True)
        tokenizer.save_pretrained(part)
        part.rename(folder / "tokenizer")


def _run(model: T5ForConditionalGeneration, folder: Path, recipe: Recipe, clock: BudgetClock, workers: Workers) -> Run:
    torch.manual_seed(recipe.seed)  # Whether weights were drawn or loaded before, scales are the same.
    fresh = fresh_model(model.config, recipe.tied)
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    use_byte_dropout(model, recipe.dropout)
    if recipe.gradient_checkpointing:
        # transformers renamed the method; both take the arguments of torch's checkpointing first.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    model.train()
    optimizer, scales = make_optimizer(model, fresh, recipe)
    run = Run(folder, recipe, model, optimizer, scales, clock, workers)
    torch.manual_seed(recipe.seed + 1 + workers.rank)
    run.resume()
    return run
