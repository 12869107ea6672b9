"""Sites: where in the host's module tree an activation is found, and from which side; and what hosts of one kind share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from interp.axes import Stack

NormPlace = Literal["pre", "post"]
"""Whether sublayers norm what they read (`pre`) or what they leave (`post`)."""

Side = Literal[
    "input",
    "output",
    "embedding",
    "frames",
    "positions",
    "norm",
    "norm_output",
    "attention",
    "merged",
    "merged_part",
    "heads",
    "merged_heads",
    "bias",
    "experts",
    "stream_in",
    "stream",
    "stream_out",
]
"""What a module is asked:

    input, output    its first input, its output
    embedding        its output times the factor by which the host scales embeddings afterwards
    frames           GELU of its output, [batch d_model pos]: what convolutions make of a sound; the layers that follow read it
    positions        its output, [pos d_model] or [batch pos d_model]
    norm             a norm's scale and normalized value
    norm_output      what the same norm hands on (the residual stream of post-norm layers)
    attention        queries, keys, values, scores, pattern, z
    merged           the same of a decoder layer's one attention over both sides, of either side: of self- and cross-attention
    merged_part      nothing: where the module of such an attention stands for its cross-attention
    heads            the per-head terms of an output projection
    merged_heads     the same of either side of an attention over both
    bias             a looked-up position bias
    experts          probabilities of a router, the chosen expert, its neurons before and behind the activation
    stream_in        the residual stream that enters a layer (the layer's input)
    stream           the residual stream between sublayers, seen at the next sublayer's norm (which is the module)
    stream_out       the residual stream that leaves a layer (the layer's output)
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Where an activation is found.

    Attributes:
        module: path below the stack's module; `{l}` stands for the layer, `{wi}` for the first feed-forward projection.
        side: see `Side`.
        gated_only: whether the site exists only in gated feed-forward layers.
        experts: whether the site exists only in layers with experts (True), only in those without (False), or in both (None).
    """

    module: str
    side: Side
    gated_only: bool = False
    experts: bool | None = None


@dataclass(frozen=True, slots=True)
class StackSites:
    """All sites of one stack, in forward order.

    Attributes:
        module: path of the stack's module in the model.
        before: hook name below the stack -> site, for points before the layers.
        layer: hook name below the layer -> site, for each layer.
        after: hook name below the stack -> site, for points after the layers.
    """

    module: str
    before: Mapping[str, Site]
    layer: Mapping[str, Site]
    after: Mapping[str, Site]


TOKENS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    name: (name,) for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id")
})
"""Special token of `ModelConfig` -> attributes of the host's settings that may hold it, the first that does counts."""


@dataclass(frozen=True, slots=True)
class ExpertModules:
    """Names of the modules in a feed-forward layer with experts, each below the one that holds it.

    Attributes:
        router: hands on who computes a token (one-hot, zeros for nobody), with which factor, and logits of all experts.
        experts: all experts, in their order.
        first: of an expert: from the stream to its neurons.
        activation: of an expert.
        last: of an expert: from its neurons to the stream.
    """

    router: str
    experts: str
    first: str
    activation: str
    last: str


@dataclass(frozen=True, slots=True)
class Host:
    """What the models of one kind of host code share.

    Attributes:
        unembed: path of the unembedding module.
        projections: names of the query, key, value and output projections in an attention module.
        norm: `rms` (no mean, no bias) or `layer`.
        scaled_scores: whether the query-key product is divided by the square root of a head's width.
        biases: whether projections and norms have biases.
        activation: attribute of the host's configuration by which users choose the activation function.
        attributes: fact of `ModelConfig` -> attribute of the host's configuration that holds it.
        constants: fact of `ModelConfig` -> its value, where the host's code fixes it.
        tokens: special token -> attributes of the host's settings that may hold it.
        required: attribute of the host's configuration -> the only value that the sites describe.
        equal: pairs of attributes that the sites take for one fact.
        embeddings_scaled: whether embeddings are times sqrt(d_model); None where `scale_embedding` says it.
        experts: modules of feed-forward layers with experts; None where there are none.
        expert_steps: stack -> attribute with the distance between layers with experts (see `expert_layers`).
        source_states: argument by which an attention over both sides is given what the encoder made; None where there is none.
        auto_class: the host's class that loads any of its models.

    Attributes of nested configurations are written with a dot (`decoder.hidden_size`).
    """

    unembed: str
    projections: tuple[str, str, str, str]
    norm: Literal["rms", "layer"]
    scaled_scores: bool
    biases: bool
    activation: str
    attributes: Mapping[str, str]
    constants: Mapping[str, Any]
    tokens: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: TOKENS)
    required: Mapping[str, Any] = field(default_factory=dict)
    equal: tuple[tuple[str, str], ...] = ()
    embeddings_scaled: bool | None = None
    experts: ExpertModules | None = None
    expert_steps: "Mapping[Stack, str]" = field(default_factory=dict)
    source_states: str | None = None
    auto_class: str = "AutoModelForSeq2SeqLM"


def expert_layers(depth: int, step: int | None) -> tuple[int, ...]:
    """The layers of a stack with experts: from layer 1 on every `step`-th, or all of them.

    Args:
        depth: layers of the stack.
        step: their distance; none for 0 or None.
    """
    return tuple(layer for layer in range(depth) if step and (step == 1 or layer % step == 1))
