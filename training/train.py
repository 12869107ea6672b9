"""Trains the bundled model: `python -m training.train --train TRAIN.tsv.gz --runs FOLDER (--minutes M | --steps N)`.

Batches of one epoch after another, warm-up and then half a cosine over the budget, and every minute a checkpoint from which
the same command goes on. With `--steps` the outcome is a function of recipe and pairs; with `--minutes` the schedule follows the
seconds of computing done. `torchrun --nproc-per-node N -m training.train ...` shares every batch among N processes.
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import T5ForConditionalGeneration, T5Tokenizer

from interp.errors import InputError
from interp.pairs import TranslationPair, read_pairs
from training.checkpoints import is_kept, read_recipe
from training.clock import BudgetClock
from training.data import Example, collate, epoch_batches
from training.objective import batch_loss, use_byte_dropout
from training.origin import Origin, origin
from training.recipe import LISTED_WORDS, SENTINELS, Recipe
from training.run import Run
from training.tasks import Encoder, Mixture
from training.tokenizer import add_words, build, pieces_of, train_pieces
from training.warmstart import grown_model
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


def make_optimizer(model: T5ForConditionalGeneration, recipe: Recipe) -> tuple[torch.optim.AdamW, list[float]]:
    """AdamW with one group for each parameter, and what each step size is a share of: see `Recipe`."""
    fresh = T5ForConditionalGeneration(recipe.config())
    scales = [
        recipe.bias_scale
        if recipe.bias_scale and "relative_attention_bias" in name
        else max(1e-3, parameter.detach().square().mean().sqrt().item())
        for name, parameter in fresh.named_parameters()
    ]
    groups = [{"params": [parameter]} for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)
    return optimizer, scales


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
            every = epoch_batches(examples, run.recipe.tokens_per_batch, 0, 0)
            total = sum(float(batch_loss(run.model, collate(batch, run.device), 0.0)) for batch in every)
            losses[name] = total / sum(len(example.target) for example in examples)
    run.model.train()
    return losses


def train(
    pairs: Sequence[TranslationPair],
    recipe: Recipe,
    clock: BudgetClock,
    folder: Path,
    start: Path | None = None,
    workers: Workers | None = None,
    stop_after: int | None = None,
    keep_from: int = 0,
) -> Run:
    """Trains in `folder` until the budget is spent, going on from the folder's checkpoint where there is one.

    Args:
        pairs: translation pairs.
        recipe: hyperparameters.
        clock: the budget.
        folder: where the run's files are kept.
        start: a checkpoint folder to start from in place of fresh weights.
        workers: the processes of the run; this one alone if None.
        stop_after: leave off after so many steps in all, with a checkpoint.
        keep_from: keep the weights after 0 steps, after this many, after every doubling of them and at the end, each in a folder
            `step-N` of the run's; none if 0.

    Raises:
        InputError: if the folder holds a run of another recipe or on other pairs.
    """
    run = _prepare(pairs, recipe, clock, folder, start, workers or Workers())
    training, held = split_pairs(pairs)
    encoder = Encoder(T5Tokenizer.from_pretrained(folder / "tokenizer"))
    held_out = Mixture(held, recipe, encoder).held_out()
    if clock.taken == 0:
        _measure(run, held_out)
        if keep_from:
            run.keep(folder / "step-0")
    saved = clock.spent
    stream = batches(Mixture(training, recipe, encoder), run)
    while not (clock.over or clock.taken == stop_after):
        run.step(next(stream))
        if clock.taken % LOG_EVERY == 0 or clock.over:
            often = clock.taken % HELD_OUT_LOG_EVERY == 0 or clock.over
            _measure(run, held_out if often else {})
        if is_kept(clock.taken, keep_from) or (keep_from and clock.over):
            run.keep(folder / f"step-{clock.taken}")
        if clock.spent - saved > CHECKPOINT_SECONDS or clock.over or clock.taken == stop_after:
            run.save()
            saved = clock.spent
    return run


def _measure(run: Run, sets: Mapping[str, Sequence[Example]]) -> None:
    run.log(held_out_losses(run, sets) if run.workers.first else {})


def _prepare(
    pairs: Sequence[TranslationPair],
    recipe: Recipe,
    clock: BudgetClock,
    folder: Path,
    start: Path | None,
    workers: Workers,
) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    written, told = folder / "recipe.json", folder / "origin.json"
    resumes = (folder / "checkpoint.pt").exists()
    if written.exists() and read_recipe(folder) != recipe:
        raise InputError(
            f"{str(folder)!r} holds a run of another recipe (see its recipe.json). Choose another folder or the same recipe."
        )
    where_from = origin(pairs, None if resumes else start)
    if resumes:
        before = Origin(**json.loads(told.read_text(encoding="utf-8")))
        if before.pairs_sha256 != where_from.pairs_sha256:
            raise InputError(
                f"{str(folder)!r} holds a run on other pairs (see its origin.json). Choose another folder or the same pairs."
            )
        where_from = before  # A run that goes on needs its start no more, and it may be gone.
    if workers.first:
        written.write_text(json.dumps(asdict(recipe), indent=1) + "\n", encoding="utf-8")
        told.write_text(json.dumps(asdict(where_from), indent=1) + "\n", encoding="utf-8")
        if not (folder / "tokenizer").exists():
            make_tokenizer(pairs, recipe, start).save_pretrained(folder / "tokenizer")
    workers.gather(torch.zeros(1))  # No process reads the tokenizer before the first has written it.
    tokenizer = T5Tokenizer.from_pretrained(folder / "tokenizer")
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = grown_model(recipe, tokenizer, None if resumes else start).to(device)
    use_byte_dropout(model, recipe.dropout)
    model.train()
    optimizer, scales = make_optimizer(model, recipe)
    run = Run(folder, recipe, model, optimizer, scales, clock, workers)
    torch.manual_seed(recipe.seed + 1 + workers.rank)
    run.resume()
    return run


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description="Train a small T5 on translation pairs."
    )
    parser.add_argument("--train", type=Path, required=True, help="pair file to train on (TSV, .gz allowed)")
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder of the run; goes on where it holds a checkpoint"
    )
    parser.add_argument("--warm-start", type=Path, help="checkpoint folder to start from (default: fresh weights)")
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
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    try:
        clock = BudgetClock(given.steps, None if given.minutes is None else 60.0 * given.minutes)
        pairs, recipe = read_pairs(given.train), Recipe.of(given.set)
        train(pairs, recipe, clock, given.runs, given.warm_start, join(), keep_from=given.keep_from)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
