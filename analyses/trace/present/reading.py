"""Sections on what is read and who writes: position against content, kinds of token, alignment, attribution, geometry."""

from collections.abc import Sequence

import numpy as np

from analyses.trace.present.curves import interval_line, number_line, over_steps, step_figure
from analyses.trace.snapshots import QUANTITIES, category_names, space_names, writer_names
from analyses.trace.trace import Trace
from interp.hooks.names import HeadId
from interp.report import Figure, Headline, Section, Series
from interp.report.numbers import fixed, percent
from interp.statistics import Interval, bootstrap_mean, largest

_MOST_LINES = 8


def position_section(trace: Trace) -> Section | None:
    """Position biases against content; None where positions are absolute."""
    main = trace.main
    stacks = [stack for stack in ("encoder", "decoder") if f"position.{stack}" in main.snapshots[-1].numbers]
    if not stacks:
        return None
    figures, sentences = [], []
    for stack in stacks:
        series = []
        for layer in range(main.snapshots[-1].numbers[f"position.{stack}"].shape[1]):
            found = [_layer_mean(one.numbers[f"position.{stack}"][:, layer]) for one in main.snapshots]
            series.append(interval_line(main.steps, found, f"layer {layer}"))
            sentences.append(
                f"In {stack} layer {layer} position makes {percent(found[0].point)} of the variance of the scores at step "
                f"{main.steps[0]:,} and {percent(found[-1].point)} at step {main.steps[-1]:,} (mean over heads)."
            )
        figures.append(
            step_figure(
                f"trace-position-{stack}",
                series,
                "position's share of the variance of scores",
                f"{stack.capitalize()} self-attention: share of the variance of attention scores within a row that the "
                "position bias "
                "makes, mean over heads; the rest is content and what both share.",
                sentences[-1],
            )
        )
    point = float(_layer_mean(main.snapshots[-1].numbers[f"position.{stacks[0]}"][:, 0]).point)
    return Section(
        name="position",
        title="Position against content",
        question="Do heads come to read by position or by content?",
        findings=tuple(sentences),
        blocks=tuple(figures),
        headline=Headline(
            f"In {stacks[0]} layer 0 position makes {percent(point)} of the variance of scores at the end.",
            "not judged",
            figures[0].name,
        ),
        limits=(
            "A share is no size: where scores hardly differ at all, position may make most of the little there is.",
        ),
    )


def _layer_mean(values: np.ndarray) -> Interval:
    with np.errstate(invalid="ignore"):
        return bootstrap_mean(np.nanmean(values.astype(np.float64), -1), 0, 2000)


def reading_section(trace: Trace) -> Section:
    """Cross-attention mass by kind of token, and alignment where gold links were given."""
    main = trace.main
    base = main.snapshots[-1].numbers["base"]
    present = category_names(base)
    figures, sentences = [], []
    for layer in range(main.snapshots[-1].numbers["mass"].shape[1]):
        series = [number_line(main, "mass", name, (layer, index)) for index, name in present]
        last = [float(one.y[-1]) for one in series]
        most = largest(np.array(last))[0]
        sentences.append(
            f"At the last step cross-attention of layer {layer} lies most on {present[most][1]} tokens ({percent(last[most])}; "
            f"{percent(float(base[:, present[most][0]].mean()))} of the tokens are of this kind), at the first "
            f"{percent(float(series[most].y[0]))}."
        )
        figures.append(
            step_figure(
                f"trace-mass-{layer}",
                series,
                "share of the attention",
                f"Cross-attention of layer {layer}, mean over heads: share of the attention by kind of source token.",
                sentences[-1],
            )
        )
    aligned = _alignment(trace)
    return Section(
        name="reading",
        title="What is read of the source",
        question="Which kinds of source token does cross-attention read, and when does it find the word that is translated?",
        findings=tuple(sentences + ([aligned.alt] if aligned else [])),
        blocks=((aligned,) if aligned else ()) + tuple(figures),
        headline=Headline(
            sentences[-1].split(" (")[0] + ".", "not judged", aligned.name if aligned else figures[-1].name
        ),
        limits=(
            "Attention is where is read, not what is used of it.",
            "Without gold links nothing is said of alignment."
            if aligned is None
            else "Alignment is that of the strongest word in the row that predicts a target word; ties count as given.",
        ),
    )


def _alignment(trace: Trace) -> Figure | None:
    """1 - AER of the heads that end best, beside the diagonal."""
    main = trace.main
    if "aligned" not in main.snapshots[-1].numbers:
        return None
    final = main.snapshots[-1].mean("aligned").point
    order = np.argsort(-final.ravel(), kind="stable")[: _MOST_LINES - 3]
    cells = [tuple(int(part) for part in np.unravel_index(place, final.shape)) for place in order]
    series = [number_line(main, "aligned", str(HeadId("cross", *cell)), cell) for cell in cells]
    for run in trace.runs:
        if run.part == "control" and "aligned" in run.snapshots[-1].numbers:
            best = over_steps(run, lambda one: float(one.mean("aligned").point.max()))
            series.append(Series(f"best head of {run.name}", np.array(run.steps, float), best, style="control"))
    diagonal = over_steps(main, lambda one: float(one.numbers["diagonal"].mean()))
    series.append(Series("straight diagonal", np.array(main.steps, float), diagonal, style="control"))
    best_head = HeadId("cross", *cells[0])
    said = (
        f"{best_head} agrees with the gold links by {fixed(float(final[cells[0]]))} (1 - AER) at the last step and by "
        f"{fixed(float(main.snapshots[0].mean('aligned').point[cells[0]]))} at the first; the diagonal by "
        f"{fixed(float(diagonal[-1]))}."
    )
    return step_figure(
        "trace-alignment",
        series,
        "1 - AER",
        "Agreement of cross-attention heads with the gold links of words: those that end best, the best head "
        "of every control at each "
        "step, and the diagonal.",
        said,
    )


def attribution_section(trace: Trace) -> Section:
    """Who writes to the decoder's stream, as shares of its squared length."""
    main = trace.main
    names = writer_names(trace.cfg)
    last = main.snapshots[-1].mean("attribution").point
    order = np.argsort(-np.abs(last), kind="stable")[:_MOST_LINES].tolist()
    series = [number_line(main, "attribution", names[place], (place,)) for place in sorted(order)]
    first = main.snapshots[0].mean("attribution").point
    top = largest(last)[0]
    said = (
        f"At the last step {names[top]} makes {percent(float(last[top]))} of the stream that is read out, at the first "
        f"{percent(float(first[top]))}."
    )
    return Section(
        name="attribution",
        title="Who writes the answer",
        question="Which parts of the decoder make the stream that is read out, and how does that change?",
        findings=(said,),
        blocks=(
            step_figure(
                "trace-attribution",
                series,
                "share of the squared length",
                "Share of the squared length of the final stream along itself, by kind and layer of the writer (heads of a layer "
                "together): exact parts of one sum; a part that points against the whole is negative.",
                said,
            ),
        ),
        headline=Headline(
            f"At the last step {names[top]} makes {percent(float(last[top]))} of the stream that is read out.",
            "not judged",
            "trace-attribution",
        ),
        limits=("A share of length is no share of the answer: a long part may say little about which token follows.",),
    )


def geometry_section(trace: Trace) -> Section:
    """Anisotropy of both stacks, and whether languages and stacks meet."""
    main = trace.main
    spaces = space_names(trace.cfg)
    place = QUANTITIES.index("anisotropy")
    blocks = []
    for stack in ("encoder", "decoder"):
        series = []
        for index, space in enumerate(spaces):
            if space.startswith(stack):
                found = [one.geometry[place, index] for one in main.snapshots if one.geometry is not None]
                series.append(interval_line(main.steps, found, space))
        last = float(series[-1].y[-1])
        blocks.append(
            step_figure(
                f"trace-anisotropy-{stack}",
                series,
                "mean cosine of tokens of different sentences",
                f"Anisotropy of the {stack}: how alike any two tokens of different sentences are, in every space.",
                f"At the last step the mean cosine in {series[-1].label} is {fixed(last)}.",
            )
        )
    blocks += [
        figure for figure in (_met(trace, "languages", spaces), _met(trace, "stacks", _decoder(spaces))) if figure
    ]
    sentences = [block.alt for block in blocks]
    lead = blocks[2] if len(blocks) > 2 else blocks[0]
    return Section(
        name="geometry",
        title="Where languages and stacks meet",
        question="Does the space narrow, do sentences of different task prefixes meet, and do source and target?",
        findings=tuple(sentences),
        blocks=tuple(blocks),
        headline=Headline(_short(lead.alt), "not judged", lead.name),
        limits=(
            "Mean states of sentences stand for their tokens: what only single tokens say is lost.",
            "A sentence found under another prefix may be found by its words alone, which an untrained encoder "
            "keeps too: compare "
            "with the first step.",
        ),
    )


def _short(sentence: str) -> str:
    return f"{sentence.split(';')[0].rstrip('.')}."


def _decoder(spaces: Sequence[str]) -> tuple[str, ...]:
    return tuple(space for space in spaces if space.startswith("decoder"))


def _met(trace: Trace, name: str, spaces: Sequence[str]) -> Figure | None:
    main = trace.main
    if np.isnan(main.snapshots[-1].numbers[name]).all():
        return None
    shown = list(range(len(spaces)))[:_MOST_LINES]
    series = [number_line(main, name, spaces[index], (index,), interval=False) for index in shown]
    chance = main.snapshots[-1].chance[name]
    steps = np.array(main.steps, dtype=np.float64)
    series.append(Series("chance", steps, np.full(len(steps), chance), style="control"))
    # What enters the first layer finds its sentence by its words alone; what the stack gives is what matters.
    encoder = [space for space in shown if spaces[space].startswith("encoder")]
    at = encoder[-1] if name == "languages" else shown[-1]
    what = (
        f"sentences find themselves under other prefixes in {spaces[at]}"
        if name == "languages"
        else f"targets in {spaces[at]} find their source"
    )
    said = (
        f"At the end {percent(float(series[at].y[-1]))} of the {what}; at the first step "
        f"{percent(float(series[at].y[0]))}, by chance {percent(chance)}."
    )
    caption = (
        "Languages: share of other task prefixes under which the nearest sentence, by its mean state, is the same sentence."
        if name == "languages"
        else "Stacks: share of targets whose mean state is nearest to the mean encoder output of their own source."
    )
    return step_figure(f"trace-{name}", series, "share that is found", caption, said)


def sections_of(trace: Trace) -> list[Section]:
    """The sections for which there are numbers, in the order of the page."""
    numbers = trace.main.snapshots[-1].numbers
    found: list[Section | None] = [position_section(trace)]
    found.append(reading_section(trace) if "mass" in numbers else None)
    found.append(attribution_section(trace) if "attribution" in numbers else None)
    found.append(geometry_section(trace) if trace.main.snapshots[-1].geometry is not None else None)
    return [section for section in found if section is not None]
