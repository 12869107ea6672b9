"""What a run reads before any work is done: analyses with their settings, prompts, and a model's files with their hashes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyses.core.contract import Analysis
from analyses.core.keys import text_key
from analyses.core.observing import ConfiguredAnalysis
from analyses.core.registry import get
from analyses.runs.config import RunConfig
from analyses.runs.manifest import file_hashes, package_version, plug_in_records, versions
from analyses.runs.origin import source_hash
from analyses.runs.prompt_set import prompts_of
from analyses.runs.prompt_set import read_prompt_set as read_prompt_set
from analyses.runs.settings_check import choose
from interp.model.checkpoints import Checkpoint, find_checkpoint
from interp.model.placement import Placement
from interp.prompts import Prompt, PromptSet


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was read before any work is done.

    Attributes:
        config: the configuration.
        analyses: its analyses with their settings.
        prompts: its prompts.
        checkpoint: its model's files.
        hashes: file name -> sha256 of the model's files.
        placement: where the weights shall lie, which decides no number but by rounding; None for one device.
    """

    config: RunConfig
    analyses: tuple[ConfiguredAnalysis, ...]
    prompts: PromptSet
    checkpoint: Checkpoint
    hashes: dict[str, str]
    placement: Placement | None = None

    def identity(self) -> str:
        """Everything that decides the numbers, as text."""
        parts = {
            "config": self.config.portable(),
            "prompts": self.prompts.sha256,
            "model": self.hashes,
            "package": package_version(),
            "source": source_hash(),
            "plugins": {name: record.model_dump() for name, record in plug_in_records(self.config.analyses).items()},
            "versions": versions(),
        }
        return json.dumps(parts, sort_keys=True)

    def slug(self) -> str:
        """Folder name of the run, by default."""
        return self.config.slug(self.prompts.sha256, json.dumps(self.hashes, sort_keys=True))


def read_inputs(config: RunConfig, prompts: PromptSet | None = None, placement: Placement | None = None) -> Inputs:
    """Read prompts and settings and find the model, so that every error of the input shows before the work.

    Args:
        config: what to run.
        prompts: those of the configuration, by whoever has read them already.
        placement: where the weights shall lie.

    Raises:
        InputError: in one sentence.
    """
    config.check_kept()
    return Inputs(
        config=config,
        analyses=choose_analyses(config),
        prompts=(prompts or prompts_of(config)).behind(config.prefix),
        checkpoint=(checkpoint := find_checkpoint(config.model, config.revision)),
        hashes=file_hashes(checkpoint.files()),
        placement=placement,
    )


def choose_analyses(config: RunConfig) -> tuple[ConfiguredAnalysis, ...]:
    """The analyses of a configuration with their settings, in report order.

    Raises:
        InputError: if a setting is not allowed, or a plug-in cannot be loaded.
    """
    return tuple(configured(get(name), config.settings.get(name, {})) for name in config.analyses)


def configured(analysis: Analysis, settings: Mapping[str, Any]) -> ConfiguredAnalysis:
    """An analysis with its settings, its defaults where left out.

    Raises:
        InputError: if a setting is not allowed.
    """
    return ConfiguredAnalysis(analysis, choose(analysis.settings, settings, f"setting of {analysis.name}"))


def reading_order(prompts: Sequence[Prompt]) -> tuple[int, ...]:
    """The places of prompts in the order in which a run computes: by a hash of the sentence, then by prefix and target.

    Resampling, samples and halves of the prompts follow this order, so no number depends on the order of the file, and a sample
    of the first prompts is a random one. Prompts with the same sentence under other prefixes stay side by side, so that halves
    share at most one sentence.
    """
    keys = [(text_key(prompt.sentence), prompt.source, prompt.target or "") for prompt in prompts]
    return tuple(sorted(range(len(prompts)), key=keys.__getitem__))
