"""The components of direct logit attribution: everything that writes to a residual stream (Elhage et al. 2021), in reading order.

Each head and each MLP is one, and in place of an MLP with experts each expert, which writes 0 for the tokens of others; so are
embedding and positions and, where a family has them, the biases of output projections, MLPs, norms and the unembedding, which no
head and no neuron writes.
"""

from dataclasses import dataclass
from typing import Literal

from interp.axes import Stack
from interp.families.config import ModelConfig
from interp.families.residual_stream import Step, steps
from interp.hooks.names import HeadId

ComponentKind = Literal["embedding", "positions", "self-attention head", "cross-attention head", "MLP", "bias"]

COMPONENT_KINDS: tuple[ComponentKind, ...] = (
    "embedding",
    "self-attention head",
    "cross-attention head",
    "MLP",
    "positions",
    "bias",
)


@dataclass(frozen=True, slots=True)
class Component:
    """One component.

    Attributes:
        label: `embedding`, `positions`, `DL0H1`, `DL0 attention bias`, `XL0H1`, `DL0MLP`, `DL1E3`, `DL0 norm 1 bias`, ...
        kind: what it is.
        layer: its layer; None before and behind the layers.
        head: which head, if it is one.
        expert: which expert of an MLP, if it is one.
    """

    label: str
    kind: ComponentKind
    layer: int | None = None
    head: HeadId | None = None
    expert: int | None = None

    def __str__(self) -> str:
        return self.label


VALUE_BIAS = Component("value bias", "bias")
"""What cross heads add whatever they look at: the bias of their values, at every source token as much as it is looked at."""


def components_of(cfg: ModelConfig, stack: Stack) -> tuple[Component, ...]:
    """The components of a stack's residual stream; those of the decoder end with the unembedding's bias, if it has one.

    Args:
        cfg: the model's facts.
        stack: which stack.
    """
    return tuple(component for step in steps(cfg, stack) for component in _written_at(cfg, step))


def source_components(cfg: ModelConfig) -> tuple[Component, ...]:
    """The components of what cross heads read at a source token: the encoder's, and the bias of the values, if there is one.

    Args:
        cfg: the model's facts.
    """
    biased = any(step.bias for step in steps(cfg, "decoder") if step.attention == "cross")
    return (*components_of(cfg, "encoder"), *([VALUE_BIAS] if biased else ()))


def has_biases(cfg: ModelConfig) -> bool:
    """Whether biases are among the components.

    Args:
        cfg: the model's facts.
    """
    return any(component.kind == "bias" for component in components_of(cfg, "decoder"))


def _written_at(cfg: ModelConfig, step: Step) -> list[Component]:
    found: list[Component] = []
    bias = f"{step.label} bias"
    if step.kind == "embedding":
        found = [Component(step.label, "embedding")]
    elif step.kind == "positions":
        found = [Component(step.label, "positions")]
    elif step.kind == "mlp":
        found = [Component(step.label, "MLP", step.layer)]
        if step.experts:
            place = step.label.removesuffix("MLP")
            found = [Component(f"{place}E{one}", "MLP", step.layer, expert=one) for one in range(step.experts)]
    elif step.attention is not None and step.layer is not None:
        kind: ComponentKind = "cross-attention head" if step.attention == "cross" else "self-attention head"
        heads = [HeadId(step.attention, step.layer, head) for head in range(cfg.heads_of(step.attention))]
        found = [Component(str(head), kind, step.layer, head) for head in heads]
        bias = f"{step.label} attention bias"
    return [*found, Component(bias, "bias", step.layer)] if step.bias else found
