"""What made a run, as its manifest says it."""

from a configuration to a finished folder. All input and output of a run happens here or below.

configuration -> prompts, model -> batches -> observations (shards) -> results -> sections -> report -> folder
"""

import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from analyses.core.contract import Analysis, Evidence, Observed
from analyses.core.effective_n import count_texts
from analyses.core.evidence import gather, twin_seeds
from analyses.core.exploring import explorer_of
from analyses.core.observing import ConfiguredAnalysis, Progress, make_batches, rows_of
from analyses.core.shards import Shards
from analyses.core.text_counts import TextCounts
from analyses.runs.config import RunConfig
from analyses.runs.find_runs import DEFAULT_FOLDER
from analyses.runs.inputs import Inputs, read_inputs, reading_order
from analyses.runs.manifest import (
    LOG,
    MANIFEST,
    SIGNATURE,
    Manifest,
    ModelRecord,
    PromptRecord,
    canonical_json,
    package_version,
    plug_in_records,
    versions,
)
from analyses.runs.origin import origin
from analyses.runs.prompt_pages import make_prompt_pages
from analyses.runs.prompt_section import prompt_section
from analyses.runs.provenance import glance_facts, make_report
from analyses.runs.run_folder import staging
from analyses.runs.run_record import record_of
from analyses.runs.run_place import check_place
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.hooks.attention import IMPLEMENTATION
from interp.model.checkpoints import Checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.loading import load_checkpoint
from interp.prompts import PromptSet
from interp.report import FigureRenderer, Headline, Section, render
from interp.report.explorer import explorer_page
from interp.text.batch import Batch


def record_of(
    inputs: Inputs, model: HookedEncoderDecoder, rows: Sequence[tuple[Batch, int]], counts: TextCounts
) -> Manifest:
    """What made the run, its files not yet known."""
    config, prompts, checkpoint = inputs.config, inputs.prompts, inputs.checkpoint
    pairs = zip(prompts.prompts, rows, strict=True)
    return Manifest(
        package=package_version(),
        command=config.command(),
        config=config.portable(),
        model=ModelRecord(
            name=checkpoint.name,
            revision=checkpoint.revision,
            files=inputs.hashes,
            family=model.cfg.model_type,
            dtype=str(model.dtype).removeprefix("torch."),
            device=model.device.type,
            attention=IMPLEMENTATION,
            logit_scale=model.cfg.logit_scale,
            tied_embeddings=model.tied_embeddings,
            source_lang=model.languages.source,
            target_lang=model.languages.target,
        ),
        prompts=PromptRecord(
            name=prompts.name,
            sha256=prompts.sha256,
            count=len(prompts),
            sentences=counts.sentences,
            targets=counts.targets,
            fault=counts.fault,
            target_origin=rows[0][0].target_origin,
            unfinished=tuple(prompt.id for prompt, (batch, row) in pairs if row in batch.unfinished),
        ),
        twin_seeds=twin_seeds(config.seed, config.twins),
        plugins=plug_in_records(config.analyses),
        versions=versions(),
        files={},
        origin=origin(),
    )
