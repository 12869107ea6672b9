"""Tables: edges, nodes, sizes, controls, exact patching, pairs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analyses.circuits.graph import kind_of
from analyses.circuits.summary import AnswerCircuit, ExactCheck, Needed
from interp.circuits import Edge
from interp.circuits.graph import LOGITS
from interp.report import Span, Table
from interp.report.layered_graph import KINDS

_QUANTILE = 0.95


def tables(result: AnswerCircuit) -> Iterator[Table]:
    """All tables of the section."""
    yield edge_table(result)
    yield node_table(result)
    yield receiver_table(result)
    yield control_table(result)
    yield size_table(result)
    if result.needed is not None:
        yield needed_table(result, result.needed)
    if result.check is not None:
        yield check_table(result, result.check)
    yield pair_table(result)


def edge_table(result: AnswerCircuit) -> Table:
    """The circuit's edges, the strongest first."""
    effect = f"effect ({result.unit})"
    frame = pd.DataFrame({
        "writer": [edge.writer for edge in result.edges],
        "receiver": [edge.receiver for edge in result.edges],
        **result.effects.columns(effect),
        "composition": result.weights,
    })
    controls = ("twins low", "twins high") if result.twin is not None else ()
    return Table(
        name="circuit-edges",
        caption=(
            "The edges of the circuit. Effect: what corrupting the edge does to the metric, as estimated, mean over the pairs "
            f"that it was found on{', with the untrained twin' if controls else ''}. Composition: how strongly the weights of "
            f"both ends fit, by chance {result.cfg.d_model**-0.5:.2f}."
        ),
        frame=frame,
        columns_shown=("writer", "receiver", effect, "composition"),
        spans=(Span.of(effect, controls=controls) if controls else Span(effect, f"{effect} low", f"{effect} high"),),
    )


def node_frame(result: AnswerCircuit) -> pd.DataFrame:
    """What goes in and out of every node of the circuit."""
    sizes = np.abs(result.effects.point)

    def through(place: str) -> Any:
        return (
            pd
            .Series(sizes, [getattr(edge, place) for edge in result.edges])
            .groupby(level=0)
            .agg(["count", "sum"])
            .stack()
        )

    into, out = through("node"), through("writer")
    nodes = result.circuit.nodes
    frame = pd.DataFrame({
        "node": nodes,
        "edges in": [int(into.get((node, "count"), 0)) for node in nodes],
        "edges out": [int(out.get((node, "count"), 0)) for node in nodes],
        f"in ({result.unit})": [float(into.get((node, "sum"), 0.0)) for node in nodes],
        f"out ({result.unit})": [float(out.get((node, "sum"), 0.0)) for node in nodes],
    })
    return frame.sort_values(frame.columns[-1], ascending=False, kind="stable", ignore_index=True)


def node_table(result: AnswerCircuit) -> Table:
    """The circuit's nodes, those first from which most comes."""
    return Table(
        name="circuit-nodes",
        caption="The nodes of the circuit: their edges in it, and the sums of the sizes of their effects.",
        frame=node_frame(result),
    )


def receiver_frame(result: AnswerCircuit) -> pd.DataFrame:
    """The circuit by what reads: queries, keys, values, MLPs, logits."""
    kinds = [_receiver(edge) for edge in result.edges]
    all_kinds = pd.Series([_receiver(edge) for edge in result.circuit.graph.edges]).value_counts()
    sizes = pd.Series(np.abs(result.effects.point), kinds).groupby(level=0).sum()
    counts = pd.Series(kinds).value_counts()
    names = [*(KINDS[kind][0] for kind in ("q", "k", "v")), "MLPs", "logits"]
    return pd.DataFrame({
        "read as": names,
        "edges": [int(counts.get(name, 0)) for name in names],
        "of all": [int(all_kinds.get(name, 0)) for name in names],
        f"sum of sizes ({result.unit})": [float(sizes.get(name, 0.0)) for name in names],
    })


def _receiver(edge: Edge) -> str:
    kind = kind_of(edge)
    return KINDS[kind][0] if kind != "input" else ("logits" if edge.receiver == LOGITS else "MLPs")


def receiver_table(result: AnswerCircuit) -> Table:
    """The circuit by what reads."""
    return Table(
        name="circuit-receivers",
        caption="Edges of the circuit by what reads them: queries and keys decide where a head looks, values what it carries.",
        frame=receiver_frame(result),
    )


def control_frame(result: AnswerCircuit) -> pd.DataFrame:
    """What the circuit keeps, beside all that should keep less."""
    size = len(result.circuit)
    rows: list[tuple[str, int, float, float, float]] = [
        ("the circuit, on its own pairs", size, result.kept, np.nan, np.nan),
        (
            f"the circuit, on {result.judge_name}",
            size,
            float(result.judged.point),
            float(result.judged.low),
            float(result.judged.high),
        ),
    ]
    for name, draws in (("same size", result.same_size), ("same degrees", result.same_degree)):
        rows.append((
            f"random circuits of the {name}",
            size,
            float(draws.mean()),
            float(draws.min()),
            float(draws.max()),
        ))
    if result.twin is not None:
        rows.append((
            "untrained twin, its own circuit",
            len(result.twin.shared.second),
            result.twin.judged,
            np.nan,
            np.nan,
        ))
    return pd.DataFrame(rows, columns=["what is kept by", "edges", "share of the metric", "low", "high"])


def control_table(result: AnswerCircuit) -> Table:
    """What the circuit keeps, beside controls."""
    return Table(
        name="circuit-controls",
        caption=(
            "Share of the metric that is kept. Low and high: of the circuit its 95 % interval over pairs, of random circuits the "
            f"range of {len(result.same_size)}. The twin's share is of its own metric."
        ),
        frame=control_frame(result),
        spans=(Span("share of the metric", "low", "high"),),
    )


def size_table(result: AnswerCircuit) -> Table:
    """Faithfulness at every size."""
    signed, absolute = result.curves["signed"], result.curves["absolute"]
    twin = {} if result.twin is None else {"kept by the twin's": result.twin.curves["signed"].values}
    frame = pd.DataFrame({
        "share of edges": [f"{100 * share:g} %" for share in signed.shares],
        "edges": signed.sizes,
        "kept, harmful last": signed.values,
        "kept, by size": absolute.values,
        **twin,
    })
    return Table(
        name="circuit-sizes",
        caption=(
            f"What more and more of the best edges keep, once pruned. CPR {signed.cpr:.3f} (harmful edges last; higher is "
            f"better), CMD {absolute.cmd:.3f} (by size; 0 is best)."
        ),
        frame=frame,
    )


def needed_table(result: AnswerCircuit, needed: Needed) -> Table:
    """How much single edges matter, the least first: what the circuit could do without."""
    edges = [result.circuit.graph.edges[number] for number in (*needed.numbers, *needed.lacking)]
    values = np.concatenate([needed.values, needed.controls])
    frame = pd.DataFrame({
        "writer": [edge.writer for edge in edges],
        "receiver": [edge.receiver for edge in edges],
        "in the circuit": ["yes"] * len(needed.numbers) + ["no"] * len(needed.lacking),
        "share of the metric": values,
    })
    return Table(
        name="circuit-minimality",
        caption=(
            "How much single edges matter where they matter most. In the circuit: taken out of it, or out of what random halves "
            "leave of it. Not in it: put in, as a control."
        ),
        frame=frame.iloc[np.argsort(values, kind="stable")].reset_index(drop=True),
        spans=(Span("share of the metric"),),
    )


def check_table(result: AnswerCircuit, check: ExactCheck) -> Table:
    """Scores beside exact patching, the largest effect first."""
    edges = [result.circuit.graph.edges[number] for number in check.numbers]
    frame = pd.DataFrame({
        "writer": [edge.writer for edge in edges],
        "receiver": [edge.receiver for edge in edges],
        f"score ({result.unit})": check.scores,
        f"corrupted ({result.unit})": check.exact,
        f"restored ({result.unit})": check.restored,
        "in the circuit": ["yes" if number in set(result.numbers) else "no" for number in check.numbers],
    })
    order = np.argsort(-np.abs(check.exact), kind="stable")
    return Table(
        name="circuit-check",
        caption=(
            "A sample of edges, patched one by one. Corrupted: what that does to the clean run. Restored: what the corrupted "
            "run lacks for want of the edge."
        ),
        frame=frame.iloc[order].reset_index(drop=True),
    )


def pair_table(result: AnswerCircuit) -> Table:
    """The pairs, and what they were used for."""
    used = [("finds", pair) for pair in result.found_on]
    if result.judged_on != result.found_on:
        used += [("judges", pair) for pair in result.judged_on]
    rows = [(pair.id, pair.clean, pair.corrupted, pair.clean_target, pair.corrupted_target, use) for use, pair in used]
    rows += [(name, "", "", "", "", f"left out: {why}") for name, why in result.refused.items()]
    columns = ["pair", "clean", "corrupted", "clean target", "corrupted target", "use"]
    return Table(
        name="circuit-pairs",
        caption="The minimal pairs: which found the circuit, which judged it, and which were left out.",
        frame=pd.DataFrame(rows, columns=columns),
    )
