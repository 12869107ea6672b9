"""The command that finds a circuit on minimal pairs: which edges carry the answer, and how good the circuit is."""

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import check_output, messages, print_frame, print_pairs, read_text, say
from analyses.commands.pages import page_slug, typed_command, write_page

if TYPE_CHECKING:
    from analyses.circuits import AnswerCircuit
    from interp.circuits import Circuit, CircuitSearch

MetricName = Literal["logit-difference", "kl"]
MethodName = Literal["eap", "eap-ig", "eap-ig-activations", "exact"]

_PAIRS = (
    "Minimal pairs, one JSON object a line: clean, corrupted, clean_target, corrupted_target. Bundled pairs if missing."
)
_METHOD = "How edges are scored; `exact` patches every edge, which is dear."
_CHECKED = "Edges patched exactly as a check; 0 for none."
_PAGE = "Also write a page with the graph to explore, FILE.html, its tables and figures beside it."
_AGAINST = "A circuit of the same model, FILE.json, that this one is compared with."


def circuit(
    pairs: Annotated[Path | None, typer.Option(help=_PAIRS)] = None,
    kind: Annotated[str | None, typer.Option(help="Only pairs of this kind.")] = None,
    metric: Annotated[MetricName, typer.Option(help="What is kept.")] = "logit-difference",
    method: Annotated[MethodName, typer.Option(help=_METHOD)] = "eap-ig",
    keeps: Annotated[float, options.number_option(min=0.01, max=1.0, help="Share of the metric that is enough.")] = 0.9,
    check: Annotated[int, typer.Option(min=0, help=_CHECKED)] = 300,
    draws: Annotated[int, typer.Option(min=1, help="Random circuits of each kind.")] = 100,
    twin: Annotated[bool, typer.Option(help="Also find a circuit in an untrained twin.")] = True,
    top: Annotated[int, typer.Option(min=1, help="Edges shown.")] = 20,
    against: Annotated[Path | None, typer.Option(help=_AGAINST)] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the circuit, FILE.json.")] = None,
    graphml: Annotated[Path | None, typer.Option(help="Write it for graph programs, FILE.graphml.")] = None,
    page: Annotated[Path | None, typer.Option(help=_PAGE)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    batch_size: options.BatchSize = 16,
    seed: Annotated[int, typer.Option(help="Of samples, random circuits and the twin.", **options.SEEDS)] = 0,
) -> None:
    """Find the edges between heads, MLPs, embeddings and logits of both stacks that carry an answer.

    Every second pair finds the circuit; the others judge it, against random circuits of its size and of its degrees, and beside
    what the same method finds in an untrained twin.

    Examples:
    \b
      interp circuit --kind number
      interp circuit --kind gender --page gender.html
      interp circuit --pairs switch.jsonl --model models/switch --out circuit.json --graphml circuit.graphml
      interp circuit --kind noun --against gender.json
      interp circuit --method eap --check 0 --no-twin
    """
    with messages():
        import interp
        from analyses.circuits.settings import CircuitSettings
        from interp.circuits import LEAST_APART, graph_of
        from interp.patching import candidate_pairs, parse_pairs

        for path, ending in ((out, ".json"), (graphml, ".graphml"), (page, ".html")):
            check_output(path, ending, overwrite)
        given = None if pairs is None else parse_pairs(read_text(pairs, "file of pairs"), pairs.name)
        other = None if against is None else read_text(against, "circuit")
        hooked = interp.load(model, revision, device, "float32", max_length, source_lang, target_lang)
        graph_of(hooked.cfg)  # refused before pairs are
        earlier = None if other is None else _earlier(other, hooked)
        chosen = _of_kind(candidate_pairs(hooked.cfg) if given is None else given, kind)
        settings = CircuitSettings(kind=kind, method=method, metric=metric, keeps=keeps, check=check, draws=draws)
        found, result = _found(hooked, chosen, settings, seed, batch_size, twin, LEAST_APART if given is None else 1)
        print_pairs(_summary(found, result))
        if earlier is not None:
            print_pairs([("against", _shared(found.circuit, earlier))])
        _print_edges(found, top)
        _write_files(found, result, out, graphml)
        if page is not None:
            _write_page(result, page, PurePath(model).name)


def _of_kind(candidates: Any, kind: str | None) -> list[Any]:
    """The pairs of a kind.

    Raises:
        InputError: if there are none.
    """
    from interp.errors import InputError

    chosen = [pair for pair in candidates if kind is None or pair.kind == kind]
    if not chosen:
        known = ", ".join(dict.fromkeys(pair.kind for pair in candidates))
        raise InputError(f"No pair is of kind {kind!r}; there are {known}.")
    return chosen


def _write_files(found: "CircuitSearch", result: "AnswerCircuit", out: Path | None, graphml: Path | None) -> None:
    """Write the circuit as JSON and as GraphML, where a place is given."""
    from interp.circuits import circuit_graphml, circuit_json

    if out is not None:
        out.write_text(circuit_json(found.circuit, found.scores, _facts(found, result)), encoding="utf-8")
        say(f"circuit: {out}")
    if graphml is not None:
        graphml.write_text(circuit_graphml(found.circuit, found.scores), encoding="utf-8")
        say(f"graph: {graphml}")


def _found(
    model: Any, pairs: list[Any], settings: Any, seed: int, batch_size: int, twin: bool, least: int
) -> tuple["CircuitSearch", "AnswerCircuit"]:
    """The search, and what it says beside the twin's."""
    from dataclasses import asdict

    from analyses.circuits.experiment import arrays_of, control_arrays, search
    from analyses.circuits.settings import FittedSettings, PairTexts
    from analyses.circuits.summary import circuit_of
    from interp.model import untrained_twin

    found = search(model, pairs, settings, seed, batch_size=batch_size, least=least)
    usable = [pair for pair in pairs if pair.id not in found.refused]
    twins = [control_arrays(untrained_twin(model, 1000 * (seed + 1)), usable, settings, seed)] if twin else []
    texts = tuple(PairTexts(**asdict(pair)) for pair in usable)
    fitted = FittedSettings(**{**dict(settings), "pairs": texts, "refused": found.refused})
    return found, circuit_of(model.cfg, fitted, arrays_of(model, found), list(filter(None, twins)), seed)


def _earlier(text: str, model: Any) -> "Circuit":
    """A circuit of the model that was written before."""
    from interp.circuits import Circuit, graph_of, parse_circuit

    return parse_circuit(text, Circuit.of(graph_of(model.cfg), ()))


def _shared(circuit: "Circuit", earlier: "Circuit") -> str:
    """What two circuits share, in words."""
    from interp.circuits import compare

    shared = compare(circuit, earlier)
    return (
        f"{len(shared.both)} of {len(circuit)} edges are among the {len(earlier)} of the other, {shared.by_chance:.1f} by "
        f"chance; overlap (Jaccard) {shared.overlap:.3f}"
    )


def _write_page(result: "AnswerCircuit", page: Path, model: str) -> None:
    """The page, its tables and figures beside it."""
    from analyses.circuits.page import circuit_report

    write_page(circuit_report(result, typed_command(), model, page_slug(page)), page)


def _summary(found: "CircuitSearch", result: "AnswerCircuit") -> list[tuple[str, str]]:
    size, degree = (float(draws.quantile(0.95)) for draws in (found.same_size, found.same_degree))
    steps = f", {found.scores.steps} gradients" if found.scores.steps else ""
    rows = [
        ("pairs", f"{len(found.found_on)} to find it, {result.judge_name} to judge it; {len(found.refused)} left out"),
        ("scores", f"{found.scores.method} of {found.scores.metric}{steps}"),
        ("circuit", f"{len(found.circuit)} of {len(found.circuit.graph)} edges, {len(found.circuit.nodes)} nodes"),
        ("keeps", f"{found.kept:.3f} of the metric on its own pairs, {found.judged:.3f} on {result.judge_name}"),
        ("random", f"95 of 100 circuits keep at most {size:.3f} (same size), {degree:.3f} (same degrees)"),
        ("CPR, CMD", f"{found.signed.cpr:.3f} (harmful edges last), {found.absolute.cmd:.3f} (by size)"),
    ]
    apart = found.completeness
    rows.append((
        "completeness",
        f"without random halves of it {float(apart.mean()):.3f} from the model, {float(apart.max()):.3f} at most",
    ))
    if result.twin is not None:
        shared = result.twin.shared
        kept = f"{len(shared.second)} edges, which keep {result.twin.judged:.3f} on {result.judge_name}"
        rows.append(("untrained twin", f"{kept}; {len(shared.both)} in common, {shared.by_chance:.1f} by chance"))
    if found.agreement is not None:
        one = found.agreement
        rank, both = (
            f"{name} {rank.point:.3f} ({rank.low:.3f} to {rank.high:.3f})"
            for name, rank in (("rank correlation", one.rank), ("with the mean of corrupting and restoring", one.both))
        )
        rows.append(("exact", f"{one.edges} edges patched: {rank}, relative error {one.error:.3f}; {both}"))
    return rows


def _facts(found: "CircuitSearch", result: "AnswerCircuit") -> dict[str, Any]:
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
        "untrained twin": None
        if result.twin is None
        else {
            "edges": len(result.twin.shared.second),
            "judged": result.twin.judged,
            "in common": len(result.twin.shared.both),
            "cpr": result.twin.curves["signed"].cpr,
        },
        "cpr": found.signed.cpr,
        "cmd": found.absolute.cmd,
        "curves": {
            name: {"shares": curve.shares, "sizes": curve.sizes, "faithfulness": curve.values}
            for name, curve in (("signed", found.signed), ("absolute", found.absolute))
        },
        "exact": None
        if one is None
        else {
            "edges": one.edges,
            "rank": one.rank.point,
            "low": one.rank.low,
            "high": one.rank.high,
            "error": one.error,
            "rank beside both ways": one.both.point if found.scores.metric != "kl" else None,
        },
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
