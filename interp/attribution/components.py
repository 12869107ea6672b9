"""Who writes to a stack's stream, in order, and which norms stand in the stream's way? Every family's course, from its table.

    T5                         embedding, [heads, MLP of every layer], final norm
    pre-norm with biases       embedding, positions, (norm,) [heads, bias, MLP, bias of every layer], final norm
    post-norm (BART, Marian)   embedding, positions, (norm,) [heads, bias, norm, ..., MLP, bias, norm of every layer]

Norms that a sublayer reads through are not in the stream's way. What a read-out is split over (`direct_logit_attribution`), what
its parts are called, and which norm comes last are read from here.
"""

from dataclasses import dataclass
from typing import Literal

from interp.axes import AttentionKind, Stack
from interp.families.config import ModelConfig
from interp.families.table import FAMILIES
from interp.hooks.names import HeadId, attention_path

WriterKind = Literal["embedding", "positions", "self-attention head", "cross-attention head", "MLP", "bias"]

WRITER_KINDS: tuple[WriterKind, ...] = (
    "embedding",
    "self-attention head",
    "cross-attention head",
    "MLP",
    "positions",
    "bias",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a stream.

    Attributes:
        what: what is done there.
        name: where: a hook point (`decoder.hook_embed`), or the path of a sublayer or norm (`decoder.0.cross_attn`).
        label: its name for people.
        layer: the layer it belongs to; None before and behind the layers.
        attention: the kind of attention, where it is one.
    """

    what: Literal["embedding", "positions", "norm", "attention", "mlp"]
    name: str
    label: str
    layer: int | None = None
    attention: AttentionKind | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """One component of a split.

    Attributes:
        label: `embedding`, `positions`, `DL0H1`, `DL0 attention bias`, `XL0H1`, `DL0MLP`, `DL0 norm 1 bias`, ...
        kind: what it is.
        layer: its layer; None before and behind the layers.
    """

    label: str
    kind: WriterKind
    layer: int | None


def steps(cfg: ModelConfig, stack: Stack) -> tuple[Step, ...]:
    """The course of a stack's stream, from its embedding to its last norm."""
    sites = FAMILIES[cfg.model_type].stacks[stack]
    found = [Step("embedding", f"{stack}.hook_embed", "embedding" if stack == "decoder" else "source embedding")]
    if "hook_pos_embed" in sites.before:
        found.append(Step("positions", f"{stack}.hook_pos_embed", "positions"))
    if "ln_embed" in sites.before:
        found.append(Step("norm", f"{stack}.ln_embed", "embedding norm"))
    for layer in range(cfg.n_layers(stack)):
        found += _layer(cfg, stack, layer)
    if "ln_final" in sites.after:
        found.append(Step("norm", f"{stack}.ln_final", "final norm"))
    return tuple(found)


def _layer(cfg: ModelConfig, stack: Stack, layer: int) -> list[Step]:
    letter = "E" if stack == "encoder" else "D"
    kinds: tuple[AttentionKind, ...] = ("encoder",) if stack == "encoder" else ("decoder", "cross")
    sublayers = [
        Step("attention", attention_path(kind, layer), f"{'X' if kind == 'cross' else letter}L{layer}", layer, kind)
        for kind in kinds
    ]
    sublayers.append(Step("mlp", f"{stack}.{layer}.mlp", f"{letter}L{layer}MLP", layer))
    if cfg.norm_place == "pre":
        return sublayers
    found = []
    for place, sublayer in enumerate(sublayers, start=1):
        norm = Step("norm", f"{stack}.{layer}.ln{place}", f"{letter}L{layer} norm {place}", layer)
        found += [sublayer, norm]
    return found


def norms(cfg: ModelConfig, stack: Stack) -> tuple[str, ...]:
    """The norms in the way of a stack's stream."""
    return tuple(step.name for step in steps(cfg, stack) if step.what == "norm")


def last_norm(cfg: ModelConfig, stack: Stack) -> str:
    """The norm that hands on a stack's output: the final one, or in post-norm families that of the last sublayer."""
    return norms(cfg, stack)[-1]


def norm_behind(cfg: ModelConfig, stack: Stack, layer: int) -> str:
    """The norm between what a layer's MLP writes and a reader that takes this layer for the last one."""
    if cfg.norm_place == "pre":
        return last_norm(cfg, stack)
    return f"{stack}.{layer}.ln{2 if stack == 'encoder' else 3}"


def writers(cfg: ModelConfig, stack: Stack) -> tuple[Writer, ...]:
    """The components of a stack's split in reading order; those of the decoder end with the unembedding's bias, if it has one."""
    found: list[Writer] = []
    for step in steps(cfg, stack):
        found += _writers_of(cfg, step)
    if cfg.biases and stack == "decoder":
        found.append(Writer("unembedding bias", "bias", None))
    return tuple(found)


def _writers_of(cfg: ModelConfig, step: Step) -> list[Writer]:
    found: list[Writer] = []
    bias = f"{step.label} bias"
    if step.what == "embedding":
        return [Writer(step.label, "embedding", None)]
    if step.what == "positions":
        return [Writer(step.label, "positions", None)]
    if step.attention is not None:
        kind: WriterKind = "cross-attention head" if step.attention == "cross" else "self-attention head"
        heads = range(cfg.heads_of(step.attention))
        found = [Writer(str(HeadId(step.attention, step.layer or 0, head)), kind, step.layer) for head in heads]
        bias = f"{step.label} attention bias"
    elif step.what == "mlp":
        found = [Writer(step.label, "MLP", step.layer)]
    return [*found, Writer(bias, "bias", step.layer)] if cfg.biases else found
