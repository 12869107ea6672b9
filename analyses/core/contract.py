"""The contract every analysis keeps: observe, summarize, present.

    observe(Pass) -> Arrays        once per batch: numbers per prompt, leading axis prompt, no token axis
    examine(model, settings)       once per model: numbers read from the weights alone
    experiment(model, batches, settings) -> Arrays   once for the model and one twin: interventions on a sample of the prompts
    fit(model, batches, settings) -> Settings        once per run, before all else: choices left open, made for these prompts
    illustrate(Pass) -> Arrays     once per run, for one example prompt: token axes allowed, shown and never averaged
    summarize(Evidence) -> <Noun>  a frozen dataclass: points, intervals, controls, labels
    present(<Noun>) -> Section     sentences with the numbers in them, tables, figures, views
    prompt_page(Example) -> Blocks what the page of one prompt shows; made for every prompt, so cheap and without figures

Observations of shards are concatenated along the prompt axis, so a run is a list of shards and no number depends on how it
was cut. The same functions run on the model and on its untrained twins; an analysis that cannot be run on a twin has no
control and does not belong here. torch stops at `observe`: what leaves it is numpy.

What the arrays of the first three are, an analysis says once, by an `ArraySpec` for each; nothing is read off their names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analyses.core.settings import Settings as Settings
from analyses.core.text_counts import TextCounts
from interp.report import Block, Section

if TYPE_CHECKING:
    from torch import Tensor

    from interp.families.config import ModelConfig
    from interp.model.activation_cache import ActivationCache
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.text.batch import Batch

Arrays = Mapping[str, np.ndarray]
"""Named arrays. Of an observation, every leading axis is the prompt axis; undefined numbers are NaN."""

Stage = Literal["observe", "examine", "experiment"]

Content = Literal["number", "coordinates", "rounding", "key", "label"]
"""What an array holds:

    number         a quantity of the model, which means over prompts, layers and heads make sense of
    coordinates    of vectors: they mean something together and in one space only
    rounding       what a sum lacks of its parts
    key            the hash of a text (`analyses.core.keys`): equal for prompts that read the same
    label          words, places or marks
"""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array that an analysis gives.

    Attributes:
        name: as `stage` gives it.
        axes: names of its axes. One axis has one size in all arrays of a stage: `prompt` first in observations, `sample` for the
            prompts of an experiment; `encoder_layer`, `decoder_layer`, `encoder_head`, `decoder_head`, `d_model` and
            `category` have the sizes of the model.
        unit: of one number: `share`, `nats`, `tokens`, `logits`; empty if it has none.
        over: what one number is a mean or a sum over, such as `rows` of a prompt; empty if over nothing.
        content: what it holds.
        stage: which function gives it.
    """

    name: str
    axes: tuple[str, ...]
    unit: str = ""
    over: str = ""
    content: Content = "number"
    stage: Stage = "observe"


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
    """All that `summarize` may use.

    Attributes:
        cfg: the model's facts.
        prompt_ids: ids in the order of the prompt axis.
        target_origin: `given` or `generated`.
        model: what the model gave.
        twins: what its untrained twins gave on the same prompts and targets, one for each seed.
        example: the prompt shown in full.
        settings: this analysis' settings.
        seed: for resampling.
        texts: what is independent among the prompts.
    """

    cfg: "ModelConfig"
    prompt_ids: tuple[str, ...]
    target_origin: str
    model: Observed
    twins: tuple[Observed, ...]
    example: Example
    settings: Settings
    seed: int
    texts: TextCounts


def _no_arrays(*_: Any) -> Arrays:
    return {}


def _nothing(*_: Any) -> tuple[()]:
    return ()


def _as_given(model: Any, batches: Any, settings: Any) -> Any:
    return settings


def on_own_rows(cfg: "ModelConfig") -> str | None:
    """Why rows of attention on texts cannot be described, naming the attribute; None where they can, each by itself.

    Args:
        cfg: the model's facts.
    """
    return cfg.why_no_words() or cfg.why_one_softmax()


def _on_texts(cfg: "ModelConfig") -> str | None:
    return cfg.why_no_words()


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis, as the registry holds it.

    Attributes:
        name: slug, also its module's name.
        title: heading of its section.
        question: what it answers, as a question.
        hooks: names or globs of the activations it needs in every family; the runner takes the union over analyses.
        observe: see the module's docstring, as for the following.
        summarize: from evidence to a frozen result.
        present: from the result to a section.
        examine: numbers from the weights.
        experiment: numbers from interventions on a sample that it takes from all prompts.
        illustrate: arrays of one example prompt.
        prompt_page: blocks of one prompt's page, from those arrays.
        arrays: all arrays that `observe`, `examine` and `experiment` may give; they are held to it. Where none is declared,
            observations are held to the prompt axis alone.
        settings: its settings class.
        fit: the settings as they are used on some prompts: what the user left open is chosen for the model and the prompts.
        applies: why the analysis cannot be made on a model of these facts, naming the attribute; None where it can. Its section
            then says so, and nothing else of it is run. By default on all models whose sources are texts, which prompts are.
        more_hooks: names or globs that it needs besides on models of some facts, such as those of position biases.
        not_comparable: limits of comparing its numbers of two models of these facts, as sentences.
    """

    name: str
    title: str
    question: str
    hooks: tuple[str, ...]
    observe: Callable[[Pass], Arrays]
    summarize: Callable[[Evidence], Any]
    present: Callable[[Any], Section]
    examine: Callable[["HookedEncoderDecoder", Settings], Arrays] = _no_arrays
    experiment: Callable[["HookedEncoderDecoder", Sequence["Batch"], Any], Arrays] = _no_arrays
    illustrate: Callable[[Pass], Arrays] = _no_arrays
    prompt_page: Callable[[Example], tuple[Block, ...]] = _nothing
    arrays: tuple[ArraySpec, ...] = ()
    settings: type[Settings] = Settings
    fit: Callable[["HookedEncoderDecoder", Sequence["Batch"], Any], Any] = _as_given
    applies: Callable[["ModelConfig"], str | None] = _on_texts
    more_hooks: Callable[["ModelConfig"], tuple[str, ...]] = _nothing
    not_comparable: Callable[["ModelConfig", "ModelConfig"], tuple[str, ...]] = _nothing

    def hooks_on(self, cfg: "ModelConfig") -> tuple[str, ...]:
        """All activations it needs on a model of these facts."""
        return (*self.hooks, *self.more_hooks(cfg))
