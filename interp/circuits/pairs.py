"""Pairs for circuits: which of them turn on their corruption, and batches in which answer and foil may change roles."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PairBatch, PromptPair, pair_batch
from interp.patching.partial_forward import record_pass

LEAST_LEAD = 0.5
"""Logits by which the answer must lead on the clean side."""

LEAST_APART = 4
"""Pairs that can be split: two find a circuit, two others judge it."""

_AT_ONCE = 16


def in_batches(pairs: Sequence[PromptPair], size: int) -> Iterator[Sequence[PromptPair]]:
    """The pairs, so many at a time.

    Args:
        pairs: the pairs.
        size: most at once.
    """
    return (pairs[at : at + size] for at in range(0, len(pairs), size))


def batch_of(
    model: HookedEncoderDecoder, pairs: Sequence[PromptPair], swapped: Collection[PromptPair] = ()
) -> PairBatch:
    """Tokenized pairs, in some of which answer and foil change roles.

    Args:
        model: the model.
        pairs: the pairs.
        swapped: those in which they do.

    Raises:
        InputError: as `pair_batch`.
    """
    batch = pair_batch(model, pairs)
    turned = torch.tensor([pair in swapped for pair in pairs], device=model.device)
    answers, foils = batch.answers, batch.foils
    return replace(batch, answers=torch.where(turned, foils, answers), foils=torch.where(turned, answers, foils))


def leads(model: HookedEncoderDecoder, pairs: Sequence[PromptPair]) -> list[tuple[float, float]]:
    """By how many logits the answer leads, on the clean and on the corrupted side of every pair.

    Args:
        model: the model.
        pairs: the pairs.

    Raises:
        InputError: as `pair_batch`.
    """
    found: list[tuple[float, float]] = []
    for some in in_batches(pairs, _AT_ONCE):
        batch = pair_batch(model, some)
        sides = [
            batch.difference(model, record_pass(model, side, (), batch.rows).outputs).tolist()
            for side in (batch.clean, batch.corrupted)
        ]
        found += zip(*sides, strict=True)
    return found


def usable_pairs(
    model: HookedEncoderDecoder, pairs: Sequence[PromptPair]
) -> tuple[tuple[PromptPair, ...], dict[str, str]]:
    """The pairs whose corruption costs the answer its lead, and id -> why not, of the others.

    Of pairs of the same texts, in either direction, the first that is of use counts: a circuit that is found on one of them
    would be judged on what found it, and intervals would be those of more pairs than there are.

    Args:
        model: the model.
        pairs: candidates.
    """
    comparable, refused = [], {}
    usable: dict[frozenset[tuple[str, str] | int | None], PromptPair] = {}
    for pair in pairs:
        try:
            pair_batch(model, [pair])
        except InputError as error:
            refused[pair.id] = str(error)
        else:
            comparable.append(pair)
    for pair, (clean, corrupted) in zip(comparable, leads(model, comparable), strict=True):
        texts = frozenset({(pair.clean, pair.clean_target), (pair.corrupted, pair.corrupted_target), pair.row})
        if clean > LEAST_LEAD and clean - corrupted > 2 * LEAST_LEAD:
            same = usable.setdefault(texts, pair)
            if same is not pair:
                refused[pair.id] = f"Pair {pair.id!r} has the texts of pair {same.id!r}, which count once."
        else:
            refused[pair.id] = (
                f"Pair {pair.id!r} does not turn on the corruption: the answer leads by {clean:+.2f} logits on the clean and "
                f"{corrupted:+.2f} on the corrupted side; it must lead by {LEAST_LEAD:g}, and lose {2 * LEAST_LEAD:g}."
            )
    return tuple(usable.values()), refused


def halves(pairs: Sequence[PromptPair]) -> tuple[tuple[PromptPair, ...], tuple[PromptPair, ...]]:
    """The pairs on which a circuit is found, and those that judge it: every second one each; the same where there are under four.

    Args:
        pairs: the pairs.
    """
    every = tuple(pairs)
    return (every[::2], every[1::2]) if len(every) >= LEAST_APART else (every, every)


def why_too_few(usable: int, refused: Mapping[str, str], least: int = 1, whose: str = "pairs") -> str | None:
    """Why no circuit can be sought on these pairs, as a sentence; None where one can.

    Args:
        usable: how many of them are of use.
        refused: why the others are not, by id.
        least: how many must be. Pairs that the model's user wrote may be few; of those that are bundled, which a model of
            another task turns on by accident, `LEAST_APART` must be of use.
        whose: what the pairs are called.
    """
    if usable >= least:
        return None
    if not usable:
        return f"None of {len(refused)} {whose} is of use for this model. {next(iter(refused.values()), '')}".rstrip()
    return (
        f"Only {usable} of {usable + len(refused)} {whose} {'is' if usable == 1 else 'are'} of use for this model, as may happen "
        f"by accident where a model does another task; at least {least} must be, two to find a circuit and two to judge it."
    )


def swapped_pairs(model: HookedEncoderDecoder, pairs: Sequence[PromptPair]) -> frozenset[PromptPair]:
    """The pairs whose answer gains by the corruption: of a model that knows nothing of them, half.

    With answer and foil of these exchanged, the corruption costs the lead in every pair, so that the same method can be
    asked of an untrained twin.

    Args:
        model: the model.
        pairs: the pairs.
    """
    turned = zip(pairs, leads(model, pairs), strict=True)
    return frozenset(pair for pair, (clean, corrupted) in turned if clean < corrupted)
