"""Directions and writes on their way through the norms of a residual stream, each norm held at its scale in a forward pass.

A norm whose scale is held is affine, norm(x) = gain * (x - mean(x)) / scale + bias (no mean and no bias in T5): linearized layer
norm, as in Elhage et al. 2021. So a direction d that reads a norm's output reads its input by

    centered(gain * d) / scale,       and a constant <d, bias> stays behind under the norm's own name;

and a write c that enters it leaves it as centered(c) * gain / scale. Post-norm families (BART, Marian) have a norm behind every
sublayer, and their logits still split exactly: a write passes all later norms, each held. That is more than pre-norm families
hold, where a write passes the final norm only; attributions of the two kinds are not to be compared.

A large write that no direction sees still turns down all others through the norm. What holding hides can be looked at in two
ways: how long every write is where the last norm measures the stream, and what a change of it does with the norms recomputed.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from interp.attribution.logit_readout import Readout, at_least_float32
from interp.attribution.residual_writes import Writes, writes
from interp.families.config import ModelConfig
from interp.families.residual_stream import Step, last_norm, mlp_write_norm, norms, steps
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import norm_gain, unembedding

Directions = Mapping[str, Float[Tensor, "batch target d_model"]]
"""Path of a step of the decoder (`decoder.0.cross_attn`, `decoder.0.mlp`) -> the direction that reads what it writes."""


def recomputed_norm_hooks(model: HookedEncoderDecoder) -> tuple[str, ...]:
    """The hook points that `sublayer_directions` and `effect_with_norms_recomputed` read.

    Args:
        model: the model.
    """
    leaves = ("hook_scale", "hook_normalized")
    of_writes = [step.write_norm for step in steps(model.cfg, "decoder") if step.write_norm is not None]
    return tuple(f"{norm}.{leaf}" for norm in (*norms(model.cfg, "decoder"), *of_writes) for leaf in leaves)


def held_scales(cfg: ModelConfig) -> tuple[str, ...]:
    """The hook points that `sublayer_directions` and `neurons.neuron_contributions` read: all scales in the way of a write.

    Args:
        cfg: the model's facts.
    """
    of_heads = (step.write_norm for step in steps(cfg, "decoder"))
    of_mlps = (mlp_write_norm(cfg, "decoder", layer) for layer in range(cfg.n_decoder_layers))
    passed = (*norms(cfg, "decoder"), *of_heads, *of_mlps)
    return tuple(f"{norm}.hook_scale" for norm in passed if norm is not None)


def sublayer_directions(model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout) -> Directions:
    """The direction by which a read-out reads each step before the decoder's last norm; of a norm, what it hands on.

    Args:
        model: a model of any family.
        cache: with the scales of the norms in the way of the decoder's stream.
        readout: what is read.
    """

    def before(norm: str, gained: Tensor) -> Tensor:
        return _centered(model, gained) * cache[f"{norm}.hook_scale"].reciprocal()

    # A read-out's directions have the last norm's gain in them.
    direction, found = before(last_norm(model.cfg, "decoder"), readout.directions), {}
    for step in reversed(_before_last_norm(model.cfg)):
        found[step.name] = direction
        if step.write_norm is not None:
            gained = direction * norm_gain(model, step.write_norm).to(direction.dtype)
            found[step.name] = before(step.write_norm, gained)
        if step.kind == "norm":
            direction = before(step.name, direction * norm_gain(model, step.name).to(direction.dtype))
    return found


def through_norm(
    model: HookedEncoderDecoder, cache: ActivationCache, norm: str, writes: Float[Tensor, "batch pos component d_model"]
) -> Float[Tensor, "batch pos component d_model"]:
    """What becomes of writes to a stream behind a norm that is held at its scale.

    Args:
        model: a model of any family.
        cache: with the scale of the norm.
        norm: its path.
        writes: vectors that add up to what the norm measures, or to a part of it.
    """
    factor = norm_gain(model, norm) * cache[f"{norm}.hook_scale"].reciprocal()
    return _centered(model, at_least_float32(writes)) * factor.unsqueeze(-2)


def unscaled_logits(
    model: HookedEncoderDecoder, path: str, written: Float[Tensor, "*rows d_model"]
) -> Float[Tensor, "*rows vocab"]:
    """What a write of a step of the decoder adds to all logits by its direct path, up to one positive factor a row.

    Every norm in the way takes its mean off, multiplies by its gain and divides by its scale, whichever that is in a pass: so the
    order of tokens is known without one. Biases of norms and of the logits, and a cap, are no part of a write and left out.

    Args:
        model: a model of any family.
        path: of the step that wrote, e.g. `decoder.0.cross_attn`.
        written: what it wrote.
    """
    course = _before_last_norm(model.cfg)
    place = [step.name for step in course].index(path)
    vectors = _carried(model, written, (*_norms_behind(course, place), last_norm(model.cfg, "decoder")))
    return vectors @ unembedding(model).to(vectors.dtype).T


def squared_norm_shares(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "batch target component"]:
    """Squared length of every write where the decoder's last norm measures the stream, as a share of the stream's.

    Writes are not orthogonal, so the shares do not add up to 1. What is added behind the last norm has none.

    Args:
        model: a model of any family.
        cache: with the activations of `direct_logit_attribution.decomposition_hooks`.
    """
    cfg, course = model.cfg, _before_last_norm(model.cfg)
    stream = (cfg.d_model * (cache[f"{last_norm(cfg, 'decoder')}.hook_scale"].square() - cfg.eps)).squeeze(-1)
    shares: list[Tensor] = []
    for place, step in enumerate(course):
        passed = _norms_behind(course, place)
        scales = [cache[f"{norm}.hook_scale"].squeeze(-1).square() for norm in passed]
        squares = _squared_lengths(model, writes(model, cache, step), passed)
        shares += [square / math.prod(scales, start=stream) for square in squares]
    shares += [torch.zeros_like(stream) for step in steps(cfg, "decoder")[len(course) :] if step.bias]
    return torch.stack(shares, -1)


def _squared_lengths(model: HookedEncoderDecoder, written: Writes, passed: Sequence[str]) -> list[Tensor]:
    """Squared lengths of writes behind the means and gains of norms, whose scales have yet to divide them, and one mean more."""

    def carried(vectors: Tensor) -> Tensor:
        return _centered(model, _carried(model, vectors, passed))

    squares = written.dealt([carried(vector).square().sum(-1) for vector in written.vectors])
    if written.z is None or written.W_O is None:
        return squares
    W_O, z = carried(written.W_O), at_least_float32(written.z)
    turned = einsum(z, W_O @ W_O.transpose(-1, -2), "batch pos head k, head k d_head -> batch pos head d_head")
    return [*(turned * z).sum(-1).unbind(-1), *squares]


def effect_with_norms_recomputed(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    readout: Readout,
    sublayer: str,
    change: Float[Tensor, "*copies batch target d_model"],
) -> Float[Tensor, "*copies batch target"]:
    """What a change of a sublayer's write does to a read-out if the norms in its way answer and no later sublayer does.

    x' = x + change, and what the next norm hands on changes by gain * (normalized(x') - normalized(x)); norm after norm.

    Args:
        model: a model of any family.
        cache: with the activations of `recomputed_norm_hooks`.
        readout: the number that is watched.
        sublayer: path of the step whose write changes, e.g. `decoder.0.cross_attn`.
        change: of the write.
    """
    course = steps(model.cfg, "decoder")
    place = next(index for index, step in enumerate(course) if step.name == sublayer)
    moved = change
    for norm in _norms_behind(course, place):
        normalized = cache[f"{norm}.hook_normalized"].to(change.dtype)
        stream = normalized * cache[f"{norm}.hook_scale"] + _centered(model, change)
        moved = stream * (stream.square().mean(-1, keepdim=True) + model.cfg.eps).rsqrt() - normalized
        change = moved * norm_gain(model, norm).to(change.dtype)
    changed: Tensor = (moved * readout.directions).sum(-1)
    return changed


def _norms_behind(course: Sequence[Step], place: int) -> list[str]:
    """The norms that what a step of a course writes has still to pass: its own, and those of the stream."""
    own = course[place].write_norm
    return [*([] if own is None else [own]), *(later.name for later in course[place + 1 :] if later.kind == "norm")]


def _before_last_norm(cfg: ModelConfig) -> tuple[Step, ...]:
    """What happens to the decoder's stream before its last norm."""
    course = steps(cfg, "decoder")
    return course[: [step.name for step in course].index(last_norm(cfg, "decoder"))]


def _carried(model: HookedEncoderDecoder, vectors: Tensor, passed: Sequence[str]) -> Tensor:
    """Vectors behind the means and gains of norms, whose scales have yet to divide them."""
    vectors = at_least_float32(vectors)
    for norm in passed:
        vectors = _centered(model, vectors) * at_least_float32(norm_gain(model, norm))
    return vectors


def _centered(model: HookedEncoderDecoder, vectors: Tensor) -> Tensor:
    """Vectors less their means in models whose norms take means off."""
    return vectors if model.cfg.norm == "rms" else vectors - vectors.mean(-1, keepdim=True)
