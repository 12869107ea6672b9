"""Trains a T5 on translation pairs: `python -m training.train --train TRAIN.tsv.gz --runs FOLDER (--minutes M | --steps N)`.

From fresh weights, or from a checkpoint, grown (`--warm-start`) or as it is (`--fine-tune`). Batches come from one epoch after
another, step sizes from the recipe's schedule, and every minute a checkpoint from which the same command goes on. With `--steps`
the outcome is a function of recipe and pairs; with `--minutes` the schedule follows the seconds of computing done.
`torchrun --nproc-per-node N -m training.train ...` shares every batch among N processes.
"""

import argparse
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair, read_pairs
from training.board import Board
from training.checkpoints import is_kept
from training.clock import BudgetClock
from training.data import Example, collate, epoch_batches
from training.objective import batch_loss
from training.prepare import Start, prepare
from training.recipe import Recipe
from training.run import Run
from training.sizes import SHAPE, SIZES, size_settings
from training.tasks import Encoder, Mixture
from training.workers import Workers, join

HELD_OUT_EVERY = 500
LOG_EVERY = 50
HELD_OUT_LOG_EVERY = 500
CHECKPOINT_SECONDS = 60.0


def split_pairs(
    pairs: Sequence[TranslationPair],
) -> tuple[tuple[TranslationPair, ...], tuple[TranslationPair, ...]]:
    """Pairs to train on, and every 500th pair, held out for the loss curve."""
    training = tuple(pair for index, pair in enumerate(pairs, 1) if index % HELD_OUT_EVERY)
    return training, tuple(pairs[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])


def shuffled_pairs(pairs: Sequence[TranslationPair], seed: int) -> tuple[TranslationPair, ...]:
    """`pairs` with the targets of each corpus and language in another order, a function of `seed`."""
    alike: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        alike.setdefault((pair.corpus, pair.language), []).append(pair.target)
    for (corpus, language), targets in alike.items():
        random.Random(f"shuffled-{seed}-{corpus}-{language}").shuffle(targets)
    return tuple(replace(pair, target=alike[pair.corpus, pair.language].pop()) for pair in pairs)


def batches(mixture: Mixture, run: Run) -> Iterator[tuple[Example, ...]]:
    """Batches from where `run` stands, endlessly; `run.epoch` and `run.batch` move along."""
    for epoch in itertools.count(run.epoch):
        seen = run.batch if epoch == run.epoch else 0
        every = epoch_batches(mixture.epoch(epoch), run.recipe.tokens_per_batch, run.recipe.seed, epoch)
        for index, batch in enumerate(every):
            if index >= seen:
                run.epoch, run.batch = epoch, index + 1
                yield batch


def held_out_losses(run: Run, sets: Mapping[str, Sequence[Example]]) -> dict[str, float]:
    """Mean negative log-likelihood for each target token of each of `sets`, by name, without smoothing or dropout."""
    losses = {}
    run.model.eval()
    with torch.no_grad():
        for name, examples in sets.items():
            every = epoch_batches([examples], run.recipe.tokens_per_batch, 0, 0)
            total = sum(float(batch_loss(run.model, collate(batch, run.device), 0.0)) for batch in every)
            losses[name] = total / sum(len(example.target) for example in examples)
    run.model.train()
    return losses


def train(
    pairs: Sequence[TranslationPair],
    recipe: Recipe,
    clock: BudgetClock,
    folder: Path,
    start: Start | None = None,
    workers: Workers | None = None,
    stop_after: int | None = None,
    keep_from: int = 0,
    board: bool = False,
) -> Run:
    """Trains in `folder` until the budget is spent, going on from the folder's checkpoint where there is one.

    Args:
        pairs: translation pairs.
        recipe: hyperparameters.
        clock: the budget.
        folder: where the run's files are kept.
        start: what to start from in place of fresh weights.
        workers: the processes of the run; this one alone if None.
        stop_after: leave off after so many steps in all, with a checkpoint.
        keep_from: keep the weights after 0 steps, after this many, after every doubling of them and at the end, each in a folder
            `step-N` of the run's; none if 0.
        board: whether the log is written as TensorBoard event files too, in the folder `board` of the run's.

    Raises:
        InputError: if the folder holds a run of another recipe or on other pairs.
    """
    run = prepare(pairs, recipe, clock, folder, start, workers or Workers())
    if board and run.workers.first:
        run.board = Board(folder / "board", clock.taken)
    training, held = split_pairs(pairs)
    if run.recipe.shuffled:
        training = shuffled_pairs(training, run.recipe.seed)
    encoder = Encoder(AutoTokenizer.from_pretrained(folder / "tokenizer"))
    held_out = Mixture(held, run.recipe, encoder).held_out()
    if clock.taken == 0 and not (folder / "checkpoint.pt").exists():
        _measure(run, held_out)
        if keep_from:
            run.keep(folder / "step-0")
    saved = clock.spent
    stream = batches(Mixture(training, run.recipe, encoder), run)
    while not (clock.over or clock.taken == stop_after):
        run.step(*itertools.islice(stream, run.recipe.accumulation))
        if clock.taken % LOG_EVERY == 0 or clock.over:
            often = clock.taken % HELD_OUT_LOG_EVERY == 0 or clock.over
            _measure(run, held_out if often else {})
        if is_kept(clock.taken, keep_from) or (keep_from and clock.over):
            run.keep(folder / f"step-{clock.taken}")
        if clock.spent - saved > CHECKPOINT_SECONDS or clock.over or clock.taken == stop_after:
            run.save()
            saved = clock.spent
    if run.board is not None:
        run.board.close()
    return run


def _measure(run: Run, sets: Mapping[str, Sequence[Example]]) -> None:
    run.log(held_out_losses(run, sets) if run.workers.first else {})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train a T5 on translation pairs.")
    parser.add_argument("--train", type=Path, required=True, help="pair file to train on (TSV, .gz allowed)")
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder of the run; goes on where it holds a checkpoint"
    )
    starts = parser.add_mutually_exclusive_group()
    starts.add_argument(
        "--warm-start", type=Path, metavar="FOLDER", help="start from a checkpoint, grown to the recipe"
    )
    starts.add_argument(
        "--fine-tune", type=Path, metavar="FOLDER", help="start from any T5, its tokenizer kept as it is"
    )
    starts.add_argument("--size", choices=SIZES, help="shape of fresh weights (default: the recipe's)")
    parser.add_argument("--minutes", type=float, help="budget in minutes of computing")
    parser.add_argument("--steps", type=int, help="budget in steps")
    parser.add_argument("--threads", type=int, help="CPU threads of each process")
    parser.add_argument(
        "--keep-from",
        type=int,
        default=0,
        metavar="N",
        help="keep the weights after 0, N, 2N, 4N … steps and at the end, in folders step-N",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a field of the recipe, its value in JSON"
    )
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard event files too")
    return parser


def _start(given: argparse.Namespace) -> Start | None:
    if given.fine_tune is None:
        return None if given.warm_start is None else Start(given.warm_start)
    shaped = [setting for setting in given.set if setting.partition("=")[0] in SHAPE]
    if shaped:
        raise InputError(f"The model that is fine-tuned decides its shape. Leave out --set {shaped[0]}.")
    return Start(given.fine_tune, as_it_is=True)


def main() -> None:
    """Reads the command line and trains."""
    parser = _parser()
    given = parser.parse_args()
    transformers_logging.disable_progress_bar()
    if given.threads:
        torch.set_num_threads(given.threads)
    try:
        clock = BudgetClock(given.steps, None if given.minutes is None else 60.0 * given.minutes)
        recipe = Recipe.of([*(size_settings(given.size) if given.size else ()), *given.set])
        train(
            read_pairs(given.train),
            recipe,
            clock,
            given.runs,
            _start(given),
            join(),
            keep_from=given.keep_from,
            board=given.tensorboard,
        )
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
