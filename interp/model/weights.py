"""Weights as named-axis views: no copies, heads split out, one layout for every family.

W_Q, W_K, W_V are [head d_model d_head], W_O is [head d_head d_model] and W_E, W_U are [vocab d_model]: a row vector is
multiplied from the left, as in Elhage et al. 2021. The products the analyses need (QK, OV) are left as factors.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interp.axes import AttentionKind, Stack
from interp.errors import InputError
from interp.hooks.attention import of_every_head
from interp.hooks.host_weights import bias_of, weight_of
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder


@dataclass(frozen=True, slots=True, eq=False)
class AttentionWeights:
    """The four matrices of one attention layer; keys and values are made from the attended stream, which is normed."""

    W_Q: Float[Tensor, "head d_model d_head"]
    W_K: Float[Tensor, "kv_head d_model d_head"]
    W_V: Float[Tensor, "kv_head d_model d_head"]
    W_O: Float[Tensor, "head d_head d_model"]


def attention_weights(
    model: HookedEncoderDecoder, kind: AttentionKind, layer: int, shared: bool = False
) -> AttentionWeights:
    """The matrices of one attention layer, as views of the host's parameters; of keys and values that heads share, copies.

    Args:
        model: the model.
        kind: the kind of attention.
        layer: layer of its stack.
        shared: give keys and values that heads share once, as views, in place of once for every head.
    """
    module = model.module(attention_path(kind, layer))
    q, k, v = (weight_of(module.get_submodule(name)) for name in model.family.host.projections[:3])
    heads, own = model.cfg.heads_of(kind), model.cfg.kv_heads_of(kind)
    W_K, W_V = (of_every_head(weight.unflatten(0, (own, -1)), own if shared else heads, 0).mT for weight in (k, v))
    return AttentionWeights(q.unflatten(0, (heads, -1)).mT, W_K, W_V, output_weights(model, kind, layer))


def output_weights(
    model: HookedEncoderDecoder, kind: AttentionKind, layer: int
) -> Float[Tensor, "head d_head d_model"]:
    """W_O of one attention layer alone, as a view of the host's parameter.

    Args:
        model: the model.
        kind: the kind of attention.
        layer: layer of its stack.
    """
    module = model.module(attention_path(kind, layer)).get_submodule(model.family.host.projections[3])
    weight: Tensor = weight_of(module).t().unflatten(0, (model.cfg.heads_of(kind), -1))
    return weight


def projection_bias(
    model: HookedEncoderDecoder, kind: AttentionKind, layer: int, projection: Literal["q", "k", "v"]
) -> Float[Tensor, "head d_head"]:
    """The bias of an attention's queries, keys or values; zeros where there is none, as in T5's family.

    Every head adds that of its values to its z whatever it attends to, because patterns sum to 1.

    Args:
        model: the model.
        kind: the kind of attention.
        layer: layer of its stack.
        projection: of which.
    """
    name = model.family.host.projections["qkv".index(projection)]
    module = model.module(attention_path(kind, layer)).get_submodule(name)
    count = model.cfg.heads_of(kind) if projection == "q" else model.cfg.kv_heads_of(kind)
    return of_every_head(_bias(module).unflatten(0, (count, -1)), model.cfg.heads_of(kind), 0)


def output_bias(model: HookedEncoderDecoder, site: str) -> Float[Tensor, " d_model"]:
    """What a module adds to what it hands on, whatever it reads; zeros where it has no bias, as in T5's family.

    Args:
        model: the model.
        site: `decoder.0.attn.hook_result` of an attention, `decoder.0.mlp.hook_post` of an MLP, `decoder.0.ln1` of a norm.
    """
    return _bias(model.module(site))


def norm_gain(model: HookedEncoderDecoder, site: str) -> Float[Tensor, " d_model"]:
    """The gain of a norm.

    Args:
        model: the model.
        site: of the norm, e.g. `decoder.0.ln1` or `decoder.ln_final`.
    """
    weight = weight_of(model.module(site))
    return weight + model.cfg.norm_offset if model.cfg.norm_offset else weight


def _bias(module: nn.Module) -> Tensor:
    bias = bias_of(module)
    if bias is not None:
        return bias
    weight = weight_of(module)
    return weight.new_zeros(len(weight))


def embedding(model: HookedEncoderDecoder) -> Float[Tensor, "vocab d_model"]:
    """W_E, the input embedding of the encoder, which in most families both stacks share; the decoder's where sources are sounds.

    Args:
        model: the model.
    """
    return weight_of(model.hf.get_input_embeddings())


def unembedding(model: HookedEncoderDecoder) -> Float[Tensor, "vocab d_model"]:
    """W_U, the rows that score the vocabulary, without the final norm's gain and the logit scale.

    Args:
        model: the model.
    """
    return weight_of(model.module("unembed.hook_out"))


def unembedding_bias(model: HookedEncoderDecoder) -> Float[Tensor, " vocab"]:
    """What is added to the logits behind the unembedding; zero in T5's family and M2M100.

    The host keeps it as a row beside the unembedding in BART, mBART, Marian and Pegasus.

    Args:
        model: the model.
    """
    if isinstance(getattr(model.hf, "final_logits_bias", None), Tensor):
        return weight_of(model.hf, "final_logits_bias")[0]
    table = unembedding(model)
    return table.new_zeros(len(table))


def scored(model: HookedEncoderDecoder, outputs: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows vocab"]:
    """The logits of the decoder's outputs: logit scale, unembedding and its bias, and the cap, if there is one.

    Args:
        model: the model.
        outputs: of the decoder, behind its last norm.
    """
    logits: Tensor = model.module("unembed.hook_out")(outputs * model.cfg.logit_scale) + unembedding_bias(model)
    return logits if model.cfg.logit_cap is None else torch.tanh(logits / model.cfg.logit_cap) * model.cfg.logit_cap


def uncapped(model: HookedEncoderDecoder, logits: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Logits as they were before the cap, c artanh(logit / c): what is linear in the decoder's output; as they are without one.

    Args:
        model: the model.
        logits: as the model gives them.
    """
    return before_cap(logits, model.cfg.logit_cap)


def before_cap(logits: Float[Tensor, "*any"], cap: float | None) -> Float[Tensor, "*any"]:
    """The same, of a cap; logits as they are without one.

    Args:
        logits: as a model gives them.
        cap: c of c tanh(logit / c).
    """
    return logits if cap is None else cap * torch.atanh(logits / cap)


def position_bias(
    model: HookedEncoderDecoder, stack: Stack, layer: int, distances: Int[Tensor, " distance"]
) -> Float[Tensor, "head distance"]:
    """The additive bias of self-attention at signed distances key - query.

    Args:
        model: a model with relative position biases.
        stack: which stack; in the decoder only distances <= 0 occur.
        layer: layer of the stack; layers share one table unless `cfg.bias_per_layer`.
        distances: signed distances key - query.

    Raises:
        InputError: if positions are absolute in this family.
    """
    if model.cfg.positions != "relative":
        raise InputError(
            f"{model.cfg.model_type!r} has no relative position bias: its positions are {model.cfg.positions}."
        )
    module = model.module(attention_path(stack, layer if model.cfg.bias_per_layer else 0))
    span = int(distances.abs().max()) + 1
    # One query in the middle of a row long enough for every distance: the host's own bucket rule fills it.
    full: Tensor = module.compute_bias(span, 2 * span, device=model.device)  # type: ignore[operator]
    query = torch.where(distances < 0, -distances, torch.zeros_like(distances))
    return full[0, :, query, query + distances]


def weights_digest(model: HookedEncoderDecoder) -> str:
    """Hexadecimal SHA-256 over the model's weights and buffers, wherever they lie: names, shapes, types and bytes.

    Args:
        model: the model.
    """
    found = sha256()
    for name, value in sorted(model.hf.state_dict().items()):
        path, _, leaf = name.rpartition(".")
        data = weight_of(model.hf.get_submodule(path), leaf) if value.is_meta else value
        found.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        flat = data.detach().cpu().contiguous().view(-1)
        found.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return found.hexdigest()
