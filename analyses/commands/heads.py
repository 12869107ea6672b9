"""The command that says what every attention head does: roles with their evidence and controls, in the terminal or as CSV."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from analyses.commands import options
from analyses.commands.engine import engine_of
from analyses.commands.messages import check_output, messages, print_frame, progress_bar, read_text, say
from analyses.head_specialization.roles.definitions import THRESHOLDS, decision_rows, rule_rows

if TYPE_CHECKING:
    import pandas as pd

    from analyses.head_specialization import HeadAtlas, HeadSettings
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.prompts import Prompt

_TITLES = {
    "roles": "Roles",
    "nearest": "No role; the heads that come nearest",
    "encoder": "Encoder self-attention",
    "decoder": "Decoder self-attention",
    "cross": "Cross-attention",
    "position": "Position or content",
    "importance": "Importance",
    "similarity": "Heads that attend alike",
    "copying": "Copying: OV eigenvalues and hits",
    "syntax": "Syntax: the best head of every relation, on sentences that did not choose it",
    "links": "Word links, source-target, counted from 0 after the prefix",
}

_BESIDE_METRICS = ("low", "high", "twins", "twins min", "twins max", "base", "lift")
_ONLY_IN_FILES = {"best of", "passes", "twins mean", "twins min", "p above null"}
"""Columns that stay in the CSV: those beside the column of a metric, and some of the roles."""

_NEAREST = 10

_ASKED = ("position", "importance", "similarity", "copying", "syntax")
"""Tables that have an option each."""

Kind = Literal["all", "encoder", "decoder", "cross"]

_evidence, _output = options.evidence_option, options.output_option
_GOLD = "Gold links, one prompt a line: s-t sure, spt possible, words counted from 0 after the prefix."
_OUT = "Write tables there: FILE.csv, FILE-importance.csv, ..."


def heads(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    prompts: options.Prompts = "translation",
    limit: options.Limit = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    twins: options.Twins = 5,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = 16,
    kind: Annotated[Kind, _output(help="Which attention.")] = "all",
    every: Annotated[bool, _output("--every", help="Every head, with or without a role.")] = False,
    position: Annotated[bool, _evidence("--position", help="Position or content, by head.")] = False,
    importance: Annotated[bool, _evidence("--importance", help="Gradient score and all ablations, by head.")] = False,
    similarity: Annotated[bool, _evidence("--similarity", help="Clusters of heads that attend alike.")] = False,
    copying: Annotated[bool, _evidence("--copying", help="OV eigenvalues and hit rates.")] = False,
    links: Annotated[bool, _evidence("--links", help="Word links of every cross-attention head.")] = False,
    gold: Annotated[Path | None, _evidence(help=_GOLD)] = None,
    conllu: Annotated[Path | None, _evidence(help="Gold parses for syntactic heads, a CoNLL-U file.")] = None,
    prefix: Annotated[str, _evidence(help="Text before every parsed sentence.")] = "",
    sample: Annotated[int, _evidence(min=2, help="Prompts for importance, copying and nulls.")] = 16,
    out: Annotated[Path | None, _output("--out", "-o", help=_OUT)] = None,
    overwrite: Annotated[bool, _output("--overwrite", help="Replace files that are there.")] = False,
    engine: options.EngineName = None,
    workers: options.Workers = None,
    address: options.Address = None,
    quiet: options.Quiet = False,
) -> None:
    """Print what every attention head does: its roles with score, interval, null, untrained twins and permuted weights.

    Examples:
    \b
      interp heads
      interp heads --kind cross --importance --limit 32
      interp heads --conllu english.conllu --prefix "translate English to German: " --out heads.csv
    """
    with messages(), progress_bar(quiet) as progress:
        import interp
        from analyses.head_specialization import heads as survey
        from analyses.runs.crew import crew_of

        check_output(out, ".csv", overwrite)
        given = _read(prompts, limit)
        settings = _settings(given, importance, similarity, gold, conllu, prefix, sample)
        load = partial(interp.load, model, revision, device, "float32", max_length, source_lang, target_lang)
        with crew_of(engine_of(engine, workers, address, prompts), load) as others:
            if others is None:
                return
            hooked = load()
            atlas = survey(hooked, given, settings, twins, seed, batch_size, progress, *others)
        asked = zip(_ASKED, (position, importance, similarity, copying, conllu is not None), strict=True)
        tables = _tables(atlas, kind, every, [name for name, wanted in asked if wanted])
        if links:
            tables["links"] = _links(hooked, given, batch_size)
        if out is not None:
            _write(tables, out)
    _say(atlas, tables)


def _read(prompts: str, limit: int | None) -> "list[Prompt]":
    """The prompts in the order in which a run computes."""
    from analyses.runs.inputs import read_prompt_set, reading_order

    read = read_prompt_set(prompts, limit).prompts
    return [read[place] for place in reading_order(read)]


def _say(atlas: "HeadAtlas", tables: "dict[str, pd.DataFrame]") -> None:
    say(atlas)
    for name, frame in tables.items():
        _print(atlas, name, frame)


def _write(tables: "dict[str, pd.DataFrame]", out: Path) -> None:
    for name, frame in tables.items():
        path = out if name == "roles" else out.with_name(f"{out.stem}-{name}.csv")
        frame.to_csv(path, index=False, lineterminator="\n")


def _rules() -> str:
    """The rules of the roles and what a verdict asks for, from the table that the decision reads."""
    roles = [f"  {roles}: {asks}" for roles, asks, _, _ in rule_rows(THRESHOLDS)]
    conditions = [f"  {name}: {text}" for name, text in decision_rows(THRESHOLDS)]
    return "\n".join([
        "\b",
        "Roles, at their thresholds:",
        *roles,
        "",
        "\b",
        "A head has a role if all of this holds:",
        *conditions,
    ])


heads.__doc__ = f"{inspect.cleandoc(heads.__doc__ or '')}\n\n{_rules()}"


def _settings(
    prompts: "Sequence[Prompt]",
    importance: bool,
    similarity: bool,
    gold: Path | None,
    conllu: Path | None,
    prefix: str,
    sample: int,
) -> "HeadSettings":
    from analyses.head_specialization import HeadSettings
    from analyses.head_specialization.measure.links import links_by_source
    from analyses.head_specialization.measure.parses import as_conllu, read_conllu
    from analyses.runs.settings_check import choose

    choices = {
        "importance": ("gradient", "zero", "mean", "resample", "unbiased") if importance else ("gradient",),
        "similarity": "all" if similarity else "none",
        "links": {} if gold is None else links_by_source(prompts, read_text(gold, "gold file")),
        "conllu": "" if conllu is None else as_conllu(read_conllu(conllu)),
        "prefix": prefix,
        "sample": sample,
    }
    return choose(HeadSettings, choices, "setting of head_specialization")


def _tables(atlas: "HeadAtlas", kind: Kind, every: bool, asked: list[str]) -> "dict[str, pd.DataFrame]":
    """The roles, or what comes nearest; every head of a kind; the evidence that was asked for. Heads of one kind or of all."""
    from analyses import head_specialization as found
    from interp.axes import ATTENTION_KINDS
    from interp.hooks.names import HeadId

    makers: dict[str, Callable[[HeadAtlas], pd.DataFrame]] = {
        "roles": found.labels_frame,
        "nearest": found.candidates_frame,
        **{one: partial(found.heads_frame, kind=one) for one in ATTENTION_KINDS},
        "position": found.position_frame,
        "importance": found.importance_frame,
        "similarity": found.similarity_frame,
        "copying": found.copying_frame,
        "syntax": lambda atlas: found.syntax_frame(atlas.syntax),
    }

    def of_kind(name: str) -> "pd.DataFrame":
        frame = makers[name](atlas)
        if kind == "all" or "head" not in frame:
            return frame
        return frame[[HeadId.parse(str(head)).kind == kind for head in frame["head"]]].reset_index(drop=True)

    roles = of_kind("roles")
    names = [] if len(roles) else ["nearest"]
    names += [one for one in ATTENTION_KINDS if every and kind in ("all", one)]
    return {"roles": roles} | {name: of_kind(name) for name in (*names, *asked)}


def _links(hooked: "HookedEncoderDecoder", prompts: "Sequence[Prompt]", batch_size: int) -> "pd.DataFrame":
    import pandas as pd

    from analyses.head_specialization import batches_of, links_frame

    ids, batches = batches_of(hooked, prompts, batch_size)
    frames, remaining = [], iter(ids)
    for batch in batches:
        frame, own = links_frame(hooked, batch), [next(remaining) for _ in range(len(batch))]
        frames.append(frame.assign(prompt=[own[place] for place in frame["prompt"]]))
    return pd.concat(frames, ignore_index=True)


def _print(atlas: "HeadAtlas", name: str, frame: "pd.DataFrame") -> None:
    if not len(frame):
        return
    metrics = {metric.name for metrics in atlas.metrics.values() for metric in metrics}
    hidden = _ONLY_IN_FILES | {f"{metric} {part}" for metric in metrics for part in _BESIDE_METRICS}
    shown = frame[[column for column in frame if column not in hidden]]
    if name == "nearest":
        shown = shown.head(_NEAREST)
    if "rule" in shown:  # without its source, which has no room on a terminal
        shown = shown.assign(rule=shown["rule"].astype(str).str.replace(r" [(\[].*", "", regex=True))
    print_frame(_TITLES[name], shown)
