"""The runner: from a configuration to a finished folder. All input and output of a run happens here or below.

configuration -> prompts, model -> batches -> observations (shards) -> results -> sections -> report -> folder
"""

import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from analyses._contract import Evidence, Example, Observed
from analyses._registry import get
from analyses.assembly import Assembly, assemble
from analyses.config import RunConfig
from analyses.manifest import (
    LOG,
    MANIFEST,
    Manifest,
    ModelRecord,
    PromptRecord,
    canonical_json,
    content_hashes,
    file_hashes,
    package_version,
    versions,
)
from analyses.observing import Advance, Chosen, Subject, illustrate, make_batches, observe, observe_twins
from analyses.portraits import portraits
from analyses.prompt_section import prompt_section
from analyses.run_folder import Staging, check_place, staging
from interp import prompts as prompt_sets
from interp.attention import IMPLEMENTATION
from interp.errors import InputError
from interp.loading import Checkpoint, find_checkpoint, load_checkpoint
from interp.model import HookedEncoderDecoder
from interp.prompts import PromptSet
from interp.report import Section, Studio, render
from interp.tokens import Batch

_LARGE_MODEL = 50_000_000
"""Parameters from which a second thread pays on a laptop; below it runs took half as long with one."""

DEFAULT_FOLDER = Path("reports")
"""Where runs go that were given no place."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was read before any work is done.

    Attributes:
        config: the configuration.
        chosen: its analyses with their settings.
        prompts: its prompts.
        checkpoint: its model's files.
        hashes: file name -> sha256 of the model's files.
    """

    config: RunConfig
    chosen: tuple[Chosen, ...]
    prompts: PromptSet
    checkpoint: Checkpoint
    hashes: dict[str, str]

    def identity(self) -> str:
        """Everything that decides the numbers, as text."""
        parts = {
            "config": self.config.portable(),
            "prompts": self.prompts.sha256,
            "model": self.hashes,
            "versions": versions(),
        }
        return json.dumps(parts, sort_keys=True)


def run(config: RunConfig, out: Path | None, overwrite: bool, advance: Advance) -> Path:
    """Run analyses and write their report.

    Args:
        config: what to run.
        out: the run's folder; by default one below `reports/`, named after the configuration.
        overwrite: replace a run that is already there.
        advance: called as the work goes on.

    Returns:
        The path of the report's `index.html`.

    Raises:
        InputError: if anything the user gave cannot be used; nothing is left behind.
    """
    started = time.monotonic()
    if out is not None:
        check_place(out, overwrite)
    inputs = read_inputs(config)
    final = out or DEFAULT_FOLDER / config.slug(inputs.prompts.sha256, json.dumps(inputs.hashes, sort_keys=True))
    with staging(final, inputs.identity(), overwrite) as store:
        torch.use_deterministic_algorithms(True, warn_only=True)
        model = load_checkpoint(inputs.checkpoint, config.device, config.dtype)
        _check_analysable(model)
        with _threads_for(model):
            files = build(inputs, model, store, advance)
        files[LOG] = _log(time.monotonic() - started, model)
        advance("writing the report", 1, 1)
        store.publish(files, overwrite)
    return final / "index.html"


def _check_analysable(model: HookedEncoderDecoder) -> None:
    """Refuse families whose equations the analyses do not cover yet; hooks and cache work on all of them.

    Raises:
        InputError: naming the attribute.
    """
    if model.cfg.positions != "relative":
        raise InputError(
            f"The analyses need a T5-shaped model (positions='relative'); this {model.cfg.model_type} has positions="
            f"{model.cfg.positions!r}. Its hooks and cache work in a notebook; for a report choose a T5, mT5, ByT5 or UMT5."
        )


@contextmanager
def _threads_for(model: HookedEncoderDecoder) -> Iterator[None]:
    """One thread for a small model: its matrices are done before a second thread has woken up, and waiting threads burn time."""
    if model.hf.num_parameters() >= _LARGE_MODEL:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def read_inputs(config: RunConfig) -> Inputs:
    """Read prompts and settings and find the model, so that every error of the input shows before the work."""
    return Inputs(
        config=config,
        chosen=tuple(_choose(name, config.settings.get(name, {})) for name in config.analyses),
        prompts=read_prompt_set(config.prompts, config.limit),
        checkpoint=(checkpoint := find_checkpoint(config.model, config.revision)),
        hashes=file_hashes(checkpoint.files()),
    )


def read_prompt_set(name: str, limit: int | None) -> PromptSet:
    """A bundled prompt set by name, or a file, or `-`."""
    if name in prompt_sets.names():
        return prompt_sets.bundled(name, limit)
    is_file = name == "-" or Path(name).suffix or Path(name).exists() or "/" in name
    return prompt_sets.read_prompts(name, limit) if is_file else prompt_sets.bundled(name, limit)


def _choose(name: str, settings: Mapping[str, Any]) -> Chosen:
    analysis = get(name)
    try:
        return Chosen(analysis, analysis.settings(**settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        allowed = ", ".join(analysis.settings.model_fields) or "none"
        raise InputError(f"Setting {field!r} of {name}: {first['msg']}; its settings are: {allowed}.") from error


def build(inputs: Inputs, model: HookedEncoderDecoder, store: Staging, advance: Advance) -> dict[str, bytes]:
    """Observe, summarise and present; the files of the run, by relative path."""
    config = inputs.config
    prompts = inputs.prompts.prompts
    batches = make_batches(model, prompts, config.batch_size, advance)
    seeds = twin_seeds(config)
    observed = observe(Subject("model", model), batches, config.batch_size, inputs.chosen, store, advance)
    twins = observe_twins(model, seeds, batches, config.batch_size, inputs.chosen, store, advance)
    examples = illustrate(model, batches[0], 0, (1, prompts[0].id), inputs.chosen)
    studio = Studio()
    sections = summarise(inputs, model, batches, observed, twins, examples, studio, advance)
    pages = portraits(model, batches, prompts, inputs.chosen, config.pages, advance)
    assembly = Assembly(
        config=config,
        model=_model_record(inputs, model),
        prompts=_prompt_record(inputs.prompts, batches, config.batch_size),
        twin_seeds=seeds,
        versions=versions(),
        cfg=model.cfg,
    )
    report = assemble(assembly, prompt_section(prompts, batches, pages), sections)
    advance("drawing", 0, 1)
    files = render(report, studio)
    files["config.yaml"] = config.to_yaml().encode()
    files["results.json"] = canonical_json(_results(config.analyses, sections))
    files[MANIFEST] = canonical_json(_manifest(assembly, files).model_dump(mode="json"))
    return files


def twin_seeds(config: RunConfig) -> tuple[int, ...]:
    """Seeds of the untrained twins, apart from the seed of resampling."""
    return tuple(1000 * (config.seed + 1) + index for index in range(config.twins))


def summarise(
    inputs: Inputs,
    model: HookedEncoderDecoder,
    batches: Sequence[Batch],
    observed: Mapping[str, Observed],
    twins: Sequence[Mapping[str, Observed]],
    examples: Mapping[str, Example],
    studio: Studio,
    advance: Advance,
) -> tuple[Section, ...]:
    """The section of every analysis, its figures ordered as soon as it stands."""
    sections = []
    for index, item in enumerate(inputs.chosen):
        name = item.analysis.name
        advance(f"summarising {name}", index, len(inputs.chosen))
        evidence = Evidence(
            cfg=model.cfg,
            prompt_ids=tuple(prompt.id for prompt in inputs.prompts.prompts),
            target_origin=batches[0].target_origin,
            model=observed[name],
            twins=tuple(twin[name] for twin in twins),
            example=examples[name],
            settings=item.settings,
            seed=inputs.config.seed,
        )
        section = item.analysis.present(item.analysis.summarise(evidence))
        studio.order([block for part in (section, *section.pages) for block in part.blocks])
        sections.append(section)
    return tuple(sections)


def _model_record(inputs: Inputs, model: HookedEncoderDecoder) -> ModelRecord:
    return ModelRecord(
        name=inputs.checkpoint.name,
        revision=inputs.checkpoint.revision,
        files=inputs.hashes,
        family=model.cfg.model_type,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
        attention=IMPLEMENTATION,
        logit_scale=model.cfg.logit_scale,
        tied_embeddings=model.tied_embeddings,
    )


def _prompt_record(prompts: PromptSet, batches: Sequence[Batch], batch_size: int) -> PromptRecord:
    unfinished = [number * batch_size + index for number, batch in enumerate(batches) for index in batch.unfinished]
    return PromptRecord(
        name=prompts.name,
        sha256=prompts.sha256,
        count=len(prompts),
        target_origin=batches[0].target_origin,
        unfinished=tuple(prompts.prompts[index].id for index in unfinished),
    )


def _results(names: Sequence[str], sections: Sequence[Section]) -> dict[str, Any]:
    """The findings as data: analysis name -> what a program would want to read off the page."""
    return {
        name: {"question": section.question, "findings": section.findings, "limits": section.limits}
        for name, section in zip(names, sections, strict=True)
    }


def _manifest(assembly: Assembly, files: Mapping[str, bytes]) -> Manifest:
    return Manifest(
        package=package_version(),
        command=assembly.config.command(),
        config=assembly.config.portable(),
        model=assembly.model,
        prompts=assembly.prompts,
        twin_seeds=assembly.twin_seeds,
        versions=assembly.versions,
        files=content_hashes(files),
    ).sealed()


def _log(seconds: float, model: HookedEncoderDecoder) -> bytes:
    """What depends on the machine and the moment; not part of the manifest."""
    record = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "device": str(model.device),
    }
    return canonical_json(record)
