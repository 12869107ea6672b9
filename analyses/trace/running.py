"""A trace from configuration to folder, in the machinery of runs: shards, resume after a kill, manifest, hashes.

OUT/index.html, tables/, figures/    what was found
OUT/steps.html                       the page with a slider over the steps
OUT/trace.json                       sections in words
OUT/manifest.json                    hashes of every checkpoint, of the prompts and of all files
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from analyses.core.evidence import twin_seeds
from analyses.core.observing import ConfiguredAnalysis, Progress, no_progress
from analyses.runs.config import RunConfig
from analyses.runs.inputs import Inputs, choose_analyses
from analyses.runs.loading import load_for
from analyses.runs.manifest import LOG, MANIFEST, TraceManifest, file_hashes, package_version, versions
from analyses.runs.origin import origin
from analyses.runs.prompt_set import prompts_of
from analyses.runs.results import results_json
from analyses.runs.run_folder import staging
from analyses.runs.run_place import check_place
from analyses.runs.runner import make_log, signer_of, threads_for
from analyses.trace.gathering import Watched, watch
from analyses.trace.moments import TrainingRun
from analyses.trace.parted_shards import InMemory, PartedShards
from analyses.trace.present.page import trace_report
from analyses.trace.present.slider import slider_page
from analyses.trace.shown import SHOWN
from analyses.trace.trace import Part
from interp.errors import InputError
from interp.model.checkpoints import check_files, read_host_config
from interp.prompts import PromptSet
from interp.report import FigureRenderer, render
from interp.report.second_process import begin_copy

SLIDER_PAGE = "steps.html"

_OF_THE_TEXT = ("tokenizer.", "vocab", "merges", "spiece", "source.spm", "target.spm", "sentencepiece", "added_tokens")
"""How files begin that decide which tokens a text has."""
_NO_SHAPE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "dropout_rate", "use_cache")

Runs = Sequence[tuple[Part, TrainingRun]]


def trace_checkpoints(
    main: TrainingRun,
    config: RunConfig,
    out: Path,
    overwrite: bool,
    progress: Progress = no_progress,
    seeds: Sequence[TrainingRun] = (),
    controls: Sequence[TrainingRun] = (),
    prompts: PromptSet | None = None,
    sign: Path | None = None,
) -> Path:
    """Observe every checkpoint and write the page.

    Args:
        main: the run that is watched.
        config: everything but the model.
        out: the folder to write.
        overwrite: replace a trace that is already there.
        progress: told of the progress.
        seeds: runs of other seeds.
        controls: runs with nothing to learn, such as on shuffled pairs.
        prompts: those of the configuration, by whoever has read them already.
        sign: an SSH key that signs the manifest.

    Returns:
        The path of `index.html`.

    Raises:
        InputError: if a checkpoint, the prompts or the folder cannot be used; nothing is left behind.
    """
    check_place(out, overwrite)
    runs = _parts(main, seeds, controls)
    signer, started = signer_of(sign), time.monotonic()
    asked, given = _chosen(config), (prompts or prompts_of(config)).behind(config.prefix)
    hashes = _checked(runs)
    last = main.moments[-1].checkpoint
    inputs = Inputs(config, asked, given, last, file_hashes(last.files()))
    begin_copy()
    with staging(out, json.dumps([inputs.identity(), hashes], sort_keys=True), overwrite) as store:
        progress = store.status.told(progress)
        files, watched = _files(runs, inputs, hashes, store, progress)
        files |= signer(files[MANIFEST])
        files[LOG] = make_log(time.monotonic() - started, watched.model)
        store.publish(files, overwrite)
    return out / "index.html"


def trace_in_memory(
    main: TrainingRun,
    prompts: PromptSet,
    config: RunConfig | None = None,
    seeds: Sequence[TrainingRun] = (),
    controls: Sequence[TrainingRun] = (),
    progress: Progress = no_progress,
) -> Watched:
    """The same trace for notebooks: nothing is written; arguments as for `trace_checkpoints`.

    Raises:
        InputError: if a checkpoint or the prompts cannot be used.
    """
    config = config or RunConfig()
    runs = _parts(main, seeds, controls)
    _checked(runs)
    model = load_for(config, main.moments[-1].checkpoint)
    with threads_for(model):
        return watch(runs, _chosen(config), prompts.prompts, config, InMemory({}), progress)


def _parts(
    main: TrainingRun, seeds: Sequence[TrainingRun], controls: Sequence[TrainingRun]
) -> list[tuple[Part, TrainingRun]]:
    """Every run with what it is there for, the main one first.

    Raises:
        InputError: if two have the same name.
    """
    runs: list[tuple[Part, TrainingRun]] = [("main", main)]
    runs += [("seed", run) for run in seeds] + [("control", run) for run in controls]
    for name, times in Counter(run.name for _, run in runs).items():
        if times > 1:
            raise InputError(
                f"{times} runs are called {name!r}; give each folder once, and folders of different names."
            )
    return runs


def _chosen(config: RunConfig) -> tuple[ConfiguredAnalysis, ...]:
    """The analyses of the configuration.

    Raises:
        InputError: if a trace cannot show one.
    """
    other = [name for name in config.analyses if name not in SHOWN]
    if other:
        raise InputError(f"A trace shows {', '.join(SHOWN)}; {other[0]!r} is none of them. Leave it out of --analyses.")
    return choose_analyses(config)


def _checked(runs: Runs) -> dict[str, dict[str, dict[str, str]]]:
    """Run -> moment -> file -> sha256, once all moments are found to have weights, and to be of one model and one tokenizer.

    Raises:
        InputError: naming the moment that is not.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    last = runs[0][1].moments[-1]
    wanted: tuple[dict[str, str], dict[str, Any]] | None = None
    for _, run in (runs[0], *runs):
        for moment in (last,) if wanted is None else run.moments:
            check_files(moment.checkpoint)
            hashes, shape = file_hashes(moment.checkpoint.files()), read_host_config(moment.checkpoint)
            texts = {name: digest for name, digest in hashes.items() if name.startswith(_OF_THE_TEXT)}
            same = texts, {name: value for name, value in shape.items() if name not in _NO_SHAPE}
            wanted = wanted or same
            if same != wanted:
                what = "tokenizer" if texts != wanted[0] else "shape (config.json)"
                raise InputError(
                    f"Step {moment.step} of {run.name!r} has another {what} than the last step of {runs[0][1].name!r}; a trace "
                    "needs one model whose weights alone change."
                )
            found.setdefault(run.name, {})[f"step-{moment.step}"] = hashes
    return found


def _files(
    runs: Runs, inputs: Inputs, hashes: dict[str, dict[str, dict[str, str]]], store: PartedShards, progress: Progress
) -> tuple[dict[str, bytes], Watched]:
    """All files but the log, by relative path, and what they show."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    with threads_for(load_for(inputs.config, inputs.checkpoint)):
        watched = watch(runs, inputs.analyses, inputs.prompts.prompts, inputs.config, store, progress)
        progress("drawing", 0, 1)
        manifest = TraceManifest(
            package=package_version(),
            command=_command(runs, inputs.config),
            config={
                name: value for name, value in inputs.config.portable().items() if name not in ("model", "revision")
            },
            prompts=inputs.prompts.sha256,
            moments=hashes,
            twin_seeds=twin_seeds(inputs.config.seed, inputs.config.twins),
            versions=versions() | {"ruptures": version("ruptures")},
            files={},
            origin=origin(),
        )
        report = trace_report(watched.trace, manifest, SLIDER_PAGE)
        files = render(report, FigureRenderer(kind=inputs.config.figures))
        files[SLIDER_PAGE] = slider_page(watched, f"Steps: {report.title}", "index.html")
        files["trace.json"] = results_json([section.name for section in report.sections], report.sections)
        files[MANIFEST] = manifest.with_files(files).to_json()
    return files, watched


def _command(runs: Runs, config: RunConfig) -> str:
    """The command that asks for the trace again, folders by their names."""
    words = ["trace", runs[0][1].name]
    for part, run in runs[1:]:
        words += [{"seed": "--seed-run", "control": "--control"}[part], run.name]
    return config.command(*words)
