"""Does merging two directions of translation align better than either alone?

One model reads source to target, another (or the same one under another prefix) target to source. In each direction the aligner
with the lowest AER on the first half of the sentences is taken, and the links of the two are merged (`symmetrization`). The
baselines are merged in the same way: a straight diagonal drawn from both sides, and random links of both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyses.cross_attention_focus.alignment.baselines import diagonal_links, random_corpora
from analyses.cross_attention_focus.alignment.error_rate import corpus_counts, error_rate, summed_counts
from analyses.cross_attention_focus.alignment.evaluation import (
    Alignment,
    SystemScore,
    evaluate,
    merit,
    scored,
    scores_table,
)
from analyses.cross_attention_focus.alignment.sentences import by_sentence, sentence_rows
from analyses.cross_attention_focus.alignment.symmetrization import MERGES, Merge, both_directions, flipped
from analyses.cross_attention_focus.alignment.texts import AlignedPair, reversed_pairs
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.numbers import fixed
from interp.text.word_links import Gold, Links


@dataclass(frozen=True, slots=True)
class Directions:
    """Two directions and what merging them gives.

    Attributes:
        forward: all aligners of the first direction.
        backward: all aligners of the other, on the reversed pairs.
        merged: the best aligner of both directions, named `forward` and `backward`, then the merges.
        diagonal: AER of the same for straight diagonals.
        random: AER of the same for random links.
        links: merge -> its links, sentence by sentence.
    """

    forward: Alignment
    backward: Alignment
    merged: tuple[SystemScore, ...]
    diagonal: Mapping[str, float]
    random: Mapping[str, float]
    links: Mapping[Merge, tuple[Links, ...]]

    def _repr_html_(self) -> str:
        """Directions, merges and their baselines, for a notebook."""
        diagonal, random = fixed(self.diagonal["grow-diag"]), fixed(self.random["grow-diag"])
        return scores_table(
            f"Merged in the same way, grow-diag: diagonals AER {diagonal}, random links {random}", self.merged
        )


def evaluate_directions(
    model: HookedEncoderDecoder,
    reverse_model: HookedEncoderDecoder,
    pairs: Sequence[AlignedPair],
    gold: Sequence[Gold],
    reverse_prefix: str | None = None,
    twins: int = 5,
    seed: int = 0,
) -> Directions:
    """Score two directions and their merges.

    Args:
        model: of the first direction.
        reverse_model: of the other; may be the same.
        pairs: sentence pairs of the first direction.
        gold: their links.
        reverse_prefix: task prefix of the other direction; see `reversed_pairs`.
        twins: how many untrained control models of either.
        seed: of random links, resampling and twins.

    Raises:
        InputError: as `evaluate` and `reversed_pairs`.
    """
    back_pairs = reversed_pairs(pairs, reverse_prefix)
    back_gold = [Gold(flipped(sentence.sure), flipped(sentence.possible)) for sentence in gold]
    forward = evaluate(model, pairs, gold, twins, seed)
    return merge_directions(forward, evaluate(reverse_model, back_pairs, back_gold, twins, seed), pairs, gold, seed)


def merge_directions(
    forward: Alignment, backward: Alignment, pairs: Sequence[AlignedPair], gold: Sequence[Gold], seed: int = 0
) -> Directions:
    """Merge the best aligners of two directions; `backward` is of the reversed pairs."""
    rows = sentence_rows(pairs)
    given = _both_and_merged(forward.links, backward.links)
    by_twins = [_both_and_merged(*links) for links in zip(forward.twin_links, backward.twin_links, strict=True)]
    sizes = [(len(pair.source_words), len(pair.target_words)) for pair in pairs]
    back_sizes = [(target, source) for source, target in sizes]
    straight = [
        _both_and_merged([diagonal_links(*size) for size in sizes], [diagonal_links(*size) for size in back_sizes])
    ]
    drawn = [
        _both_and_merged(one, other)
        for one, other in zip(random_corpora(sizes, seed), random_corpora(back_sizes, seed + 1), strict=True)
    ]

    def errors(corpora: Sequence[Mapping[str, Sequence[Links]]]) -> dict[str, float]:
        return {name: error_rate(summed_counts([links[name] for links in corpora], gold)) for name in given}

    return Directions(
        forward=forward,
        backward=backward,
        merged=tuple(
            scored(
                name,
                {"forward": _named(forward), "backward": _named(backward)}.get(name, ""),
                by_sentence(corpus_counts(links, gold), rows),
                len(rows) // 2,
                seed,
                [error_rate(corpus_counts(twin[name], gold)) for twin in by_twins],
            )
            for name, links in given.items()
        ),
        diagonal=errors(straight),
        random=errors(drawn),
        links={merge: tuple(given[merge]) for merge in MERGES},
    )


def _named(alignment: Alignment) -> str:
    return f"{alignment.best.system} ({alignment.best.conventions})"


def _both_and_merged(forward: Sequence[Links], backward: Sequence[Links]) -> dict[str, Sequence[Links]]:
    """Links of both directions, seen from the first, and of every merge."""
    merges: dict[str, Sequence[Links]] = {merge: both_directions(forward, backward, merge) for merge in MERGES}
    return {"forward": forward, "backward": [flipped(links) for links in backward], **merges}


def best_merge(directions: Directions) -> SystemScore:
    """The row with the lowest AER on the first half, directions included."""
    return min(directions.merged, key=lambda row: merit(row.chosen, row.system))
