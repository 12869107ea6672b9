"""The section on circuits: when do the answers of minimal pairs come to be, and when the circuit that carries them at the end?"""

import numpy as np
import pandas as pd

from analyses.circuits.summary import NoCircuit
from analyses.trace.circuit_histories import CircuitHistory, CircuitsFound
from analyses.trace.present.curves import step_figure, step_words
from analyses.trace.trace import Trace
from interp.circuits.pairs import halves
from interp.report import Figure, Headline, Section, Series, Span, Table, judge
from interp.report.charts import Style
from interp.report.headline import Sureness
from interp.report.numbers import fixed, percent
from interp.statistics import Interval, controlled

_TITLE = "Circuits"
_QUESTION = "When does the circuit come to be that carries the answers of minimal pairs at the end?"
_KEPT = "trace-circuit-kept"


def circuits_section(trace: Trace, found: CircuitsFound) -> Section:
    """Circuits over steps, or why there are none.

    Args:
        trace: the trace.
        found: its circuits.
    """
    if isinstance(found, NoCircuit):
        return Section(
            name="circuits",
            title=_TITLE,
            question=_QUESTION,
            findings=(found.reason.replace("this model", f"the last moment of {trace.main.name}"),),
            blocks=(),
            limits=("Give pairs that the last moment answers, with tokens that its tokenizer knows, by --pairs.",),
            headline=Headline(
                "Too few minimal pairs turn the last moment's answer, so no circuit was followed.", "not judged"
            ),
        )
    return Section(
        name="circuits",
        title=_TITLE,
        question=_QUESTION,
        findings=(_size(trace, found), _births(trace, found), *_path(trace, found), _likeness(trace, found)),
        blocks=(
            _lead_figure(trace, found),
            _kept_figure(trace, found),
            _likeness_figure(trace, found),
            _needed_figure(trace, found),
            _moment_table(trace, found),
            _edge_table(trace, found),
        ),
        headline=Headline(_headline(trace, found), _sureness(found), _KEPT),
        methods=(
            f"Pairs are those that the last moment of {trace.main.name} can tell apart ({len(found.pairs)}), the same at "
            f"every step. Edges are scored by {found.settings.method}. The last moment's circuit is found, and its edges are "
            "scored, on one half of the pairs; each moment's scores and own circuit come from the other half, so that the "
            "last moment agrees with itself as far as two halves can. What a circuit keeps is measured on the half on which "
            "it was not found.",
            "Random circuits are connected, grown from the logits, and as large as the last moment's.",
        ),
        limits=(
            "A circuit is about these pairs, this corruption and this metric; of other sentences it says nothing.",
            "Where the answers do not turn on the corruption there is nothing to keep, and nothing is drawn: pairs are "
            "chosen by the last moment, so that earlier ones need not answer them.",
            "Circuits of other seeds are not compared: their heads have other numbers.",
        ),
        cites=("hanna2024", "mueller2025"),
    )


def _held_out(found: CircuitHistory) -> bool:
    """Whether circuits are judged on other pairs than those they were found on."""
    first, second = halves(found.pairs)
    return first != second


def _sureness(found: CircuitHistory) -> Sureness:
    """Beside random circuits, at every step that the headline is about; not judged on the pairs that it was found on."""
    if not _held_out(found):
        return "not judged"
    first = len(found.random) - 1 if found.born is None else found.born
    every = {judge(controlled(found.kept[at], found.random[at].tolist())) for at in range(first, len(found.random))}
    return min(every, key=("not judged", "within the controls", "beyond all controls").index)


def _pairs(found: CircuitHistory) -> str:
    return "other pairs" if _held_out(found) else "the same pairs"


def _share(found: CircuitHistory) -> str:
    return f"{len(found.last)} of {len(found.last.graph):,} edges"


def _headline(trace: Trace, found: CircuitHistory) -> str:
    if found.born is None:
        return (
            f"The circuit found at the last step keeps {fixed(found.kept.point[-1])} of the answers on {_pairs(found)}."
        )
    return f"The circuit of the last step carries the answers from step {step_words(trace, found.born)} on."


def _size(trace: Trace, found: CircuitHistory) -> str:
    kind = f" of kind {found.settings.kind}" if found.settings.kind else ""
    kept = found.kept
    return (
        f"At the last step {_share(found)} keep {fixed(kept.point[-1])} [{fixed(kept.low[-1])}, {fixed(kept.high[-1])}] of "
        f"what the corruption costs the answers of {len(found.pairs)} pairs{kind}, {_where(found)}; random circuits of its "
        f"size keep at most {fixed(found.random[-1].max())}."
    )


def _where(found: CircuitHistory) -> str:
    """On which pairs circuits are judged."""
    return (
        "on the half of them that the circuit was not found on"
        if _held_out(found)
        else "on the very pairs that it was found on, because they are fewer than four"
    )


def _births(trace: Trace, found: CircuitHistory) -> str:
    enough = percent(found.settings.keeps)
    if found.answered is None or found.born is None:
        return f"On these pairs it does not keep {enough}, so that no step can be named from which on it does."
    if found.born == found.answered:
        return (
            f"From step {step_words(trace, found.born)} on the answers turn on the corruption, and from there on the last "
            f"step's circuit keeps at least {enough} of it, {_certain(trace, found)}."
        )
    return (
        f"The answers turn on the corruption from step {step_words(trace, found.answered)} on; the last step's circuit keeps "
        f"at least {enough} of it from step {step_words(trace, found.born)} on, {_certain(trace, found)}."
    )


def _certain(trace: Trace, found: CircuitHistory) -> str:
    """From when on the interval says so too, and not the mean alone."""
    if found.sure is None:
        return "in the mean over pairs; the interval at the last step reaches below it"
    if found.sure == found.born:
        return "with the whole interval"
    return f"in the mean over pairs, and with the whole interval from step {step_words(trace, found.sure)} on"


def _path(trace: Trace, found: CircuitHistory) -> tuple[str, ...]:
    """Where the answers change, and how large circuits are at the first and the last step that has one."""
    said, change = [], found.changes.main
    if change is not None:
        said.append(
            f"What the corruption costs changes most before step {step_words(trace, change.place, change.low, change.high)}: "
            f"by {fixed(change.jump)} logits."
        )
    places = np.flatnonzero(np.isfinite(found.needed))
    if len(places) > 1:
        first, last = places[[0, -1]].tolist()
        said.append(
            f"The smallest circuit that keeps {percent(found.settings.keeps)} on the pairs it is found on has "
            f"{found.needed[first]:.0f} edges at step {step_words(trace, first)} and {found.needed[last]:.0f} at step "
            f"{step_words(trace, last)}."
        )
    return tuple(said)


def _likeness(trace: Trace, found: CircuitHistory) -> str:
    return (
        f"Scores of edges rank like the last step's on {_pairs(found)} by {fixed(found.rank[0])} at step "
        f"{trace.main.steps[0]:,} and by {fixed(found.rank[-1])} at the last (Spearman); circuits of its size overlap with "
        f"the last step's by {fixed(found.overlap[0])} and {fixed(found.overlap[-1])} (Jaccard), random ones by "
        f"{fixed(found.by_chance)}."
    )


def _line(
    trace: Trace, label: str, values: np.ndarray | Interval, style: Style = "model", banded: bool = True
) -> Series:
    steps = np.array(trace.main.steps, dtype=np.float64)
    if isinstance(values, np.ndarray):
        return Series(label, steps, values, style=style)
    band = (values.low, values.high) if banded and np.isfinite(values.low).any() else (None, None)
    return Series(label, steps, np.asarray(values.point), low=band[0], high=band[1], style=style)


def _lead_figure(trace: Trace, found: CircuitHistory) -> Figure:
    return step_figure(
        "trace-circuit-lead",
        (_line(trace, "clean source", found.clean), _line(trace, "corrupted source", found.corrupted, "control")),
        "lead of the answer (logits)",
        "By how many logits the answer leads over the corrupted side's answer, with the clean and the corrupted source, mean "
        "over pairs; bands are 95 % intervals over pairs.",
        f"The answer leads by {fixed(found.clean.point[0])} logits at the first step and by {fixed(found.clean.point[-1])} at "
        "the last.",
    )


def _kept_figure(trace: Trace, found: CircuitHistory) -> Figure:
    size = len(found.last)
    return step_figure(
        _KEPT,
        (
            _line(trace, "the last step's circuit", found.kept),
            _line(trace, f"each step's own best {size}", found.own, banded=False),
            _line(trace, "random circuits", found.random.mean(1), "control"),
        ),
        "share that is kept",
        f"What circuits of {size} of {len(found.last.graph):,} edges keep of what the corruption costs the answers, "
        f"{_where(found)}: the last step's circuit put into the model of every step (band: 95 % interval over "
        "pairs), each step's own, and random ones. Steps whose answers do not turn on the corruption have no line.",
        _size(trace, found),
    )


def _likeness_figure(trace: Trace, found: CircuitHistory) -> Figure:
    return step_figure(
        "trace-circuit-likeness",
        (
            _line(trace, "scores: rank correlation", found.rank),
            _line(trace, f"own best {len(found.last)} edges: overlap", found.overlap),
            _line(
                trace,
                "random circuits: overlap",
                np.full(len(trace.main.steps), found.by_chance),
                "control",
            ),
        ),
        "likeness to the last step's",
        "How like the edges are to the last step's on the other half of the pairs: Spearman's correlation of the scores of "
        "all edges, and edges in both circuits over edges in either (Jaccard).",
        _likeness(trace, found),
    )


def _needed_figure(trace: Trace, found: CircuitHistory) -> Figure:
    shown = np.isfinite(found.needed)
    enough = percent(found.settings.keeps)
    last = f"{found.needed[-1]:.0f} edges at the last step" if shown[-1] else "none at the last step"
    return step_figure(
        "trace-circuit-needed",
        (_line(trace, f"edges for {enough}", found.needed),),
        "edges of the smallest circuit",
        f"Edges of the smallest circuit, greedily grown, that keeps {enough} on the pairs that it is found on, out of "
        f"{len(found.last.graph):,}.",
        f"The smallest circuit has {last}.",
    )


def _moment_table(trace: Trace, found: CircuitHistory) -> Table:
    frame = pd.DataFrame({
        "step": trace.main.steps,
        "lead, clean (logits)": found.clean.point,
        "lead, corrupted (logits)": found.corrupted.point,
        "answers turn": np.where(found.answers, "yes", "no"),
        "last circuit keeps": found.kept.point,
        "last circuit keeps low": found.kept.low,
        "last circuit keeps high": found.kept.high,
        "own circuit keeps": found.own.point,
        "random keep": found.random.mean(1),
        "random keep at most": found.random.max(1),
        "edges needed": found.needed,
        "overlap": found.overlap,
        "rank correlation": found.rank,
    })
    return Table(
        "trace-circuit-moments",
        "Circuits at every step; where the answers do not turn on the corruption there is nothing to keep.",
        frame,
        columns_shown=("step", "answers turn", "last circuit keeps", "own circuit keeps", "edges needed", "overlap"),
        spans=(Span("last circuit keeps", "last circuit keeps low", "last circuit keeps high"),),
    )


def _edge_table(trace: Trace, found: CircuitHistory) -> Table:
    frame = pd.DataFrame({
        "writer": [edge.writer for edge in found.edges],
        "receiver": [edge.receiver for edge in found.edges],
        "from step": [np.nan if place is None else trace.main.steps[place] for place in found.since],
    })
    return Table(
        "trace-circuit-edges",
        "The edges of the last step's circuit, the largest score first, and the step from which on each is in every step's "
        f"own circuit of that size; empty for those that the last step's own, found on {_pairs(found)}, lacks.",
        frame,
        rows_shown=24,
    )
