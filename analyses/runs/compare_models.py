"""Two models on the same texts, both in full, and the page that compares them. All input and output is here.

    OUT/index.html, OUT/tables/      the comparison (`analyses.runs.compare_models_report`)
    OUT/first/, OUT/second/          the two runs, as `interp run` writes them, without a log of their own
    OUT/manifest.json                hashes of all files of the comparison and of both runs

The folder is built, verified and gone on with as that of a run (`analyses.runs.run_folder`).
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from analyses.core.contract import Evidence
from analyses.core.keys import keys_of, rows_by_key
from analyses.core.observing import ConfiguredAnalysis, Progress
from analyses.core.reading_alone import read_sources
from analyses.core.work import Engine
from analyses.runs.compare_models_report import (
    PLACES,
    ComparedModel,
    Numbers,
    as_lines,
    comparison_report,
    numbers_by_sentence,
    without_prefix,
)
from analyses.runs.config import RunConfig, portable_name
from analyses.runs.inputs import Inputs, choose_analyses, reading_order
from analyses.runs.loading import load_for
from analyses.runs.manifest import LOG, MANIFEST, ComparisonManifest, file_hashes, package_version, versions
from analyses.runs.origin import origin
from analyses.runs.prompt_set import kept_prompts, prompts_of
from analyses.runs.run_folder import Staging, staging
from analyses.runs.run_place import check_place
from analyses.runs.runner import build_files, make_log, session_of, signer_of, threads_for
from interp.errors import InputError
from interp.model.checkpoints import Checkpoint, find_checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.prompts import PromptSet, parse_prompts
from interp.report import render
from interp.text.unknown_pieces import check_known

_UNTRAINED = re.compile(r"untrained:(\d{1,9})")


def compare_two_models(
    first: str,
    second: str,
    config: RunConfig,
    out: Path,
    overwrite: bool,
    progress: Progress,
    prompts: PromptSet | None = None,
    places: Mapping[str, str] | None = None,
    sign: Path | None = None,
    engine: Engine | None = None,
) -> Path:
    """Run both models in full and write the page that compares them.

    Args:
        first: `bundled`, a folder, a hub id, or `untrained:SEED` for the other model with weights drawn anew.
        second: the same.
        config: everything but the model.
        out: the comparison's folder.
        overwrite: replace a comparison that is already there.
        progress: called as the work goes on.
        prompts: those of the configuration, by whoever has read them already.
        places: name of a model -> where it is, if not there.
        sign: an SSH key that signs the manifest.
        engine: who observes, as in `analyses.runs.runner.run`.

    Returns:
        The path of the comparison's `index.html`.

    Raises:
        InputError: if a model, the prompts of either or the folder cannot be used; nothing is left behind.
    """
    check_place(out, overwrite)
    signer, started, prompts = signer_of(sign), time.monotonic(), prompts or prompts_of(config)
    found = {name: _find(name, places or {}) for name in (first, second) if not is_untrained(name)}
    identity = _identity((first, second), config, prompts, found)
    with ExitStack() as opened:
        if not opened.enter_context(session_of(engine)):
            return out / "index.html"
        store = opened.enter_context(staging(out, identity, overwrite))
        progress = store.status.told(progress)
        models = _models((first, second), config, found, store.desk())
        alike = models[0].name == models[1].name
        names = [f"{one.name} ({place})" if alike else one.name for one, place in zip(models, PLACES, strict=True)]
        sides: list[ComparedModel] = []
        files: dict[str, bytes] = {}
        both = [_checked(model, _inputs(model, prompts, config)) for model in models]
        for model, inputs, name, place in zip(models, both, names, PLACES, strict=True):
            side, built = _run(inputs, model, name, place, store.for_part(place), progress, engine)
            sides.append(replace(side, config=config.model_copy(update={"model": model.asked})))
            files |= {f"{place}/{path}": content for path, content in built.items()}
        with threads_for(sides[0].model):
            files |= render(comparison_report(sides[0], sides[1], [item.analysis for item in choose_analyses(config)]))
        files |= kept_prompts(prompts)
        manifest = _manifest((first, second), config, prompts, sides, files)
        files[MANIFEST] = manifest.with_files(files).to_json()
        files |= signer(files[MANIFEST])
        files[LOG] = make_log(time.monotonic() - started, sides[0].model)
        store.publish(files, overwrite)
    return out / "index.html"


def is_untrained(name: str) -> bool:
    """Whether a name stands for the other model with weights drawn anew."""
    return _UNTRAINED.fullmatch(name) is not None


def _find(name: str, places: Mapping[str, str]) -> Checkpoint:
    """A model by the name it was asked for, wherever it is."""
    if name.startswith("untrained"):
        raise InputError(f"{name!r} names no untrained model; write `untrained:` and a seed, such as untrained:0.")
    found = find_checkpoint(places.get(name, name))
    return replace(found, name=PurePath(name).name) if places.get(name, name) != name else found


def _identity(asked: tuple[str, str], config: RunConfig, prompts: PromptSet, found: Mapping[str, Checkpoint]) -> str:
    """Everything that decides the numbers of both runs, as text."""
    analyses = choose_analyses(config)
    parts = [
        Inputs(config, analyses, prompts, found[name], file_hashes(found[name].files())).identity()
        if name in found
        else name
        for name in asked
    ]
    return json.dumps([asked, parts])


def _manifest(
    asked: tuple[str, str],
    config: RunConfig,
    prompts: PromptSet,
    sides: Sequence[ComparedModel],
    files: Mapping[str, bytes],
) -> ComparisonManifest:
    """What made the comparison, its files not yet hashed."""
    digests = {side.folder: json.loads(files[f"{side.folder}/{MANIFEST}"])["digest"] for side in sides}
    return ComparisonManifest(
        package=package_version(),
        command=sides[0].config.command("compare-models", *(side.name for side in sides)),
        config={name: value for name, value in config.portable().items() if name not in ("model", "revision")},
        models=(portable_name(asked[0]), portable_name(asked[1])),
        prompts=prompts.sha256,
        runs=digests,
        versions=versions(),
        files={},
        origin=origin(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    name: str
    asked: str
    model: HookedEncoderDecoder
    checkpoint: Checkpoint


def _models(
    asked: tuple[str, str], config: RunConfig, checkpoints: Mapping[str, Checkpoint], desk: Path
) -> tuple[_Model, _Model]:
    """Both models, an untrained one as a checkpoint in a folder of its own."""
    drawn = [_UNTRAINED.fullmatch(name) for name in asked]
    if all(drawn):
        raise InputError(
            "Both models are untrained; name a checkpoint beside `untrained:SEED`, which takes its architecture."
        )
    found: dict[int, _Model] = {}
    for index in sorted(range(2), key=lambda place: drawn[place] is not None):
        match, name = drawn[index], asked[index]
        if match is None:
            checkpoint = checkpoints[name]
            found[index] = _Model(checkpoint.name, name, load_for(config, checkpoint), checkpoint)
        else:
            twin = untrained_twin(found[1 - index].model, int(match[1]))
            place = desk / name.replace(":", "-")
            twin.hf.save_pretrained(place)
            assert twin.tokenizer is not None
            twin.tokenizer.save_pretrained(place)
            found[index] = _Model(name, str(place), twin, find_checkpoint(place))
    return found[0], found[1]


def _inputs(model: _Model, prompts: PromptSet, config: RunConfig) -> Inputs:
    """What one model's run reads: its own files, and the prompts as it reads them."""
    own, source = prompts.prompts, config.prompts
    if not model.model.cfg.reads_prefixes:
        own = tuple(without_prefix(prompt) for prompt in own)
        source = f"{Path(prompts.name).stem}-without-prefixes.jsonl"
    elif config.prompts == "-":
        source = "stdin.jsonl"
    if source != config.prompts:
        prompts = parse_prompts(as_lines(own).encode(), "jsonl", source)
    asked = config.model_copy(update={"model": model.asked, "prompts": source})
    return Inputs(asked, choose_analyses(asked), prompts, model.checkpoint, file_hashes(model.checkpoint.files()))


def _checked(model: _Model, inputs: Inputs) -> Inputs:
    """What one model's run reads, once its sources are read: the other's run is not made for prompts that this one refuses.

    Raises:
        InputError: naming the model, as its run would say it.
    """
    try:
        read = read_sources(model.model, inputs.prompts.prompts)
        check_known((text for batch in read for text in batch.source_texts), model.model.tokenizer)
    except InputError as error:
        raise InputError(f"{model.name}: {error}") from error
    return inputs


def _run(
    inputs: Inputs, model: _Model, name: str, place: str, store: Staging, progress: Progress, engine: Engine | None
) -> tuple[ComparedModel, dict[str, bytes]]:
    """One model's full run: what the comparison needs of it, and its files."""
    prompts = inputs.prompts.prompts
    order, found = reading_order(prompts), dict[str, tuple[Numbers, ...]]()
    rows = rows_by_key(keys_of(prompt.sentence for prompt in prompts))

    def keep(item: ConfiguredAnalysis, evidence: Evidence) -> None:
        found[item.name] = tuple(
            numbers_by_sentence(observed, item.analysis.arrays, order, rows)
            for observed in (evidence.model, *evidence.twins)
        )

    files = build_files(
        inputs,
        model.model,
        store,
        lambda what, done, total: progress(f"{name}: {what}", done, total),
        keep,
        engine,
    )
    findings = {name: section["findings"] for name, section in json.loads(files["results.json"]).items()}
    own = {analysis: numbers[0] for analysis, numbers in found.items()}
    twins = {analysis: numbers[1:] for analysis, numbers in found.items()}
    return ComparedModel(name, place, model.model, inputs.config, prompts, findings, own, twins), files
