"""Make a finished run again from what its manifest says, on the same prompts and weights or not at all.

A run keeps files and folders by name only, so those that came from the user's disk have to be given again; their hashes must be
those of the manifest before any work is done.
"""

from dataclasses import replace
from pathlib import Path

from analyses.core.observing import Progress
from analyses.runs.config import make_config
from analyses.runs.inputs import Inputs, choose_analyses, read_prompt_set
from analyses.runs.manifest import Manifest, file_hashes
from analyses.runs.runner import run_inputs
from analyses.runs.verify import read_manifest
from interp import prompts as prompt_sets
from interp.errors import InputError
from interp.model.checkpoints import BUNDLED, Checkpoint, find_checkpoint
from interp.prompts import PromptSet


def repeat_run(run: Path, out: Path, model: str | None, prompts: str | None, progress: Progress) -> Path:
    """Make a run again.

    Args:
        run: its folder.
        out: where the new run goes.
        model: the model's folder, where the run's was one.
        prompts: the prompts' file, where the run's was one or standard input.
        progress: called as the work goes on.

    Returns:
        The folder of the new run.

    Raises:
        InputError: if the manifest was changed, or prompts or model are missing or not those of the run.
    """
    manifest = read_manifest(run)
    if manifest.sealed().digest != manifest.digest:
        raise InputError(
            f"The manifest of {str(run)!r} was changed after the run, so a new run cannot be compared with it; use a copy that "
            "`interp verify` finds whole."
        )
    config = make_config(**manifest.config)
    found = _prompts(manifest, config.prompts, prompts, config.limit)
    checkpoint = _checkpoint(manifest, config.model, model)
    inputs = Inputs(config, choose_analyses(config), found, checkpoint, manifest.model.files)
    return run_inputs(inputs, out, False, progress).parent


def _prompts(manifest: Manifest, recorded: str, given: str | None, limit: int | None) -> PromptSet:
    """The run's prompts under the name that the run gave them."""
    place = given or recorded
    if given is None and recorded == "-":
        raise InputError(
            "The run read its prompts from standard input; save the same text in a file and give --prompts FILE."
        )
    if given is None and recorded not in prompt_sets.names() and not Path(recorded).is_file():
        raise InputError(
            f"The run read its prompts from a file called {recorded!r}, which is not here; give --prompts FILE."
        )
    found = read_prompt_set(place, limit)
    if found.sha256 != manifest.prompts.sha256:
        raise InputError(
            f"The prompts in {place!r} are not those of the run: their sha256 is {found.sha256[:12]}…, the run's was "
            f"{manifest.prompts.sha256[:12]}…; give the file as it was."
        )
    return replace(found, name=manifest.prompts.name)


def _checkpoint(manifest: Manifest, recorded: str, given: str | None) -> Checkpoint:
    """The run's model under the name that the run gave it."""
    was_folder = recorded != BUNDLED and manifest.model.revision is None
    if given is None and was_folder and not Path(recorded).is_dir():
        raise InputError(f"The run's model was a folder called {recorded!r}, which is not here; give --model FOLDER.")
    found = find_checkpoint(given or recorded, None if given or was_folder else manifest.model.revision)
    hashes = file_hashes(found.files())
    wanted = manifest.model.files
    changed = sorted(name for name in {*hashes, *wanted} if hashes.get(name) != wanted.get(name))
    if changed:
        raise InputError(
            f"The model {given or recorded!r} is not that of the run: {', '.join(changed)} is not what the manifest lists; give "
            f"--model FOLDER with the files as they were (the run was made with {manifest.package})."
        )
    return replace(found, name=manifest.model.name, revision=manifest.model.revision)
