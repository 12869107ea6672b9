"""Links from elsewhere: what any aligner wrote, scored against gold links beside the same baselines as heads are."""

from collections.abc import Sequence
from dataclasses import dataclass

from analyses.cross_attention_focus.alignment.baselines import diagonal_links, random_corpora
from analyses.cross_attention_focus.alignment.error_rate import Score, corpus_counts, score, summed_counts
from analyses.cross_attention_focus.alignment.evaluation import check_links
from interp.errors import InputError
from interp.text.word_links import Gold, Links

Size = tuple[int, int]
"""Number of source words and of target words of a sentence pair."""

_BAR = "|||"


@dataclass(frozen=True, slots=True)
class HypothesisScores:
    """Links from elsewhere beside links that cost nothing.

    Attributes:
        given: the links that were read.
        diagonal: straight diagonals of the same pairs.
        random: every target word linked to a source word drawn evenly, over several draws.
        n_sentences: sentence pairs.
    """

    given: Score
    diagonal: Score
    random: Score
    n_sentences: int


def score_hypotheses(
    hypotheses: Sequence[Links], gold: Sequence[Gold], sizes: Sequence[Size], seed: int = 0
) -> HypothesisScores:
    """AER, precision and recall of given links, with intervals over sentences (Och and Ney 2003).

    Args:
        hypotheses: links of every pair, counted from 0.
        gold: their gold links.
        sizes: how many words the pairs have.
        seed: of random links and resampling.

    Raises:
        InputError: if the numbers of lines differ, or a link names a word that is not there.
    """
    if not len(hypotheses) == len(gold) == len(sizes):
        raise InputError(
            f"Got {len(hypotheses)} lines of links, {len(gold)} lines of gold links and {len(sizes)} sentence pairs; give one "
            "line for each pair in each."
        )
    check_links(gold, sizes, "gold file")
    check_links([Gold(links, links) for links in hypotheses], sizes, "file of hypotheses")
    random = summed_counts(random_corpora(sizes, seed), gold)
    return HypothesisScores(
        given=score(corpus_counts(hypotheses, gold), seed),
        diagonal=score(corpus_counts([diagonal_links(*size) for size in sizes], gold), seed),
        random=score(random, seed),
        n_sentences=len(sizes),
    )


def read_sizes(text: str) -> list[Size] | None:
    """Word counts of pairs written as `source ||| target`, words parted by blanks; None if the text is written otherwise.

    Args:
        text: of the file.

    Raises:
        InputError: naming the line that has no two sides where others have.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or _BAR not in lines[0]:
        return None
    sizes = []
    for number, line in enumerate(lines, start=1):
        sides = line.split(_BAR)
        if len(sides) != 2 or not all(side.strip() for side in sides):
            raise InputError(f"Line {number} is {line[:60]!r}; write `source ||| target`, words parted by blanks.")
        sizes.append((len(sides[0].split()), len(sides[1].split())))
    return sizes
