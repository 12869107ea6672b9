"""The command that finds a circuit on minimal pairs: which edges carry the answer, and how good the circuit is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import check_output, messages, print_frame, print_pairs, read_text, say

if TYPE_CHECKING:
    from interp.circuits import CircuitSearch

MetricName = Literal["logit-difference", "kl"]
MethodName = Literal["eap", "eap-ig", "eap-ig-activations", "exact"]

_PAIRS = (
    "Minimal pairs, one JSON object a line: clean, corrupted, clean_target, corrupted_target. Bundled pairs if missing."
)
_METHOD = "How edges are scored; `exact` patches every edge, which is dear."
_CHECKED = "Edges patched exactly as a check; 0 for none."


def circuit(
    pairs: Annotated[Path | None, typer.Option(help=_PAIRS)] = None,
    kind: Annotated[str | None, typer.Option(help="Only pairs of this kind.")] = None,
    metric: Annotated[MetricName, typer.Option(help="What is kept.")] = "logit-difference",
    method: Annotated[MethodName, typer.Option(help=_METHOD)] = "eap-ig",
    keeps: Annotated[float, typer.Option(min=0.01, max=1.0, help="Share of the metric that is enough.")] = 0.9,
    check: Annotated[int, typer.Option(min=0, help=_CHECKED)] = 300,
    draws: Annotated[int, typer.Option(min=1, help="Random circuits of each kind.")] = 100,
    top: Annotated[int, typer.Option(min=1, help="Edges shown.")] = 20,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the circuit, FILE.json.")] = None,
    graphml: Annotated[Path | None, typer.Option(help="Write it for graph programs, FILE.graphml.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 16,
    seed: Annotated[int, typer.Option(help="Of samples and random circuits.")] = 0,
) -> None:
    """Find the edges between heads, MLPs, embeddings and logits of both stacks that carry an answer.

    Every second pair finds the circuit; the others judge it, against random circuits of its size and of its degrees.

    Examples:
    \b
      interp circuit --kind number
      interp circuit --pairs switch.jsonl --model models/switch --out circuit.json --graphml circuit.graphml
      interp circuit --method eap --check 0
    """
    with messages():
        import interp
        from interp.circuits import circuit_graphml, circuit_json, find_circuit
        from interp.errors import InputError
        from interp.patching import candidate_pairs, parse_pairs

        check_output(out, ".json", overwrite)
        check_output(graphml, ".graphml", overwrite)
        given = None if pairs is None else parse_pairs(read_text(pairs, "file of pairs"), pairs.name)
        hooked = interp.load(model, revision=revision, device=device)
        candidates = candidate_pairs(hooked.cfg) if given is None else given
        chosen = [pair for pair in candidates if kind is None or pair.kind == kind]
        if not chosen:
            known = ", ".join(dict.fromkeys(pair.kind for pair in candidates))
            raise InputError(f"No pair is of kind {kind!r}; there are {known}.")
        found = find_circuit(hooked, chosen, method, metric, keeps, check, draws, seed, batch_size)
        print_pairs(_summary(found))
        _print_edges(found, top)
        if out is not None:
            out.write_text(circuit_json(found.circuit, found.scores, _facts(found)), encoding="utf-8")
            say(f"circuit: {out}")
        if graphml is not None:
            graphml.write_text(circuit_graphml(found.circuit, found.scores), encoding="utf-8")
            say(f"graph: {graphml}")


def _summary(found: "CircuitSearch") -> list[tuple[str, str]]:
    size, degree = (float(draws.quantile(0.95)) for draws in (found.same_size, found.same_degree))
    halves = "the same pairs" if found.found_on == found.judged_on else f"{len(found.judged_on)} other pairs"
    steps = f", {found.scores.steps} gradients" if found.scores.steps else ""
    rows = [
        ("pairs", f"{len(found.found_on)} to find it, {halves} to judge it; {len(found.refused)} left out"),
        ("scores", f"{found.scores.method} of {found.scores.metric}{steps}"),
        ("circuit", f"{len(found.circuit)} of {len(found.circuit.graph)} edges, {len(found.circuit.nodes)} nodes"),
        ("keeps", f"{found.kept:.3f} of the metric on its own pairs, {found.judged:.3f} on {halves}"),
        ("random", f"95 of 100 circuits keep at most {size:.3f} (same size), {degree:.3f} (same degrees)"),
        ("CPR, CMD", f"{found.signed.cpr:.3f} (harmful edges last), {found.absolute.cmd:.3f} (by size)"),
    ]
    if found.agreement is not None:
        one = found.agreement
        rank = f"rank correlation {one.rank:.3f} ({one.low:.3f} to {one.high:.3f})"
        rows.append(("exact", f"{one.edges} edges patched: {rank}, relative error {one.error:.3f}"))
    return rows


def _facts(found: "CircuitSearch") -> dict[str, Any]:
    """What the JSON file says beside the edges."""
    one = found.agreement
    return {
        "found_on": [pair.id for pair in found.found_on],
        "judged_on": [pair.id for pair in found.judged_on],
        "refused": found.refused,
        "faithfulness": {"found": found.kept, "judged": found.judged},
        "random": {
            kind: {"draws": len(draws), "mean": float(draws.mean()), "q95": float(draws.quantile(0.95))}
            for kind, draws in (("same size", found.same_size), ("same degrees", found.same_degree))
        },
        "cpr": found.signed.cpr,
        "cmd": found.absolute.cmd,
        "curves": {
            name: {"shares": curve.shares, "sizes": curve.sizes, "faithfulness": curve.values}
            for name, curve in (("signed", found.signed), ("absolute", found.absolute))
        },
        "exact": None
        if one is None
        else {"edges": one.edges, "rank": one.rank, "low": one.low, "high": one.high, "error": one.error},
    }


def _print_edges(found: "CircuitSearch", top: int) -> None:
    import pandas as pd

    graph, mean = found.circuit.graph, found.scores.mean.tolist()
    edges = sorted(found.circuit.edges, key=lambda edge: (-abs(mean[graph.number(edge)]), edge))[:top]
    rows = [(edge.writer, edge.receiver, float(mean[graph.number(edge)])) for edge in edges]
    unit = "nats" if found.scores.metric == "kl" else "logits"
    print_frame(
        "Edges of the circuit", pd.DataFrame(rows, columns=["writer", "receiver", f"effect of corrupting it, {unit}"])
    )
