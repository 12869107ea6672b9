"""The course of a residual stream: who writes to it, in order, and which norms stand in its way.

    T5                         embedding, [attention, MLP of every layer], final norm
    pre-norm with biases       embedding, positions, (norm,) [attention, MLP of every layer], final norm
    post-norm (BART, Marian)   embedding, positions, (norm,) [attention, norm, ..., MLP, norm of every layer]
                               (Blenderbot-small's decoder adds positions behind the norm)

    norms on both sides        as in T5; what heads write passes a norm of its own (`Step.write_norm`) before it is added, and
    (T5Gemma)                  what an MLP writes is taken behind its own; in T5Gemma 2 heads of self- and cross-attention pass
                               one such norm together

Norms that a sublayer reads through are not in the stream's way. The decoder's course ends with the unembedding.
"""

from dataclasses import dataclass
from typing import Literal

from interp.axes import AttentionKind, Stack
from interp.families.config import ModelConfig
from interp.families.table import FAMILIES

StepKind = Literal["embedding", "positions", "norm", "attention", "mlp", "unembedding"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a residual stream.

    Attributes:
        kind: what is done there.
        name: where: a hook point (`decoder.hook_embed`), or the path of a sublayer or norm (`decoder.0.cross_attn`).
        label: its name for people.
        bias: whether it adds a bias that no head and no neuron writes.
        layer: the layer it belongs to; None before and behind the layers.
        attention: the kind of attention, where it is one.
        write_norm: path of the norm that what heads write passes before it is added to the stream; None where there is none.
        experts: of an MLP: how many, one of which writes for a token; 0 where the MLP is one.
    """

    kind: StepKind
    name: str
    label: str
    bias: bool = False
    layer: int | None = None
    attention: AttentionKind | None = None
    write_norm: str | None = None
    experts: int = 0


def steps(cfg: ModelConfig, stack: Stack) -> tuple[Step, ...]:
    """The course of a stack's residual stream, from its embedding to its last norm or the unembedding.

    Args:
        cfg: the model's facts.
        stack: which stack.
    """
    sites = FAMILIES[cfg.model_type].stacks[stack]
    found = [Step("embedding", f"{stack}.hook_embed", "embedding" if stack == "decoder" else "source embedding")]
    entry = {
        "hook_pos_embed": Step("positions", f"{stack}.hook_pos_embed", "positions"),
        "ln_embed": Step("norm", f"{stack}.ln_embed", "embedding norm", cfg.biases),
    }
    found += [entry[name] for name in sites.before if name in entry]
    for layer in range(cfg.n_layers(stack)):
        found += _layer(cfg, stack, layer)
    if "ln_final" in sites.after:
        found.append(Step("norm", f"{stack}.ln_final", "final norm", cfg.biases))
    if stack == "decoder":
        found.append(Step("unembedding", "unembed", "unembedding", cfg.biases))
    return tuple(found)


def _layer(cfg: ModelConfig, stack: Stack, layer: int) -> list[Step]:
    letter, path = stack[0].upper(), f"{stack}.{layer}"
    places = (1, 1 if cfg.merged_attention else 2)
    own, cross = (f"{path}.ln{place}_post" if cfg.write_norms else None for place in places)
    sublayers = [Step("attention", f"{path}.attn", f"{letter}L{layer}", cfg.biases, layer, stack, own)]
    if stack == "decoder":
        sublayers.append(Step("attention", f"{path}.cross_attn", f"XL{layer}", cfg.biases, layer, "cross", cross))
    experts = cfg.n_experts if layer in cfg.expert_layers(stack) else 0
    sublayers.append(Step("mlp", f"{path}.mlp", f"{letter}L{layer}MLP", cfg.biases, layer, experts=experts))
    if cfg.norm_place == "pre":
        return sublayers
    found = []
    for place, sublayer in enumerate(sublayers, start=1):
        found += [sublayer, Step("norm", f"{path}.ln{place}", f"{letter}L{layer} norm {place}", cfg.biases, layer)]
    return found


def norms(cfg: ModelConfig, stack: Stack) -> tuple[str, ...]:
    """The norms in the way of a stack's stream, by path.

    Args:
        cfg: the model's facts.
        stack: which stack.
    """
    return tuple(step.name for step in steps(cfg, stack) if step.kind == "norm")


def last_norm(cfg: ModelConfig, stack: Stack) -> str:
    """The norm that hands on a stack's output: the final one, or in post-norm families that of the last sublayer.

    Args:
        cfg: the model's facts.
        stack: which stack.
    """
    return norms(cfg, stack)[-1]


def mlp_write_norm(cfg: ModelConfig, stack: Stack, layer: int) -> str | None:
    """The norm that what an MLP writes passes before it is added, by path; None where there is none.

    Args:
        cfg: the model's facts.
        stack: which stack.
        layer: layer of the stack.
    """
    place = 3 if stack == "decoder" and not cfg.merged_attention else 2
    return f"{stack}.{layer}.ln{place}_post" if cfg.write_norms else None


def norm_behind(cfg: ModelConfig, stack: Stack, layer: int) -> str:
    """The norm between what a layer's MLP writes and a reader that takes this layer for the last one.

    Args:
        cfg: the model's facts.
        stack: which stack.
        layer: layer of the stack.
    """
    own = [step.name for step in steps(cfg, stack) if step.kind == "norm" and step.layer == layer]
    return own[-1] if own else last_norm(cfg, stack)
