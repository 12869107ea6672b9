"""What circuits say: headline, at most five plain sentences, what stands behind them, limits and methods."""

import numpy as np

from analyses.circuits.figures import GRAPH
from analyses.circuits.summary import AnswerCircuit, ExactCheck
from analyses.circuits.tables import receiver_frame
from interp.report import Finding, Headline, judge
from interp.report.numbers import fixed, interval, number, percent, with_interval

_QUANTILE = 0.95

LIMITS = (
    "A circuit is about these pairs, this corruption and this metric; of other sentences it says nothing.",
    "An edge whose writer writes the same in both runs has no effect, however necessary it is: the start row, and all that "
    "hangs on what the decoder wrote so far where both sides share it.",
    "An edge that matters only when another is gone has no effect by itself (backup heads; McGrath et al. 2023).",
    "Scores are estimates. EAP-IG averages gradients on the way from the corrupted to the clean input, so among edges of "
    "little effect it ranks by what lies between corrupting and restoring, not by corrupting alone; the check shows how far "
    "that is from exact patching.",
    "The untrained twin keeps shares of a metric of its own, in which answer and foil change roles where needed for the "
    "corruption to cost anything.",
)


def metric_name(result: AnswerCircuit) -> str:
    """What is kept, in words."""
    return "the answer's lead" if result.settings.metric == "logit-difference" else "the answer's KL divergence"


def headline(result: AnswerCircuit) -> Headline:
    """What the circuit keeps on other pairs; on its own, which it was made to keep, nothing is judged."""
    kept = fixed(result.judged.point)
    other, sure = ("other pairs", judge(result.judged)) if result.held_out else ("its own pairs", "not judged")
    return Headline(f"The circuit found keeps {kept} of {metric_name(result)} on {other}.", sure, GRAPH)


def no_headline() -> Headline:
    """That nothing was asked."""
    return Headline("Too few minimal pairs turn this model's answer, so no circuit was sought.", "not judged")


def size_sentence(result: AnswerCircuit) -> str:
    """How large the circuit is, and on what."""
    circuit = result.circuit
    kind = f" of kind {result.settings.kind}" if result.settings.kind else ""
    return (
        f"The smallest circuit that keeps {percent(result.settings.keeps)} of {metric_name(result)} on {len(result.found_on)} "
        f"pairs{kind} has {len(circuit)} of {len(circuit.graph):,} edges and {len(circuit.nodes)} nodes; on "
        f"{result.judge_name}, whose metric is {number(result.lead)} {result.unit}, it keeps "
        f"{with_interval(result.judged)}."
    )


def random_sentence(result: AnswerCircuit) -> str:
    """What random circuits keep."""
    draws = len(result.same_size)
    limits = [
        sorted(some.tolist())[int(_QUANTILE * (len(some) - 1))] for some in (result.same_size, result.same_degree)
    ]
    return (
        f"Of {draws} random circuits of its size, connected and grown from the logits, 95 % keep at most {fixed(limits[0])}; of "
        f"{draws} with its degrees (every receiver reads as many writers, others), at most {fixed(limits[1])}."
    )


def twin_sentence(result: AnswerCircuit) -> str:
    """What the method finds in an untrained twin."""
    twin = result.twin
    if twin is None:
        return "This run has no untrained twin."
    shared = twin.shared
    return (
        f"In an untrained twin the same method needs {len(shared.second)} edges for {percent(result.settings.keeps)} of the "
        f"twin's own metric, and they keep {fixed(twin.judged)} on {result.judge_name}; {len(shared.both)} of them are edges of "
        f"the circuit, where {number(shared.by_chance)} would be by chance."
    )


def curve_sentence(result: AnswerCircuit) -> str:
    """CPR and CMD."""
    twin = "" if result.twin is None else f" (untrained twin {fixed(result.twin.curves['signed'].cpr)})"
    return (
        f"Over sizes from a thousandth of the edges to all, CPR is {fixed(result.curves['signed'].cpr)}{twin}, CMD "
        f"{fixed(result.curves['absolute'].cmd)} (Mueller et al. 2025)."
    )


def completeness_sentence(result: AnswerCircuit) -> str:
    """Whether anything that the circuit lacks stands in for it."""
    apart = result.completeness
    return (
        f"With a random half of its edges knocked out of both, circuit and model differ by {fixed(apart.mean())} of the metric "
        f"on average and {fixed(apart.max())} at most ({len(apart)} halves): as much is done by what it lacks (completeness; "
        "Wang et al. 2022)."
    )


def minimality_sentences(result: AnswerCircuit) -> tuple[str, ...]:
    """Whether all that it has is needed."""
    needed = result.needed
    if needed is None:
        return ()
    drawn = (
        f"{len(needed.values)} of its edges, drawn at random,"
        if len(needed.values) < len(result.circuit)
        else "its edges"
    )
    median, least = (fixed(one, 3) for one in (np.median(needed.values), needed.values.min()))
    told = (
        f"Of {drawn} the median one changes the metric by {median} of it, the least by {least}, where it matters most: taken out "
        "of the circuit, or out of what random halves leave of it (minimality; Wang et al. 2022)."
    )
    if not len(needed.controls):
        return (told,)
    limit = np.quantile(needed.controls, _QUANTILE)
    return (
        f"{told} {int((needed.values > limit).sum())} of {len(needed.values)} matter more than 95 % of {len(needed.controls)} "
        f"edges between the same nodes that it lacks do when put in ({fixed(limit, 3)}).",
    )


def strongest_sentences(result: AnswerCircuit) -> tuple[str, ...]:
    """The edges whose corruption changes most, and those that work against the answer."""
    effects = result.effects
    told = [f"{edge} {with_interval(effects[place], write=number)}" for place, edge in enumerate(result.edges[:5])]
    against = int((result.sign * effects.point < 0).sum())
    tail = f" {against} of its edges work against the answer." if against else ""
    return (f"Strongest edges, by what corrupting them does in {result.unit}: {'; '.join(told)}.{tail}",)


def receiver_sentence(result: AnswerCircuit) -> str:
    """The circuit by what reads."""
    rows = receiver_frame(result).itertuples(index=False, name=None)
    parts = [f"{name} {edges} of {of_all:,} ({number(total)} {result.unit})" for name, edges, of_all, total in rows]
    return f"By what reads, edges and the sum of their sizes: {', '.join(parts)}."


def check_sentence(result: AnswerCircuit, check: ExactCheck) -> str:
    """How scores agree with exact patching."""
    return (
        f"{len(check.numbers)} edges patched exactly: scores of {result.settings.method} rank them with correlation "
        f"{interval(*check.rank)}, relative error {fixed(check.error)}; beside the mean of corrupting and of restoring the "
        f"edge, the correlation is {interval(*check.both)}."
    )


def findings(result: AnswerCircuit) -> tuple[str, ...]:
    """What was found, most important first."""
    checked = () if result.check is None else (check_sentence(result, result.check),)
    return (
        size_sentence(result),
        random_sentence(result),
        twin_sentence(result),
        curve_sentence(result),
        completeness_sentence(result),
        *minimality_sentences(result),
        *strongest_sentences(result),
        receiver_sentence(result),
        *checked,
    )


def highlights(result: AnswerCircuit) -> tuple[Finding, ...]:
    """Size, nulls, the strongest edge, where it looks, and the check."""
    circuit, first = result.circuit, result.edges[0]
    pairs = "pairs it was not found on" if result.held_out else "the very pairs it was found on"
    frame = receiver_frame(result)
    looking = int(frame["edges"][:2].sum())
    highest = fixed(max(result.same_size.max(), result.same_degree.max()))
    checked = (
        ()
        if result.check is None
        else (
            Finding(
                f"Scores rank edges as exact patching does with correlation {interval(*result.check.rank)}.",
                (check_sentence(result, result.check),),
            ),
        )
    )
    return (
        Finding(
            f"The circuit found keeps {with_interval(result.judged)} of {metric_name(result)} on {pairs}.",
            (
                size_sentence(result),
                curve_sentence(result),
                completeness_sentence(result),
                *minimality_sentences(result),
            ),
        ),
        Finding(
            f"No random circuit of its size or of its degrees keeps more than {highest}.",
            (random_sentence(result), twin_sentence(result)),
        ),
        Finding(
            f"The strongest edge is {first}: corrupting it changes the metric by "
            f"{with_interval(result.effects[0], write=number)} {result.unit}.",
            strongest_sentences(result),
        ),
        Finding(
            f"Queries and keys, which decide where heads look, are {percent(looking / len(circuit))} of its edges.",
            (receiver_sentence(result),),
        ),
        *checked,
    )


def methods(result: AnswerCircuit) -> tuple[str, ...]:
    """How the numbers were made."""
    settings = result.settings
    steps = f" ({result.steps} gradients)" if result.steps else ""
    return (
        "Nodes are the embeddings, every head and every MLP of both stacks, and the logits; an edge leads from each to all "
        "that read its stream later: queries, keys and values of heads apart, MLPs, logits, and from the encoder to keys and "
        "values of every cross-attention head. Corrupting an edge puts what its writer writes in the corrupted run into what "
        "the receiver reads, all norms taken anew.",
        f"Scores: {settings.method} of the {settings.metric}{steps}, mean over pairs. The circuit is grown greedily from the "
        f"logits by signed scores, and is the smallest met that keeps {percent(settings.keeps)} on every second pair; the "
        "others judge it. Faithfulness is (m(circuit) − m(nothing)) / (m(model) − m(nothing)), means over pairs first.",
        f"Controls: {settings.draws} random circuits of its size, as many of its degrees, and the same method on an untrained "
        f"twin with the same pairs. Check: {settings.check} edges, as many of every kind of receiver, patched exactly.",
    )
