"""The command that says what every attention head does: roles with their evidence and controls, in the terminal or as CSV."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import check_output, messages, print_frame, progress_bar, read_text

if TYPE_CHECKING:
    import pandas as pd

    from analyses.head_specialization import HeadAtlas, HeadSettings
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.prompts import Prompt

_EVIDENCE, _OUTPUT = "Evidence", "Output"

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

Kind = Literal["all", "encoder", "decoder", "cross"]


_KIND = typer.Option(help="Which attention.", rich_help_panel=_OUTPUT)
_EVERY = typer.Option("--every", help="Every head, with or without a role.", rich_help_panel=_OUTPUT)
_POSITION = typer.Option("--position", help="Position or content, by head.", rich_help_panel=_EVIDENCE)
_IMPORTANCE = typer.Option("--importance", help="Gradient score and all ablations, by head.", rich_help_panel=_EVIDENCE)
_SIMILARITY = typer.Option("--similarity", help="Clusters of heads that attend alike.", rich_help_panel=_EVIDENCE)
_COPYING = typer.Option("--copying", help="OV eigenvalues and hit rates.", rich_help_panel=_EVIDENCE)
_LINKS = typer.Option("--links", help="Word links of every cross-attention head.", rich_help_panel=_EVIDENCE)
_GOLD = typer.Option(
    help="Gold links, one prompt a line: s-t sure, spt possible, words counted from 0 after the prefix.",
    rich_help_panel=_EVIDENCE,
)
_CONLLU = typer.Option(help="Gold parses for syntactic heads, a CoNLL-U file.", rich_help_panel=_EVIDENCE)
_PREFIX = typer.Option(help="Text before every parsed sentence.", rich_help_panel=_EVIDENCE)
_SAMPLE = typer.Option(min=2, help="Prompts for importance, copying and nulls.", rich_help_panel=_EVIDENCE)
_OUT = typer.Option(
    "--out", "-o", help="Write tables there: FILE.csv, FILE-importance.csv, ...", rich_help_panel=_OUTPUT
)
_OVERWRITE = typer.Option("--overwrite", help="Replace files that are there.", rich_help_panel=_OUTPUT)


def heads(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    prompts: options.Prompts = "translation",
    limit: options.Limit = None,
    twins: options.Twins = 5,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = 16,
    kind: Annotated[Kind, _KIND] = "all",
    every: Annotated[bool, _EVERY] = False,
    position: Annotated[bool, _POSITION] = False,
    importance: Annotated[bool, _IMPORTANCE] = False,
    similarity: Annotated[bool, _SIMILARITY] = False,
    copying: Annotated[bool, _COPYING] = False,
    links: Annotated[bool, _LINKS] = False,
    gold: Annotated[Path | None, _GOLD] = None,
    conllu: Annotated[Path | None, _CONLLU] = None,
    prefix: Annotated[str, _PREFIX] = "",
    sample: Annotated[int, _SAMPLE] = 16,
    out: Annotated[Path | None, _OUT] = None,
    overwrite: Annotated[bool, _OVERWRITE] = False,
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
        from analyses.runs.inputs import read_prompt_set, reading_order

        check_output(out, ".csv", overwrite)
        read = read_prompt_set(prompts, limit).prompts
        given = [read[place] for place in reading_order(read)]
        settings = _settings(importance, similarity, _gold_links(read, gold), _parses(conllu), prefix, sample)
        hooked = interp.load(model, revision=revision, device=device)
        atlas = survey(hooked, given, settings, twins, seed, batch_size, progress)
        asked = {
            "position": position,
            "importance": importance,
            "similarity": similarity,
            "copying": copying,
            "syntax": conllu is not None,
        }
        tables = _tables(atlas, kind, every, [name for name, wanted in asked.items() if wanted])
        if links:
            tables["links"] = _links(hooked, given, batch_size)
        if out is not None:
            for name, frame in tables.items():
                path = out if name == "roles" else out.with_name(f"{out.stem}-{name}.csv")
                frame.to_csv(path, index=False, lineterminator="\n")
    typer.echo(_sentence(atlas))
    for name, frame in tables.items():
        _print(atlas, name, frame)


def _settings(
    importance: bool, similarity: bool, links: dict[str, str], conllu: str, prefix: str, sample: int
) -> "HeadSettings":
    from analyses.head_specialization import HeadSettings
    from analyses.runs.settings_check import choose

    choices = {
        "importance": ("gradient", "zero", "mean", "resample", "unbiased") if importance else ("gradient",),
        "similarity": "all" if similarity else "none",
        "links": links,
        "conllu": conllu,
        "prefix": prefix,
        "sample": sample,
    }
    return choose(HeadSettings, choices, "setting of head_specialization")


def _parses(path: Path | None) -> str:
    from analyses.head_specialization.measure.parses import as_conllu, read_conllu

    return "" if path is None else as_conllu(read_conllu(path))


def _gold_links(prompts: "tuple[Prompt, ...]", path: Path | None) -> dict[str, str]:
    """Source -> its line of the gold file; empty lines are prompts without links."""
    from analyses.head_specialization.measure.links import gold_links
    from interp.errors import InputError

    if path is None:
        return {}
    lines = read_text(path, "gold file").splitlines()
    if len(lines) != len(prompts):
        raise InputError(
            f"The gold file has {len(lines)} lines for {len(prompts)} prompts; give one line for each prompt."
        )
    found: dict[str, str] = {}
    for prompt, line in zip(prompts, lines, strict=True):
        if line.strip():
            gold_links(line)
            if found.setdefault(prompt.source, line) != line:
                raise InputError(
                    f"Prompt {prompt.id} has the source of another prompt and other gold links; give one of them."
                )
    return found


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
        return frame[[HeadId.parse(head).kind == kind for head in frame["head"]]].reset_index(drop=True)

    roles = of_kind("roles")
    names = [] if len(roles) else ["nearest"]
    names += [one for one in ATTENTION_KINDS if every and kind in ("all", one)]
    return {"roles": roles} | {name: of_kind(name) for name in (*names, *asked)}


def _links(hooked: "HookedEncoderDecoder", prompts: "list[Prompt]", batch_size: int) -> "pd.DataFrame":
    import pandas as pd

    from analyses.head_specialization import batches_of, links_frame

    ids, batches = batches_of(hooked, prompts, batch_size)
    frames, start = [], 0
    for batch in batches:
        frame = links_frame(hooked, batch)
        frame["prompt"] = [ids[start + place] for place in frame["prompt"]]
        frames.append(frame)
        start += len(batch)
    return pd.concat(frames, ignore_index=True)


def _sentence(atlas: "HeadAtlas") -> str:
    labelled = len({label.head for label in atlas.labels})
    untrained, twins = sum(atlas.twin_labels), len(atlas.twin_labels)
    text = (
        f"{labelled or 'None'} of {atlas.heads} heads {'have' if labelled > 1 else 'has'} a role on {atlas.prompts} prompts; "
        f"of {twins * atlas.heads} untrained heads {untrained}"
    )
    permuted = (
        ""
        if atlas.permuted_labels is None
        else f", with permuted weights (on {atlas.sample} prompts) {atlas.permuted_labels}"
    )
    return f"{text}{permuted}."


def _print(atlas: "HeadAtlas", name: str, frame: "pd.DataFrame") -> None:
    if not len(frame):
        return
    metrics = {metric.name for metrics in atlas.metrics.values() for metric in metrics}
    hidden = _ONLY_IN_FILES | {f"{metric} {part}" for metric in metrics for part in _BESIDE_METRICS}
    shown = frame[[column for column in frame if column not in hidden]]
    if name == "nearest":
        shown = shown.head(_NEAREST)
    if "rule" in shown:  # without its source, which has no room on a terminal
        shown = shown.assign(rule=shown["rule"].str.replace(r" [(\[].*", "", regex=True))
    print_frame(_TITLES[name], shown)
