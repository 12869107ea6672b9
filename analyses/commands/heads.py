"""The command that says what every attention head does: roles with their evidence and controls, in the terminal or as CSV."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_table, progress

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

_LEFT_OUT = (" low", " high", " twins", " twins min", " twins max", " base", " lift")
_ONLY_IN_FILES = {"best of", "passes", "twins mean", "twins min", "p above null"}
"""Columns that stay in the CSV, by ending and by name."""

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
    with messages(), progress(quiet) as advance:
        import interp
        from analyses.head_specialization import heads as survey
        from analyses.runs.inputs import read_prompt_set, reading_order

        files = _Files(out, overwrite)
        read = read_prompt_set(prompts, limit).prompts
        given = [read[place] for place in reading_order(read)]
        settings = _settings(importance, similarity, _gold_links(read, gold), _parses(conllu), prefix, sample)
        hooked = interp.load(model, revision=revision, device=device)
        atlas = survey(hooked, given, settings, twins, seed, batch_size, advance)
        wanted = {"position": position, "importance": importance, "similarity": similarity, "copying": copying}
        tables = dict(_tables(atlas, kind, every))
        tables |= {
            name: _extra(atlas, name, kind)
            for name, asked in (wanted | {"syntax": conllu is not None}).items()
            if asked
        }
        if links:
            tables["links"] = _links(hooked, given, batch_size)
        files.write(tables)
    typer.echo(_sentence(atlas))
    for name, frame in tables.items():
        _print(name, frame)


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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The gold file {str(path)!r} cannot be read ({error}); give UTF-8 text.") from error
    if len(lines) != len(prompts):
        raise InputError(
            f"The gold file has {len(lines)} lines for {len(prompts)} prompts; give one line for each prompt."
        )
    found = {prompt.source: line for prompt, line in zip(prompts, lines, strict=True) if line.strip()}
    for line in found.values():
        gold_links(line)
    return found


class _Files:
    """Where tables are written, checked before any work is done."""

    def __init__(self, out: Path | None, overwrite: bool) -> None:
        from interp.errors import InputError

        if out is not None and out.suffix != ".csv":
            raise InputError(f"--out is {str(out)!r}; give the name of a .csv file.")
        if out is not None and not out.parent.is_dir():
            raise InputError(f"There is no folder {str(out.parent)!r}; make it, or give another --out.")
        if out is not None and out.exists() and not overwrite:
            raise InputError(f"{str(out)!r} exists; give another --out, or --overwrite.")
        self.out = out

    def write(self, tables: "dict[str, pd.DataFrame]") -> None:
        if self.out is None:
            return
        for name, frame in tables.items():
            path = self.out if name == "roles" else self.out.with_name(f"{self.out.stem}-{name}.csv")
            frame.to_csv(path, index=False, lineterminator="\n")


def _of_kind(frame: "pd.DataFrame", kind: Kind) -> "pd.DataFrame":
    letters = {"encoder": "E", "decoder": "D", "cross": "X"}
    if kind == "all" or "head" not in frame:
        return frame
    return frame[frame["head"].str.startswith(letters[kind])].reset_index(drop=True)


def _tables(atlas: "HeadAtlas", kind: Kind, every: bool) -> "Iterator[tuple[str, pd.DataFrame]]":
    from analyses.head_specialization import candidates_frame, heads_frame, labels_frame
    from interp.axes import ATTENTION_KINDS

    roles = _of_kind(labels_frame(atlas), kind)
    yield "roles", roles
    if not len(roles):
        yield "nearest", _of_kind(candidates_frame(atlas), kind)
    if every:
        for one in ATTENTION_KINDS:
            if kind in ("all", one):
                yield one, heads_frame(atlas, one)


def _extra(atlas: "HeadAtlas", name: str, kind: Kind) -> "pd.DataFrame":
    from analyses import head_specialization

    frames = {
        "position": head_specialization.position_frame,
        "importance": head_specialization.importance_frame,
        "similarity": head_specialization.similarity_frame,
        "copying": head_specialization.copying_frame,
        "syntax": lambda found: head_specialization.syntax_frame(found.syntax),
    }
    return _of_kind(frames[name](atlas), kind)


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


def _print(name: str, frame: "pd.DataFrame") -> None:
    if not len(frame):
        return
    shown = frame[[column for column in frame if column not in _ONLY_IN_FILES and not str(column).endswith(_LEFT_OUT)]]
    if name == "nearest":
        shown = shown.head(_NEAREST)
    if "rule" in shown:  # without its source, which has no room on a terminal
        shown = shown.assign(rule=shown["rule"].str.replace(r" [(\[].*", "", regex=True))
    rows = [["" if cell != cell else cell for cell in row] for row in shown.itertuples(index=False)]
    print_table(_TITLES[name], list(map(str, shown.columns)), rows)
