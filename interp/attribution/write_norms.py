"""What becomes of a write on its way through the norms to the last one?

`frozen_norms` takes a direction backwards to the writers; here a write c goes forwards. With every norm in its way held at its
scale in this pass it stays itself, turned by gains and without its mean,

    push(c) = gain * (c - mean(c)) / scale      (norm after norm; no mean in T5),

and its length where the last norm measures the stream is what can turn all others down. With the norms taken anew, and everything
else that is written left as it is, a change of a write changes each norm's scale, which the next norm sees:

    x' = x + d,     d' = gain * (normalized(x + d) - normalized(x)).

In families with one norm in the way, the final one, both are what `source_attribution` and `head_ablation` have in closed form.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.components import Step, norms, steps
from interp.attribution.logit_readout import Readout
from interp.attribution.residual_stream import wide
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_bias, attention_weights, mlp_bias, norm_bias, norm_gain


def pushed_hooks(model: HookedEncoderDecoder) -> tuple[str, ...]:
    """The hook points that `change_with_norms_anew` reads: the norms in the way of the decoder's stream."""
    leaves = ("hook_scale", "hook_normalized")
    return tuple(f"{norm}.{leaf}" for norm in norms(model.cfg, "decoder") for leaf in leaves)


def pushed_shares(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "batch target component"]:
    """||push(c_t)||^2 / ||x_t||^2 of every writer c, with x what the decoder's last norm measures, its mean taken off.

    What is added behind that norm, such as its own bias, has no part in x: 0.

    Args:
        model: a model with biases.
        cache: with the activations of `interp.attribution.frozen_norms.unrolled_hooks`.
    """
    course, cfg = steps(model.cfg, "decoder"), model.cfg
    *_, last = norms(cfg, "decoder")
    stream = cfg.d_model * (cache[f"{last}.hook_scale"].square() - cfg.eps)
    shares: list[Tensor] = []
    for place, step in enumerate(course):
        later = tuple(other.name for other in course[place + 1 :] if other.what == "norm")
        squares = _squares(model, cache, step, later)
        held = torch.ones_like(stream)
        for norm in later[:-1]:
            held = held * cache[f"{norm}.hook_scale"].square()
        shares.append(squares / (held * stream))
    shares.append(torch.zeros_like(stream))
    return torch.cat(shares, -1)


def _squares(
    model: HookedEncoderDecoder, cache: ActivationCache, step: Step, later: tuple[str, ...]
) -> Float[Tensor, "batch target writer"]:
    """Squared lengths of what a step writes behind the gains of the later norms, which the scales still have to divide."""

    def length(vectors: Tensor) -> Tensor:
        return _gained(model, wide(vectors), later).square().sum(-1, keepdim=True)

    rows = cache["decoder.hook_embed"].shape[:2]
    if step.attention is not None:
        path = attention_path(step.attention, step.layer or 0)
        W_O = _gained(model, wide(attention_weights(model, step.attention, step.layer or 0).W_O), later)
        z = wide(cache[f"{path}.hook_z"])
        turned = torch.einsum("bthk,hkj->bthj", z, W_O @ W_O.transpose(-1, -2))
        bias = length(attention_bias(model, step.attention, step.layer or 0))
        return torch.cat([(turned * z).sum(-1), bias.expand(*rows, 1)], -1)
    if step.what == "norm":
        return (
            length(norm_bias(model, step.name)).expand(*rows, 1)
            if later
            else torch.zeros(*rows, 1, device=model.device)
        )
    if step.what == "mlp":
        bias = mlp_bias(model, step.name)
        written = cache[f"{step.name.removesuffix('.mlp')}.hook_mlp_out"] - bias
        return torch.cat([length(written), length(bias).expand(*rows, 1)], -1)
    return length(cache[step.name]).expand(*rows, 1)


def _gained(model: HookedEncoderDecoder, vectors: Tensor, later: tuple[str, ...]) -> Tensor:
    """Vectors behind the means and gains of the norms they pass; the last one measures them before its gain."""
    for norm in later[:-1]:
        vectors = _centred(vectors) * wide(norm_gain(model, norm))
    return _centred(vectors)


def change_with_norms_anew(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    readout: Readout,
    sublayer: str,
    change: Float[Tensor, "*copies batch target d_model"],
) -> Float[Tensor, "*copies batch target"]:
    """What a change of a sublayer's write does to a read-out if the norms in its way answer and no later sublayer does.

    Args:
        model: a model with biases.
        cache: with the activations of `pushed_hooks`.
        readout: the number that is watched.
        sublayer: the step whose write changes (`interp.attribution.components.Step.name`), e.g. `decoder.0.cross_attn`.
        change: of the write.
    """
    course = steps(model.cfg, "decoder")
    place = next(index for index, step in enumerate(course) if step.name == sublayer)
    moved = change
    for step in course[place + 1 :]:
        if step.what != "norm":
            continue
        normalized = cache[f"{step.name}.hook_normalized"].to(change.dtype)
        stream = normalized * cache[f"{step.name}.hook_scale"] + _centred(change)
        inverse = (stream.square().mean(-1, keepdim=True) + model.cfg.eps).rsqrt()
        moved = stream * inverse - normalized
        change = moved * norm_gain(model, step.name).to(change.dtype)
    changed: Tensor = (moved * readout.directions).sum(-1)
    return changed


def _centred(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(-1, keepdim=True)
