"""Clean and corrupted inputs of a program, one corruption a stack, and which edges of the true circuit they make active.

Of the source: another source of as many tokens, so that another token follows the same beginning of the target. Of the target:
another beginning of it after the same source. Where no other beginning of the domain asks for another token (a program that
writes one word), words take its place that the program does not know there; then the answer gets lost, and there is no other.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from interp.axes import Stack
from interp.circuits.graph import Edge
from interp.compiled import ideal
from interp.compiled.language import EOS, PAD
from interp.compiled.plan import Plan
from interp.compiled.program import Example
from interp.compiled.weights import LOGIT
from interp.errors import InputError
from interp.patching.minimal_pairs import PromptPair

_SURE = 0.9
_TRIES = 50


def corrupted_pairs(plan: Plan, stack: Stack, count: int, seed: int = 0) -> tuple[PromptPair, ...]:
    """Pairs of a program, drawn from its domain.

    Args:
        plan: the program's plan.
        stack: whose tokens are corrupted.
        count: how many.
        seed: of the draw.

    Raises:
        InputError: if there are none.
    """
    generator, examples = np.random.default_rng(seed), tuple(plan.program.examples())
    made: list[PromptPair] = []
    for _ in range(_TRIES * count):
        if len(made) == count:
            return tuple(made)
        example = examples[int(generator.integers(len(examples)))]
        if stack == "encoder":
            texts = _other_source(plan, example, examples, generator)
        else:
            texts = _other_target(plan, example, generator, True) or _other_target(plan, example, generator, False)
        if texts is not None:
            made.append(_pair(f"{plan.program.name}-{stack}-{len(made)}", f"{stack} tokens", texts))
    raise InputError(
        f"Program {plan.program.name!r} has no pairs that differ in tokens of the {stack} and in their answer."
    )


_Pair = tuple[Sequence[str], Sequence[str], str, str, Sequence[str], Sequence[str]]
"""Source, beginning of the target, answer, foil, corrupted source, corrupted beginning."""


def _pair(name: str, kind: str, texts: _Pair) -> PromptPair:
    source, target, answer, foil, other_source, other_target = texts
    return PromptPair(
        id=name,
        kind=kind,
        clean=" ".join(source),
        corrupted=" ".join(other_source),
        clean_target=" ".join(word for word in (*target, answer) if word != EOS),
        corrupted_target=" ".join(word for word in (*other_target, foil) if word != EOS),
        row=len(target),
    )


def _judged_row(example: Example, generator: np.random.Generator, least: int) -> int | None:
    """A row of an example whose token is judged, at least the given one; every second time the first, which is open to most."""
    length = len(example.target.split()) + example.ended
    rows = range(max(example.given, least), length)
    if not rows:
        return None
    return rows[0] if generator.random() < 0.5 else int(generator.choice(rows))


def _output(plan: Plan, source: Sequence[str], target: Sequence[str]) -> dict[str, float]:
    """How much a program writes next of every word, and of the end."""
    last = ideal.run(plan, (*source, EOS), (PAD, *target)).output[-1]
    amounts = dict(zip(plan.program.vocabulary, last.tolist(), strict=True))
    return {word: amounts[word] for word in (*plan.program.words, EOS)}


def _foil(amounts: Mapping[str, float], answer: str) -> str:
    return max((word for word in amounts if word != answer), key=amounts.__getitem__)


def _other_source(
    plan: Plan, example: Example, examples: Sequence[Example], generator: np.random.Generator
) -> _Pair | None:
    row, source = _judged_row(example, generator, 0), example.source.split()
    if row is None:
        return None
    words = example.target.split()
    target, answer = words[:row], (*words, EOS)[row]
    for _ in range(_TRIES):
        other = examples[int(generator.integers(len(examples)))].source.split()
        if len(other) == len(source):
            amounts = _output(plan, other, target)
            foil = _foil(amounts, answer)
            if amounts[foil] > _SURE:
                return source, target, answer, foil, other, target
    return None


def _other_target(plan: Plan, example: Example, generator: np.random.Generator, sure: bool) -> _Pair | None:
    row, source = _judged_row(example, generator, 1), example.source.split()
    if row is None:
        return None
    words = example.target.split()
    target, answer = words[:row], (*words, EOS)[row]
    known = sorted({*source[1:], *words}) if sure else plan.program.words
    for _ in range(_TRIES):
        other = list(generator.permutation(known))[:row] if len(known) >= row else list(generator.choice(known, row))
        amounts = _output(plan, source, other)
        foil = _foil(amounts, answer)
        if amounts[foil] > _SURE if sure else amounts[answer] < 1 - _SURE / 2:
            return source, target, answer, foil, source, [str(word) for word in other]
    return None


def effects(plan: Plan, pairs: Sequence[PromptPair]) -> dict[Edge, float]:
    """What patching every edge of the true circuit does to the answer less the foil, by hand: edge -> mean over pairs, in logits.

    Args:
        plan: the program's plan.
        pairs: of `corrupted_pairs`.
    """
    edges = sorted(plan.edges())
    return dict(zip(edges, np.mean([_effects(plan, pair, edges) for pair in pairs], axis=0).tolist(), strict=True))


def _effects(plan: Plan, pair: PromptPair, edges: Sequence[Edge]) -> list[float]:
    row = pair.row or 0
    clean, other = (_tokens(pair, side) for side in ("clean", "corrupted"))
    corrupted = ideal.run(plan, *other)
    targets = (pair.clean_target, pair.corrupted_target)
    answer, foil = (plan.program.vocabulary.index((*target.split(), EOS)[row]) for target in targets)

    def lead(*patched: Edge) -> float:
        last = ideal.run(plan, *clean, corrupted, frozenset(patched)).output[row]
        return LOGIT * float(last[answer] - last[foil])

    untouched = lead()
    return [lead(edge) - untouched for edge in edges]


def _tokens(pair: PromptPair, side: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Source and decoder inputs of one side."""
    source, target = getattr(pair, side).split(), getattr(pair, f"{side}_target").split()
    return (*source, EOS), (PAD, *target[: pair.row])


def active(plan: Plan, pairs: Sequence[PromptPair], least: float = 1e-3) -> frozenset[Edge]:
    """The edges of the true circuit that a corruption makes active.

    Args:
        plan: the program's plan.
        pairs: of `corrupted_pairs`.
        least: share of the largest effect below which an edge counts as inactive.
    """
    found = effects(plan, pairs)
    largest = max(map(abs, found.values()), default=0.0)
    return frozenset(edge for edge, effect in found.items() if abs(effect) > least * largest)
