"""The section on what is learned: loss and quality, beside other seeds and controls."""

from analyses.trace.present.curves import PARTS, called, number_line, step_figure, step_words
from analyses.trace.trace import RunTrace, Trace
from interp.report import Headline, Section
from interp.report.numbers import fixed, percent
from interp.statistics.change_points import LEAST_MOMENTS


def training_section(trace: Trace) -> Section:
    """Loss and quality over steps."""
    main = trace.main
    first, last = (main.snapshots[place].mean("loss") for place in (0, -1))
    whole = main.snapshots[-1].mean("whole")
    sentences = [
        f"The loss of {main.name} is {fixed(first.point)} nats a token at step {main.steps[0]:,} and {fixed(last.point)} at step "
        f"{main.steps[-1]:,}; {_fall(trace)}.",
        _of_targets(trace, f"At the last step {percent(whole.point)} of the targets are written without a mistake"),
        *(_of_other(trace, run) for run in trace.runs[1:]),
    ]
    seen = [number_line(run, "loss", called(run), interval=run.part == "main") for run in trace.runs]
    quality = [
        number_line(run, name, f"{called(run)}: {what}", interval=False)
        for run in trace.runs
        if run.part != "seed"
        for name, what in (("right", "tokens"), ("whole", "whole targets"))
    ]
    return Section(
        name="learning",
        title="What is learned",
        question="How do loss and quality move, and what do other seeds and controls do?",
        findings=tuple(sentences),
        blocks=(
            step_figure(
                "trace-loss",
                seen,
                "loss (nats a target token)",
                "Mean negative log-likelihood of the targets' tokens over the steps; the band is the 95 % interval "
                "over sentences.",
                sentences[0],
            ),
            step_figure(
                "trace-quality",
                quality,
                "share that is right",
                "Tokens that the model puts first given the right ones before, and whole targets in which all are: "
                "those that greedy "
                "decoding writes.",
                sentences[1],
            ),
        ),
        headline=Headline(
            _headline(trace),
            "not judged",
            "trace-loss",
        ),
        limits=(
            "Loss and quality are those of the given prompts; they say nothing of other texts.",
            "Between two moments nothing is known: a change lies somewhere between a step and the one before.",
        ),
    )


def _fall(trace: Trace) -> str:
    """Where the loss changes most, if that was looked for."""
    change, count = trace.main.loss.main, len(trace.main.steps)
    if change is not None:
        return f"it changes most before step {step_words(trace, change.place, change.low, change.high)}"
    few = f"of {count} moments the place of a change is not looked for"
    return few if count < LEAST_MOMENTS else "it does not change between moments"


def _of_targets(trace: Trace, sentence: str) -> str:
    """The sentence, which says nothing where the last moment wrote the targets itself."""
    own = "" if trace.target_origin == "given" else ": they are its own, so that this says nothing"
    return f"{sentence}{own}."


def _headline(trace: Trace) -> str:
    main = trace.main
    if trace.target_origin == "given":
        whole = main.snapshots[-1].mean("whole")
        return f"{main.name} writes {percent(whole.point)} of the targets without a mistake at its last step."
    first, last = (main.snapshots[place].mean("loss") for place in (0, -1))
    return f"The loss of {main.name} goes from {fixed(first.point)} to {fixed(last.point)} nats a token."


def _of_other(trace: Trace, run: RunTrace) -> str:
    last, whole = (run.snapshots[-1].mean(name) for name in ("loss", "whole"))
    common = set(run.steps) & set(trace.main.steps)
    apart = "" if common else f"; it has no step in common with {trace.main.name}, so that its heads are not matched"
    return (
        f"{run.name}{PARTS[run.part]} ends at step {run.steps[-1]:,} with a loss of {fixed(last.point)} and "
        f"{percent(whole.point)} of whole targets{apart}."
    )
