"""The runner: from a configuration to a finished folder. All input and output of a run happens here or below.

configuration -> prompts, model -> batches -> observations (shards) -> results -> sections -> report -> folder
"""

import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from analyses.core.contract import Evidence
from analyses.core.effective_n import count_texts
from analyses.core.evidence import Crew, gather
from analyses.core.exploring import explorer_of
from analyses.core.kept_batches import Rows
from analyses.core.memory_use import page_out
from analyses.core.observing import ConfiguredAnalysis, Progress, given_texts, make_batches
from analyses.core.precision import PrecisionGap, UnknownGap, precision_gaps
from analyses.core.shards import Shards
from analyses.core.work import Engine
from analyses.runs.config import RunConfig
from analyses.runs.find_runs import DEFAULT_FOLDER
from analyses.runs.inputs import Inputs, read_inputs, reading_order
from analyses.runs.loading import load_for
from analyses.runs.manifest import LOG, MANIFEST, SIGNATURE, canonical_json
from analyses.runs.plan import check_memory
from analyses.runs.prompt_pages import begin_prompt_pages
from analyses.runs.prompt_section import prompt_section
from analyses.runs.prompt_set import kept_prompts
from analyses.runs.provenance import glance_facts, make_report
from analyses.runs.read_prompts import ReadPrompts
from analyses.runs.results import refusal, results_json
from analyses.runs.run_folder import staging
from analyses.runs.run_place import check_place
from analyses.runs.run_record import record_of
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.model.heap import trim_heap
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.placement import Placement
from interp.prompts import PromptSet
from interp.report import FigureRenderer, Section, render
from interp.report.explorer import explorer_page
from interp.report.second_process import begin_copy, is_command
from interp.text.batch import Batch
from interp.text.unknown_pieces import unknown_share

_LARGE_MODEL = 50_000_000
"""Parameters from which a second thread pays on a laptop; below it runs took half as long with one."""

EXPLORER_PAGE = "explorer.html"

Keep = Callable[[ConfiguredAnalysis, Evidence], None]
"""Called with every analysis and what model and twins gave to it, prompts in the order of the run (`reading_order`)."""

Signer = Callable[[bytes], dict[str, bytes]]
"""Gives the file that signs a manifest, or none."""


def run(
    config: RunConfig,
    out: Path | None,
    overwrite: bool,
    progress: Progress,
    sign: Path | None = None,
    prompts: PromptSet | None = None,
    engine: Engine | None = None,
    placement: Placement | None = None,
) -> Path:
    """Run analyses and write their report.

    Args:
        config: what to run.
        out: the run's folder; by default one below `reports/`, named after the configuration.
        overwrite: replace a run that is already there.
        progress: called as the work goes on.
        sign: an SSH key that signs the manifest.
        prompts: those of the configuration, by whoever has read them already.
        engine: who observes (`analyses.engines`); by default this process. No number depends on it.
        placement: where the weights shall lie, if not all on one device.

    Returns:
        The path of the report's `index.html`. In a rank of torchrun that helped rank 0, the report is still being made.

    Raises:
        InputError: if anything the user gave cannot be used; nothing is left behind.
    """
    if out is not None:
        check_place(out, overwrite)
    if engine is not None and placement is not None:
        raise InputError("Weights on several devices are one process' own; leave out --engine or --device-map.")
    signer, inputs = signer_of(sign), read_inputs(config, prompts, placement)
    check_memory(config, inputs.prompts, inputs.checkpoint, placement)
    final = out or DEFAULT_FOLDER / inputs.slug()
    with session_of(engine) as leads:
        return run_inputs(inputs, final, overwrite, progress, signer, engine) if leads else final / "index.html"


def session_of(engine: Engine | None) -> AbstractContextManager[bool]:
    """Where runs are made, by an engine if there is one; True in the process that makes them. No model is loaded before."""
    begin_copy()
    return nullcontext(True) if engine is None else engine.session()


def run_inputs(
    inputs: Inputs,
    final: Path,
    overwrite: bool,
    progress: Progress,
    signer: Signer = lambda manifest: {},
    engine: Engine | None = None,
) -> Path:
    """Run analyses on what was read, and write their report; see `run`.

    Args:
        inputs: what was read.
        final: the run's folder.
        overwrite: replace a run that is already there.
        progress: called as the work goes on.
        signer: see `Signer`.
        engine: who observes, its session begun.
    """
    started, config = time.monotonic(), inputs.config
    with staging(final, inputs.identity(), overwrite) as store:
        model = load_for(config, inputs.checkpoint, inputs.placement)
        progress = store.status.told(progress)
        files = build_files(inputs, model, store, progress, engine=engine)
        files |= signer(files[MANIFEST])
        files[LOG] = make_log(time.monotonic() - started, model)
        progress("writing the report", 1, 1)
        store.publish(files, overwrite)
    return final / "index.html"


def signer_of(key: Path | None) -> Signer:
    """What signs with a key, which is read now, so that one that cannot be used is refused before the work.

    Raises:
        InputError: if the key cannot be used.
    """
    if key is None:
        return lambda manifest: {}
    from analyses.runs.signing import read_private_key, signature_of

    private = read_private_key(key)
    return lambda manifest: {SIGNATURE: signature_of(manifest, private)}


def _check_analysable(cfg: ModelConfig, analyses: Sequence[ConfiguredAnalysis]) -> None:
    """Refuse a model that none of the chosen analyses can be made on; its hooks and cache work all the same.

    Raises:
        InputError: naming the attributes.
    """
    reasons = [item.analysis.applies(cfg) for item in analyses]
    if all(reasons):
        raise InputError(
            f"None of the chosen analyses can be made on this model: for {analyses[0].name}, {reasons[0]}. Choose another "
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


def build_files(
    inputs: Inputs,
    model: HookedEncoderDecoder,
    store: Shards,
    progress: Progress,
    keep: Keep | None = None,
    engine: Engine | None = None,
) -> dict[str, bytes]:
    """Observe, summarize and present; the files of the run but its log, by relative path."""
    _check_analysable(model.cfg, inputs.analyses)
    torch.use_deterministic_algorithms(True, warn_only=True)
    load = partial(load_for, inputs.config, inputs.checkpoint)
    crew = None if engine is None else Crew(engine, load)
    with threads_for(model):
        return _build(inputs, model, store, progress, keep, crew, load)


def _build(
    inputs: Inputs,
    model: HookedEncoderDecoder,
    store: Shards,
    progress: Progress,
    keep: Keep | None,
    crew: Crew | None,
    load: Callable[[], HookedEncoderDecoder],
) -> dict[str, bytes]:
    config, prompts = inputs.config, inputs.prompts.prompts
    why_not = {item.name: item.analysis.applies(model.cfg) for item in inputs.analyses}
    analyses = [item for item in inputs.analyses if why_not[item.name] is None]
    order = reading_order(prompts)
    read = [prompts[place] for place in order]
    batches = make_batches(model, read, config.batch_size, progress)
    ids = [prompt.id for prompt in read]
    found = gather(analyses, model, ids, batches, config.twins, config.seed, progress, store, order[0] + 1, crew)
    found = chain(list(islice(found, 1)), found)  # Once the first is there, all is observed.
    renderer = FigureRenderer(kind=config.figures)
    shown = np.argsort(order)[: max(config.pages, 1)]
    rows = [(batch.select(row), 0) for batch, row in (Rows(batches)[int(place)] for place in shown)]
    elsewhere = load if crew is None and inputs.placement is None else None
    with begin_prompt_pages(model, elsewhere, rows, prompts, analyses, config.pages) as begun:
        made = _sections(analyses, found, _gaps(inputs, model, batches[0], analyses), renderer, progress, keep)
        [(pages, explored)] = begun.finish("writing the prompts' pages", progress)
    sections = [made.get(item.name) or refusal(item.analysis, str(why_not[item.name])) for item in inputs.analyses]
    told = ReadPrompts.of(batches, order, prompts)
    manifest = record_of(inputs, model, told, count_texts(batches))
    facts = glance_facts(manifest, model, inputs.slug().rpartition("-")[2])
    unknown = unknown_share(given_texts(batches), model.tokenizer)
    del batches  # of a corpus they are as large as its texts, which are all that is still needed
    texts = prompt_section(prompts, told, pages, explored, unknown)
    report = make_report(manifest, model.cfg, texts, sections, facts, EXPLORER_PAGE)
    progress("drawing", 0, 1)
    page_out(model.hf.parameters())
    trim_heap()
    files = render(report, renderer)
    heads = {name: note for section in sections for name, note in section.heads.items()}
    files[EXPLORER_PAGE] = explorer_page(
        explorer_of(model, manifest.model.name, explored, heads), f"Explorer: {report.title}", "index.html"
    )
    files["config.yaml"] = config.to_yaml().encode()
    files |= kept_prompts(inputs.prompts)
    files["results.json"] = results_json(config.analyses, sections)
    files[MANIFEST] = manifest.with_files(files).to_json()
    return files


def _sections(
    analyses: Sequence[ConfiguredAnalysis],
    found: Iterable[Evidence],
    gaps: Mapping[str, PrecisionGap | UnknownGap],
    renderer: FigureRenderer,
    progress: Progress,
    keep: Keep | None,
) -> dict[str, Section]:
    """The section of every analysis by name; what was observed is let go as soon as its section stands."""
    made: dict[str, Section] = {}
    for item, evidence in zip(analyses, found, strict=True):
        progress(f"summarizing {item.name}", len(made), len(analyses))
        if keep is not None:
            keep(item, evidence)
        section = _section(item, evidence, renderer)
        trim_heap()
        made[item.name] = gaps[item.name].beside(section) if item.name in gaps else section
    return made


def _gaps(
    inputs: Inputs, model: HookedEncoderDecoder, batch: Batch, analyses: Sequence[ConfiguredAnalysis]
) -> Mapping[str, PrecisionGap | UnknownGap]:
    """What a narrow type costs, where it is one."""
    asked = inputs.config.model_copy(update={"dtype": "float32", "device": "cpu"})
    return precision_gaps(model, partial(load_for, asked, inputs.checkpoint), batch, analyses)


def _section(item: ConfiguredAnalysis, evidence: Evidence, renderer: FigureRenderer) -> Section:
    """The section of an analysis, its figures begun as soon as it stands."""
    with item.named():
        section = item.analysis.present(item.analysis.summarize(evidence))
    renderer.begin([*section.blocks, *(block for page in section.pages for block in page.blocks)])
    return section


def make_log(seconds: float, model: HookedEncoderDecoder) -> bytes:
    """What depends on the machine, the moment and how the run was started; not part of the manifest."""
    return canonical_json({
        "arguments": sys.argv[1:] if is_command() else None,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "device": str(model.device),
    })
