"""What made a run, as its manifest says it."""

from analyses.core.evidence import twin_seeds
from analyses.core.text_counts import TextCounts
from analyses.runs.inputs import Inputs
from analyses.runs.manifest import (
    Manifest,
    ModelRecord,
    PromptRecord,
    package_version,
    plug_in_records,
    versions,
)
from analyses.runs.origin import origin
from analyses.runs.read_prompts import ReadPrompts
from interp.hooks.attention import IMPLEMENTATION
from interp.model.hooked_model import HookedEncoderDecoder


def record_of(inputs: Inputs, model: HookedEncoderDecoder, read: ReadPrompts, counts: TextCounts) -> Manifest:
    """What made the run, its files not yet known."""
    config, prompts, checkpoint = inputs.config, inputs.prompts, inputs.checkpoint
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
            target_origin=read.origin,
            unfinished=tuple(prompts.prompts[place].id for place in read.unfinished),
        ),
        twin_seeds=twin_seeds(config.seed, config.twins),
        plugins=plug_in_records(config.analyses),
        versions=versions(),
        files={},
        origin=origin(),
    )
