"""The runner: from a configuration to a finished folder. All input and output of a run happens here or below.

configuration -> prompts, model -> batches -> observations (shards) -> results -> sections -> report -> folder
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from analyses.core.contract import Analysis, Evidence, Example, Observed
from analyses.core.observing import (
    Advance,
    Chosen,
    Subject,
    illustrate,
    make_batches,
    observe,
    observe_twins,
    rows_as_given,
    twin_seeds,
)
from analyses.runs.config import RunConfig
from analyses.runs.find_runs import DEFAULT_FOLDER
from analyses.runs.inputs import Inputs, read_inputs, reading_order
from analyses.runs.manifest import (
    LOG,
    MANIFEST,
    Manifest,
    ModelRecord,
    PromptRecord,
    canonical_json,
    content_hashes,
    package_version,
    plug_in_records,
    versions,
)
from analyses.runs.prompt_pages import prompt_pages
from analyses.runs.prompt_section import prompt_section
from analyses.runs.provenance import Assembly, assemble
from analyses.runs.run_folder import Staging, check_place, staging
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.hooks.attention import IMPLEMENTATION
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.loading import load_checkpoint
from interp.prompts import Prompt, PromptSet
from interp.report import FigureRenderer, Section, render
from interp.text.batch import Batch

_LARGE_MODEL = 50_000_000
"""Parameters from which a second thread pays on a laptop; below it runs took half as long with one."""

Keep = Callable[[Mapping[str, Observed]], None]
"""Called with what the model gave to every analysis, prompts in the order of the run (`reading_order`), while it can be read."""


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
    if out is not None:
        check_place(out, overwrite)
    inputs = read_inputs(config)
    return carry_out(inputs, out or DEFAULT_FOLDER / inputs.slug(), overwrite, advance)


def carry_out(
    inputs: Inputs,
    final: Path,
    overwrite: bool,
    advance: Advance,
    loaded: HookedEncoderDecoder | None = None,
    keep: Keep | None = None,
) -> Path:
    """Run analyses on what was read, and write their report.

    Args:
        inputs: what was read.
        final: the run's folder.
        overwrite: replace a run that is already there.
        advance: called as the work goes on.
        loaded: the model, by whoever has loaded it from the same files already.
        keep: given what the model gave, by whoever wants more of it than the report says.

    Returns:
        The path of the report's `index.html`.

    Raises:
        InputError: if the model cannot be used, or the folder cannot be written; nothing is left behind.
    """
    started, config = time.monotonic(), inputs.config
    with staging(final, inputs.identity(), overwrite) as store:
        torch.use_deterministic_algorithms(True, warn_only=True)
        model = load_checkpoint(inputs.checkpoint, config.device, config.dtype) if loaded is None else loaded
        _check_analysable(model.cfg, inputs.chosen)
        with threads_for(model):
            files = build(inputs, model, store, advance, keep)
        files[LOG] = _log(time.monotonic() - started, model)
        advance("writing the report", 1, 1)
        store.publish(files, overwrite)
    return final / "index.html"


def _check_analysable(cfg: ModelConfig, chosen: Sequence[Chosen]) -> None:
    """Refuse a model that none of the chosen analyses can be made on; its hooks and cache work all the same.

    Raises:
        InputError: naming the attributes.
    """
    reasons = [item.analysis.applies(cfg) for item in chosen]
    if all(reasons):
        raise InputError(
            f"None of the chosen analyses can be made on this model: for {chosen[0].analysis.name}, {reasons[0]}. Choose another "
            "analysis or another model; hooks and cache work in a notebook."
        )


@contextmanager
def threads_for(model: HookedEncoderDecoder) -> Iterator[None]:
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


def build(
    inputs: Inputs, model: HookedEncoderDecoder, store: Staging, advance: Advance, keep: Keep | None = None
) -> dict[str, bytes]:
    """Observe, summarise and present; the files of the run, by relative path."""
    config, everything = inputs.config, inputs.chosen
    inputs = replace(inputs, chosen=tuple(item for item in everything if item.analysis.applies(model.cfg) is None))
    prompts = inputs.prompts.prompts
    order = reading_order(prompts)
    read = [prompts[place] for place in order]
    batches = make_batches(model, read, config.batch_size, advance)
    rows = rows_as_given(batches, order)
    seeds = twin_seeds(config.seed, config.twins)
    observed = observe(Subject("model", model), batches, config.batch_size, inputs.chosen, store, advance)
    if keep is not None:
        keep(observed)
    twins = observe_twins(model, seeds, batches, config.batch_size, inputs.chosen, store, advance)
    examples = illustrate(model, batches[0], 0, (order[0] + 1, read[0].id), inputs.chosen)
    renderer = FigureRenderer()
    made = summarise(inputs, model, read, batches, observed, twins, examples, renderer, advance)
    sections = with_refusals(model.cfg, everything, made)
    pages = prompt_pages(model, rows, prompts, inputs.chosen, config.pages, advance)
    assembly = Assembly(
        config=config,
        model=_model_record(inputs, model),
        prompts=_prompt_record(inputs.prompts, rows),
        plugins=plug_in_records(config.analyses),
        twin_seeds=seeds,
        versions=versions(),
        cfg=model.cfg,
    )
    report = assemble(assembly, prompt_section(prompts, rows, pages), sections)
    advance("drawing", 0, 1)
    files = render(report, renderer)
    files["config.yaml"] = config.to_yaml().encode()
    files["results.json"] = canonical_json(_results(config.analyses, sections))
    files[MANIFEST] = canonical_json(_manifest(assembly, files).model_dump(mode="json"))
    return files


def summarise(
    inputs: Inputs,
    model: HookedEncoderDecoder,
    prompts: Sequence[Prompt],
    batches: Sequence[Batch],
    observed: Mapping[str, Observed],
    twins: Sequence[Mapping[str, Observed]],
    examples: Mapping[str, Example],
    renderer: FigureRenderer,
    advance: Advance,
) -> tuple[Section, ...]:
    """The section of every analysis, its figures begun as soon as it stands."""
    sections = []
    for index, item in enumerate(inputs.chosen):
        name = item.analysis.name
        advance(f"summarising {name}", index, len(inputs.chosen))
        evidence = Evidence(
            cfg=model.cfg,
            prompt_ids=tuple(prompt.id for prompt in prompts),
            target_origin=batches[0].target_origin,
            model=observed[name],
            twins=tuple(twin[name] for twin in twins),
            example=examples[name],
            settings=item.settings,
            seed=inputs.config.seed,
        )
        with item.named():
            section = item.analysis.present(item.analysis.summarise(evidence))
        renderer.begin([*section.blocks, *(block for page in section.pages for block in page.blocks)])
        sections.append(section)
    return tuple(sections)


def with_refusals(cfg: ModelConfig, chosen: Sequence[Chosen], made: Sequence[Section]) -> tuple[Section, ...]:
    """All sections in report order, those of analyses that cannot be made on this model saying why.

    Args:
        cfg: the model's facts.
        chosen: what was asked for, in report order.
        made: the sections of those that could be made, in the same order.
    """
    rest = iter(made)
    return tuple(
        next(rest) if (why := item.analysis.applies(cfg)) is None else _refusal(item.analysis, why) for item in chosen
    )


def _refusal(analysis: Analysis, why: str) -> Section:
    return Section(
        name=analysis.name.replace("_", "-"),
        title=analysis.title,
        question=analysis.question,
        findings=(f"Not answered for this model: {why}.",),
        blocks=(),
        limits=("Nothing follows from an analysis that was not made.",),
    )


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


def _prompt_record(prompts: PromptSet, rows: Sequence[tuple[Batch, int]]) -> PromptRecord:
    return PromptRecord(
        name=prompts.name,
        sha256=prompts.sha256,
        count=len(prompts),
        target_origin=rows[0][0].target_origin,
        unfinished=tuple(
            prompt.id for prompt, (batch, row) in zip(prompts.prompts, rows, strict=True) if row in batch.unfinished
        ),
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
        plugins=assembly.plugins,
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
