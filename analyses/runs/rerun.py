"""Make a finished run, or two runs side by side, again from the manifest, on the same prompts and weights or not at all.

A run has its prompts in it and knows a model's folder by name only, so that one has to be given again where it is elsewhere.
Hashes must be those of the manifest before any work is done.
"""

from dataclasses import replace
from pathlib import Path

from analyses.core.observing import Progress
from analyses.core.work import Engine
from analyses.runs.compare_models import compare_two_models, is_untrained
from analyses.runs.compare_models_report import PLACES
from analyses.runs.config import RunConfig, make_config
from analyses.runs.inputs import Inputs, choose_analyses
from analyses.runs.manifest import MANIFEST, ComparisonManifest, Manifest, ModelRecord, TraceManifest, file_hashes
from analyses.runs.prompt_set import KEPT, prompts_of, read_kept
from analyses.runs.runner import run_inputs, session_of
from analyses.runs.verify import OpenedRun, open_run
from interp import prompts as prompt_sets
from interp.errors import InputError
from interp.input_files import parse_json
from interp.model.checkpoints import BUNDLED, Checkpoint, find_checkpoint
from interp.prompts import PromptSet


def repeat_run(
    run: Path,
    out: Path,
    model: str | None,
    prompts: str | None,
    progress: Progress,
    second: str | None = None,
    overwrite: bool = False,
    engine: Engine | None = None,
) -> Path:
    """Make a run again.

    Args:
        run: its folder.
        out: where the new run goes.
        model: the model's folder, where the run's was one; of two models, the first.
        prompts: the prompts' file; by default those that the run has kept.
        progress: called as the work goes on.
        second: the second model's folder, where two were compared.
        overwrite: replace a run that is already there.
        engine: who observes, as in `analyses.runs.runner.run`.

    Returns:
        The folder of the new run. In a rank of torchrun that helped rank 0, the run is still being made.

    Raises:
        InputError: if the run is not whole, or prompts or model are missing or not those of the run.
    """
    opened = open_run(run)
    if isinstance(opened.manifest, ComparisonManifest):
        return _repeat_comparison(opened, opened.manifest, out, (model, second), prompts, progress, overwrite, engine)
    manifest = opened.manifest
    if isinstance(manifest, TraceManifest):
        raise InputError(
            f"{str(run)!r} is a trace, which is made again by `interp trace` with its checkpoints: {manifest.command}."
        )
    if second is not None:
        raise InputError(f"{str(run)!r} is the run of one model; --second is for what `interp compare-models` made.")
    config = make_config(**manifest.config)
    found = _prompts(opened, config, manifest.prompts.sha256, prompts).behind(config.prefix)
    was = manifest.model
    checkpoint = _checkpoint(was, manifest.package, config.model, model, "--model")
    inputs = Inputs(
        config,
        choose_analyses(config),
        replace(found, name=manifest.prompts.name),
        replace(checkpoint, name=was.name, revision=was.revision),
        was.files,
    )
    with session_of(engine) as leads:
        return run_inputs(inputs, out, overwrite, progress, engine=engine).parent if leads else out


def _repeat_comparison(
    opened: OpenedRun,
    manifest: ComparisonManifest,
    out: Path,
    given: tuple[str | None, str | None],
    prompts: str | None,
    progress: Progress,
    overwrite: bool,
    engine: Engine | None,
) -> Path:
    """Compare the same two models on the same prompts again, wherever they are by now."""
    config = make_config(**manifest.config)
    found = _prompts(opened, config, manifest.prompts, prompts)
    places: dict[str, str] = {}
    for name, place, folder, option in zip(manifest.models, PLACES, given, ("--model", "--second"), strict=True):
        if not is_untrained(name):
            was = Manifest(**parse_json(opened.read(f"{place}/{MANIFEST}"))).model
            _checkpoint(was, manifest.package, name, folder, option)
            places[name] = folder or name
    return compare_two_models(*manifest.models, config, out, overwrite, progress, found, places, engine=engine).parent


def _prompts(opened: OpenedRun, config: RunConfig, sha256: str, given: str | None) -> PromptSet:
    """The run's prompts: its own file of them, or what it read."""
    recorded = config.prompts
    if given is None and KEPT in opened.manifest.files:
        return read_kept(opened.read(KEPT), sha256)
    place = given or recorded
    if given is None and recorded == "-":
        raise InputError(
            "The run read its prompts from standard input; save the same text in a file and give --prompts FILE."
        )
    if given is None and recorded not in prompt_sets.names() and not Path(recorded).exists():
        raise InputError(
            f"The run read its prompts from a file called {recorded!r}, which is not here; give --prompts FILE."
        )
    found = prompts_of(config, place)
    if found.sha256 != sha256:
        raise InputError(
            f"The prompts in {place!r} are not those of the run: their sha256 is {found.sha256[:12]}…, the run's was "
            f"{sha256[:12]}…; give the file as it was."
        )
    return found


def _checkpoint(was: ModelRecord, package: str, recorded: str, given: str | None, option: str) -> Checkpoint:
    """The run's model, if its files are as they were."""
    was_folder = recorded != BUNDLED and was.revision is None
    if given is None and was_folder and not Path(recorded).is_dir():
        raise InputError(f"The run's model was a folder called {recorded!r}, which is not here; give {option} FOLDER.")
    found = find_checkpoint(given or recorded, None if given or was_folder else was.revision)
    hashes = file_hashes(found.files())
    changed = sorted(name for name in {*hashes, *was.files} if hashes.get(name) != was.files.get(name))
    if changed:
        raise InputError(
            f"The model {given or recorded!r} is not that of the run: {', '.join(changed)} is not what the manifest lists; give "
            f"{option} FOLDER with the files as they were (the run was made with {package})."
        )
    return found
