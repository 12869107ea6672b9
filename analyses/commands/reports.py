"""Commands about whole runs: make one, check one, compare two."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analyses.commands import options
from analyses.commands.engine import engine_of, helps_only
from analyses.commands.given_pairs import given_pairs
from analyses.commands.messages import messages, open_in_browser, progress_bar, say

if TYPE_CHECKING:
    from analyses.runs.config import RunConfig
    from interp.model.placement import Placement
    from interp.prompts import PromptSet


def run(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    dtype: options.DType = "float32",
    device_map: options.DeviceMap = None,
    max_memory: options.MaxMemory = None,
    offload_folder: options.OffloadFolder = None,
    prompts: options.Prompts = "translation",
    source_column: options.SourceColumn = None,
    target_column: options.TargetColumn = None,
    prefix: options.Prefix = None,
    limit: options.Limit = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    words: options.WordGroups = None,
    pairs: options.Pairs = None,
    analyses: options.Analyses = None,
    seed: options.RunSeed = 0,
    batch_size: options.BatchSizeOrAuto = "16",
    twins: options.Twins = 5,
    pages: options.Pages = 100,
    figures: options.Figures = "svg",
    config: options.RunFile = None,
    set_settings: options.Set = None,
    dry_run: options.DryRun = False,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    sign: options.Sign = None,
    engine: options.EngineName = None,
    workers: options.Workers = None,
    address: options.Address = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Run analyses on a model and prompts, the bundled ones by default, and write a report; prints its path.

    Examples:
    \b
      interp run --model google-t5/t5-small --prompts mine.txt --out reports/mine
      interp run --analyses cross_attention_focus --limit 20 --dry-run
      interp run --analyses circuits --pairs mine.jsonl
      interp run --prompts corpus.txt --engine local --workers 8
      echo "translate English to German: The cat sleeps." | interp run --prompts -
    """
    with messages(debug), progress_bar(quiet) as progress:
        placement = options.placement_of(device_map, max_memory, offload_folder)
        chosen, read = _chosen(config, pairs, _settings(words, pairs, set_settings or []), placement)
        read = _at_a_glance(chosen, out, overwrite, sign, read, dry_run)
        if read is None or dry_run:
            say(chosen.to_yaml(as_given=True), nl=False)
            return
        expected = _expected(chosen, len(read))
        dealer = engine_of(engine, workers, address, chosen.prompts)
        told = progress if quiet else _saying_first(expected, progress)
        from analyses.runs.runner import run as run_analyses

        path = run_analyses(chosen, out, overwrite, told, sign, read, dealer, placement)
    _say_result(path, quiet, helps_only(engine))


def _chosen(
    file: Path | None, pairs: Path | None, settings: dict[str, dict[str, Any]], placement: "Placement | None"
) -> tuple["RunConfig", "PromptSet | None"]:
    """The configuration of a run, and its prompts where the batch size was left to us: it is the largest that fits."""
    from analyses.runs.run_file import resolve

    given = options.given_choices()
    automatic = given.get("batch_size") == "auto" and bool(given.pop("batch_size"))
    chosen = resolve(file, given, settings, partial(say, err=True))
    if not automatic:
        return chosen, None
    from analyses.runs.plan import make_plan, work_of
    from analyses.runs.prompt_set import prompts_of
    from interp.model.checkpoints import find_checkpoint

    read = prompts_of(chosen)
    found = find_checkpoint(chosen.model, chosen.revision)
    plan = make_plan(found, work_of(chosen, read, automatic=True), placement)
    return chosen.model_copy(update={"batch_size": plan.batch_size}), read


def _at_a_glance(
    chosen: "RunConfig", out: Path | None, overwrite: bool, sign: Path | None, read: "PromptSet | None", dry_run: bool
) -> "PromptSet | None":
    """The prompts; what is refused at a glance is refused before anything heavy is imported, and by a dry run too.

    A dry run leaves what comes by standard input to the run itself, and has no prompts then.
    """
    from analyses.runs.prompt_set import prompts_of
    from analyses.runs.run_place import check_place
    from interp.model.checkpoints import check_model

    if out is not None:
        check_place(out, overwrite)
    if sign is not None:
        from analyses.runs.signing import read_private_key

        read_private_key(sign)
    if read is None and not (dry_run and chosen.prompts == "-"):
        read = prompts_of(chosen)
    if dry_run:
        chosen.check_kept()
        check_model(chosen.model, chosen.revision)
    return read


def _expected(chosen: "RunConfig", prompts: int) -> str:
    """How long the run will take."""
    from analyses.runs.expectation import expectation
    from interp.model.checkpoints import find_checkpoint

    return expectation(chosen, prompts, find_checkpoint(chosen.model, chosen.revision))


def _saying_first(sentence: str, progress: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """The same progress, which says a sentence once all prompts are read and found to be usable."""
    waiting = [sentence]

    def tell(what: str, done: int, total: int) -> None:
        if waiting and done == total:
            say(waiting.pop(), err=True)
        progress(what, done, total)

    return tell


def _say_result(page: Path, quiet: bool, helps: bool) -> None:
    """What the report says at a glance, unless all is to be quiet, and where it is; nothing in a process that only helps."""
    if helps:
        return
    for line in () if quiet else _glance(page.parent):
        say(line, err=True)
    say(page)


def _glance(run: Path) -> list[str]:
    """What the report says at a glance, a line for every analysis."""
    import json

    from interp.report.headline import Headline

    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    return [str(Headline(**found["headline"])) for found in results.values() if found["headline"]]


def _settings(words: Path | None, pairs: Path | None, chosen: list[str]) -> dict[str, dict[str, Any]]:
    """Settings given on the command line, by analysis."""
    from analyses.runs.run_file import read_settings

    found = read_settings(chosen)
    if words is not None:
        from analyses.embedding_geometry.group_file import read_groups

        found.setdefault("embedding_geometry", {})["groups"] = read_groups(words)
    if pairs is not None:
        found.setdefault("circuits", {})["pairs"] = given_pairs(pairs)
    return found


def open_report(
    run: options.SomeRun = None,
    print_only: Annotated[bool, typer.Option("--print", help="Only print the path.")] = False,
) -> None:
    """Open a report in the browser, and print its path.

    Examples:
    \b
      interp open
      interp open reports/mine
      interp open --print
    """
    with messages():
        from analyses.runs.find_runs import report_of

        open_in_browser(report_of(run), only_print=print_only)


def verify(
    run: options.RunFolder,
    key: Annotated[Path | None, typer.Option("--key", help="Public SSH key that must have signed it.")] = None,
) -> None:
    """Hash the files of a run, or of a store of activations, and compare with its manifest. Exit 0 whole, 1 not so, 2 trouble.

    Hashes show that files belong together, not who made them: only a signature does (`interp run --sign`).

    Examples:
    \b
      interp verify reports/mine
      interp verify reports/mine --key id_ed25519.pub
    """
    with messages():
        from analyses.runs.verify import is_signed_by, verify_run
        from interp.activations.manifest import is_store

        if is_store(run):
            signed, wrong = None, _wrong_with_store(run, key)
            whole, sentences = not wrong, wrong or ("Every file is as the manifest says.",)
        else:
            signed = None if key is None else is_signed_by(run, key)
            verdict = verify_run(run)
            whole, sentences = verdict.whole, verdict.sentences()
            if verdict.signature and key is None:
                sentences = (*sentences, "Its signature was not checked; give the signer's public key (--key).")
    for sentence in sentences:
        say(sentence)
    if signed is not None:
        say(f"{'Signed' if signed else 'Not signed'} with the key {key}.")
    raise typer.Exit(0 if whole and signed is not False else 1)


def _wrong_with_store(folder: Path, key: Path | None) -> tuple[str, ...]:
    """What is wrong with a store of activations, which nobody signs."""
    from interp.activations.verifying import verify_activations
    from interp.errors import InputError

    if key is not None:
        raise InputError("A store of activations is not signed; verify it without --key.")
    return verify_activations(folder)


def diff(
    first: options.RunFolder,
    second: options.RunFolder,
    rtol: Annotated[float, options.number_option(min=0, help="Relative tolerance of numbers.")] = 0.0,
    atol: Annotated[float, options.number_option(min=0, help="Absolute tolerance of numbers.")] = 0.0,
    tables: Annotated[bool, typer.Option("--tables", help="Compare tables only, however the runs were made.")] = False,
) -> None:
    """Compare two runs: how they were made, then every table. Exit 0 same, 1 different, 2 trouble.

    Examples:
    \b
      interp diff reports/mine reports/again
      interp diff reports/mine reports/other-batch-size --tables --rtol 1e-3 --atol 1e-4
    """
    with messages():
        from analyses.runs.diff import compare_runs

        differences = compare_runs(first, second, rtol, atol, "tables" if tables else "all")
    for difference in differences:
        say(difference)
    raise typer.Exit(1 if differences else 0)
