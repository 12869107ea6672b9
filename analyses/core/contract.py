"""The contract every analysis keeps: observe, summarise, present.

    observe(Pass) -> Arrays        once per batch: numbers per prompt, leading axis prompt, no token axis
    examine(model, settings)       once per model: numbers read from the weights alone
    experiment(model, batches, settings) -> Arrays   once for the model and one twin: interventions on a sample of the prompts
    illustrate(Pass) -> Arrays     once per run, for one example prompt: token axes allowed, shown and never averaged
    summarise(Evidence) -> <Noun>  a frozen dataclass: points, intervals, controls, labels
    present(<Noun>) -> Section     sentences with the numbers in them, tables, figures, views
    portray(Example) -> Blocks     what the page of one prompt shows; made for every prompt, so cheap and without figures

Observations of shards are concatenated along the prompt axis, so a run is a list of shards and no number depends on how it
was cut. The same functions run on the model and on its untrained twins; an analysis that cannot be run on a twin has no
control and does not belong here. torch stops at `observe`: what leaves it is numpy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from interp.report import Block, Section

if TYPE_CHECKING:
    from torch import Tensor

    from interp.families.config import ModelConfig
    from interp.model.activation_cache import ActivationCache
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.text.batch import Batch

Arrays = Mapping[str, np.ndarray]
"""Named arrays. Of an observation, every leading axis is the prompt axis; undefined numbers are NaN."""


def joined(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Observations of several batches as those of one: arrays of one name one after another along the prompt axis."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Settings(BaseModel):
    """What a user may choose for one analysis; the base has no choices. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One forward pass, as analyses see it.

    Attributes:
        model: the hooked model (trained or twin).
        batch: the prompts.
        logits: [batch target vocab].
        cache: the activations asked for by any analysis of the run.
        settings: this analysis' settings.
    """

    model: "HookedEncoderDecoder"
    batch: "Batch"
    logits: "Tensor"
    cache: "ActivationCache"
    settings: Settings


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What one model gave.

    Attributes:
        prompts: array name -> values, leading axis prompt, prompts in the order of the prompt set.
        weights: array name -> values that depend on the weights alone.
        experiment: array name -> values of a sample of the prompts; empty where the experiment was not run.
    """

    prompts: Arrays
    weights: Arrays
    experiment: Arrays = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One prompt shown in full.

    Attributes:
        id: the prompt's id.
        number: the prompt's place in its set, from 1.
        source_pieces: encoder tokens.
        decoder_pieces: decoder input tokens; row t reads this and predicts `label_pieces[t]`.
        label_pieces: predicted tokens.
        arrays: what `illustrate` gave, without a prompt axis.
    """

    id: str
    source_pieces: tuple[str, ...]
    decoder_pieces: tuple[str, ...]
    label_pieces: tuple[str, ...]
    arrays: Arrays
    number: int = 1

    @property
    def slug(self) -> str:
        """The name of this prompt in file names and anchors, whatever its id."""
        return f"prompt-{self.number}"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that `summarise` may use.

    Attributes:
        cfg: the model's facts.
        prompt_ids: ids in the order of the prompt axis.
        target_origin: `given` or `generated`.
        model: what the model gave.
        twins: what its untrained twins gave on the same prompts and targets, one for each seed.
        example: the prompt shown in full.
        settings: this analysis' settings.
        seed: for resampling.
    """

    cfg: "ModelConfig"
    prompt_ids: tuple[str, ...]
    target_origin: str
    model: Observed
    twins: tuple[Observed, ...]
    example: Example
    settings: Settings
    seed: int


def no_weights(model: "HookedEncoderDecoder", settings: Settings) -> Arrays:
    """For analyses that read nothing from the weights alone."""
    return {}


def no_experiment(model: "HookedEncoderDecoder", batches: Sequence["Batch"], settings: Any) -> Arrays:
    """For analyses that only read."""
    return {}


def no_illustration(run: Pass) -> Arrays:
    """For analyses that show no single prompt."""
    return {}


def no_portrait(example: Example) -> tuple[Block, ...]:
    """For analyses that have nothing on the page of a prompt."""
    return ()


def everywhere(cfg: "ModelConfig") -> str | None:
    """For analyses whose equations hold in every family."""
    return None


def no_more_hooks(cfg: "ModelConfig") -> tuple[str, ...]:
    """For analyses that read the same activations in every family."""
    return ()


def nothing_beside(first: "ModelConfig", second: "ModelConfig") -> tuple[str, ...]:
    """For analyses whose numbers are the same quantity in every family."""
    return ()


def in_t5_shapes(cfg: "ModelConfig") -> str | None:
    """For analyses whose equations are those of T5: relative position biases, pre-norm without means, no biases.

    Returns:
        The attributes that speak against it, or None.
    """
    if cfg.t5_shaped:
        return None
    return (
        "its equations need positions='relative', norm_place='pre' and biases=False; this "
        f"{cfg.model_type} has positions={cfg.positions!r}, norm_place={cfg.norm_place!r} and biases={cfg.biases}"
    )


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis, as the registry holds it.

    Attributes:
        name: slug, also its module's name.
        title: heading of its section.
        question: what it answers, as a question.
        hooks: names or globs of the activations it needs in every family; the runner takes the union over analyses.
        observe: see the module's docstring, as for the following.
        summarise: from evidence to a frozen result.
        present: from the result to a section.
        examine: numbers from the weights.
        experiment: numbers from interventions on a sample that it takes from all prompts.
        illustrate: arrays of one example prompt.
        portray: blocks of one prompt's page, from those arrays.
        settings: its settings class.
        applies: why the analysis cannot be made on a model of these facts, naming the attribute; None where it can. Its section
            then says so, and nothing else of it is run.
        more_hooks: names or globs that it needs besides on models of some facts, such as those of position biases.
        beside: limits of setting its numbers of two models side by side.
    """

    name: str
    title: str
    question: str
    hooks: tuple[str, ...]
    observe: Callable[[Pass], Arrays]
    summarise: Callable[[Evidence], Any]
    present: Callable[[Any], Section]
    examine: Callable[["HookedEncoderDecoder", Settings], Arrays] = no_weights
    experiment: Callable[["HookedEncoderDecoder", Sequence["Batch"], Any], Arrays] = no_experiment
    illustrate: Callable[[Pass], Arrays] = no_illustration
    portray: Callable[[Example], tuple[Block, ...]] = no_portrait
    settings: type[Settings] = Settings
    applies: Callable[["ModelConfig"], str | None] = everywhere
    more_hooks: Callable[["ModelConfig"], tuple[str, ...]] = no_more_hooks
    beside: Callable[["ModelConfig", "ModelConfig"], tuple[str, ...]] = nothing_beside

    def hooks_on(self, cfg: "ModelConfig") -> tuple[str, ...]:
        """All activations it needs on a model of these facts."""
        return (*self.hooks, *self.more_hooks(cfg))
