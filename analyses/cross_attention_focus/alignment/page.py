"""The section of an alignment run: the honest number of the best aligner, the baselines, and every aligner in one table."""

import numpy as np
import pandas as pd

from analyses.cross_attention_focus.alignment.directions import Directions, best_merge
from analyses.cross_attention_focus.alignment.evaluation import Alignment, SystemScore
from interp.report import Block, Paragraph, Section, Table
from interp.report.numbers import between, control_range, counted, fixed, with_interval
from interp.statistics import LEAST, Interval

_LIMITS = (
    "An alignment error rate says where a matrix points, not what the model uses: attention is not importance (Jain and Wallace "
    "2019), and weights that misalign may still explain predictions (Ferrando and Costa-jussà 2021).",
    "The conventions (step, words or pieces, masked or raw) change the rate by many points; compare rows of one convention.",
    "Gold links are people's choices; sure and possible links differ between corpora, and so do the rates.",
)


def alignment_section(alignment: Alignment) -> Section:
    """The section."""
    return Section(
        "word-alignment",
        "Word alignment",
        "Do heads, layers and flows point at the source word that a target word translates?",
        _findings(alignment),
        (Paragraph(_how_to_read(alignment)), _table(alignment)),
        _LIMITS,
    )


def directions_section(directions: Directions) -> Section:
    """The section of two directions: their merges, then every aligner of both."""
    forward, backward = alignment_section(directions.forward), alignment_section(directions.backward)
    return Section(
        "word-alignment-directions",
        "Word alignment in two directions",
        "Does merging two directions of translation align better than either alone?",
        (
            _merge_finding(directions),
            *(f"Forward: {text}" for text in forward.findings),
            *(f"Backward: {text}" for text in backward.findings),
        ),
        (
            _merge_table(directions),
            *(_titled(block, "forward") for block in forward.blocks),
            *(_titled(block, "backward") for block in backward.blocks if isinstance(block, Table)),
        ),
        _LIMITS,
    )


def _titled(block: Block, direction: str) -> Block:
    """A table under a name of its own."""
    if not isinstance(block, Table):
        return block
    caption = f"Direction: {direction}. {block.caption}"
    return Table(f"{block.name}-{direction}", caption, block.frame, block.rows_shown, block.columns_shown)


def _merge_finding(directions: Directions) -> str:
    best = best_merge(directions)
    rows = {row.system: row for row in directions.merged}
    grown = rows["grow-diag"]
    return (
        f"Of two directions and their merges, {best.system} has the lowest error rate on the first half of the sentences and "
        f"{fixed(best.held_out)} on the second, where forward has {fixed(rows['forward'].held_out)} and backward "
        f"{fixed(rows['backward'].held_out)}. Grow-diagonal has {with_interval(grown.error)} on all sentences, "
        f"precision {fixed(grown.score.precision)}, recall {fixed(grown.score.recall)}; straight diagonals merged so have "
        f"{fixed(directions.diagonal['grow-diag'])}, random links {fixed(directions.random['grow-diag'])}, untrained twins "
        f"{control_range(grown.error) if grown.twins else 'were not run'}."
    )


def _merge_table(directions: Directions) -> Table:
    rows = [
        {
            "links of": row.system,
            "aligner": row.conventions,
            **_numbers(row),
            "diagonal": directions.diagonal[row.system],
            "random": directions.random[row.system],
        }
        for row in directions.merged
    ]
    return Table(
        name="word-alignment-merges",
        caption=(
            "The aligner of either direction that was best on the first half of the sentences, and their links merged. AER "
            "(lower is better) with its 95 % interval over sentences, precision and recall; diagonal and random: AER of straight "
            "diagonals and of random links taken from both sides and merged in the same way. Twins: untrained models."
        ),
        frame=pd.DataFrame(rows),
        rows_shown=None,
    )


def _findings(alignment: Alignment) -> tuple[str, ...]:
    best = alignment.best
    diagonal, chance = (
        next(item for item in alignment.baselines if item.system == name) for name in ("diagonal", "random")
    )
    return (
        f"{best.system} ({best.conventions}), chosen among {len(alignment.systems)} aligners on the first half of the sentences, "
        f"has an alignment error rate of {fixed(best.held_out)} on the second half, "
        f"{_against(alignment.gains['diagonal'], 'a straight diagonal', diagonal.held_out)} and "
        f"{_against(alignment.gains['random'], 'random links', chance.held_out)}; {_against_twins(alignment)}; on all "
        f"{alignment.n_sentences} sentences {with_interval(best.error)}, precision {fixed(best.score.precision)}, recall "
        f"{fixed(best.score.recall)}.",
    )


def _against(gain: Interval, name: str, other: float) -> str:
    """How an error rate stands to that of links that need no model: better only where the interval of the gain is above 0."""
    if gain.count < LEAST:
        return f"of too few sentences to be judged beside {name} ({fixed(other)})"
    better = "better" if gain.low > 0 else "no better"
    return f"{better} than {name} ({fixed(other)}, gain {with_interval(gain)})"


def _against_twins(alignment: Alignment) -> str:
    """The best of untrained twins, chosen and judged in the same way."""
    if not alignment.twin_best:
        return "untrained twins were not run"
    low, high = min(alignment.twin_best), max(alignment.twin_best)
    return f"there the best aligners of untrained twins, chosen likewise, have {between(low, high)}"


def _how_to_read(alignment: Alignment) -> str:
    return (
        f"{counted(len(alignment.links), 'sentence pair')} of {counted(alignment.n_sentences, 'independent sentence')} (pairs "
        f"that share a side are one) with {alignment.n_sure} sure and {alignment.n_possible} possible links (the "
        "sure ones included). Targets were given. Step output: a target word is aligned by the rows that predict it (AWO); "
        "input: by the rows that read it (AWI). Unit words: weights are summed over source pieces and averaged over target "
        "pieces before the argmax; pieces: argmax for every piece, union of links. Raw: if prefix or end of sentence wins, there "
        "is no link; masked: they are left out."
    )


def _table(alignment: Alignment) -> Table:
    rows = [_row(item) for item in (*alignment.baselines, *alignment.systems)]
    return Table(
        name="word-alignment",
        caption=(
            "Alignment error rate (lower is better), precision and recall of every aligner, baselines first, then the best. Low "
            "and high: 95 % interval over sentences. First and second half: for choosing and for judging what was chosen. "
            "Twins: the same aligner in untrained models."
        ),
        frame=pd.DataFrame(rows),
        rows_shown=20,
    )


def _row(item: SystemScore) -> dict[str, object]:
    step, unit, version = item.conventions.split(", ") if item.conventions else ("", "", "")
    return {
        "aligner": item.system,
        "step": step,
        "unit": unit,
        "version": version,
        **_numbers(item),
    }


def _numbers(item: SystemScore) -> dict[str, object]:
    """Scores with their halves and their control."""
    return {
        **dict.fromkeys(("AER", "low", "high"), np.nan),
        "precision": item.score.precision,
        "recall": item.score.recall,
        "links": item.score.n_links,
        "first half": item.chosen,
        "second half": item.held_out,
        **item.error.columns("AER", prefix=""),
    }
