"""Sublayers of T5's family behind an edited stream, with no more computed than is read, and what copies share computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.activations import ACT2FN

from interp.axes import AttentionKind, Stack
from interp.hooks.host_weights import weight_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, norm_gain, output_weights, position_bias


def after_mlp(
    model: HookedEncoderDecoder, stack: Stack, layer: int, hidden: Float[Tensor, "batch pos d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """The stream after a layer's feed-forward part.

    Args:
        model: a model whose `cfg.t5_shaped` holds.
        stack: whose layer.
        layer: the layer.
        hidden: the stream before that part.
    """
    norm = model.module(f"{stack}.{layer}.{'ln2' if stack == 'encoder' else 'ln3'}")
    written: Tensor = model.module(f"{stack}.{layer}.hook_mlp_out")(norm(hidden))
    return hidden + written


def row_bias(
    model: HookedEncoderDecoder, layer: int, rows: Int[Tensor, " row"], length: int
) -> Float[Tensor, "row head key"]:
    """Position bias of one decoder row each, and minus infinity for keys after it.

    Args:
        model: a model with relative positions.
        layer: decoder layer.
        rows: the rows.
        length: how many keys there are.
    """
    by_distance = position_bias(model, "decoder", layer, torch.arange(1 - length, 1, device=rows.device))
    distance = torch.arange(length, device=rows.device) - rows.unsqueeze(1)
    bias = by_distance[:, (distance + length - 1).clamp_max(length - 1)].transpose(0, 1)
    return bias.masked_fill((distance > 0).unsqueeze(1), float("-inf"))


def one_query(
    model: HookedEncoderDecoder,
    kind: AttentionKind,
    layer: int,
    query: Float[Tensor, "row d_model"],
    read: Float[Tensor, "row key d_model"],
    bias: Float[Tensor, "row any key"],
) -> Float[Tensor, "row d_model"]:
    """What an attention layer writes for one query a row.

    softmax((x W_Q W_K^T) read^T + bias) read W_V W_O with the products taken from the left: a single query needs neither keys nor
    values of its own, which would cost two projections of everything that is read.

    Args:
        model: a model without biases.
        kind: of the attention.
        layer: its layer.
        query: the normed stream at the query.
        read: the normed stream, or the memory, at the keys.
        bias: what is added to the scores.
    """
    weights = attention_weights(model, kind, layer)
    asked = torch.einsum("rd,hdk,hek->rhe", query, weights.W_Q, weights.W_K) * model.cfg.attention_scale(kind)
    pattern = (torch.matmul(asked, read.transpose(1, 2)) + bias).softmax(-1)
    written: Tensor = torch.einsum("rhd,hdk,hke->re", torch.matmul(pattern, read), weights.W_V, weights.W_O)
    return written


@dataclass(frozen=True, slots=True, eq=False)
class SharedMlp:
    """An encoder MLP behind streams that differ by what one head writes.

    It reads norm(x + c W_O), x common to all copies and c as narrow as a head: its first product is that of x, computed once,
    plus c (W_O W_in), both times the new inverse scale of the norm.

    Attributes:
        model: the model.
        layer: encoder layer.
        stream: what all copies share of the stream before the MLP.
        readers: W_in with the norm's gain, and W_gate before it in gated layers.
        products: the stream's product with each.
    """

    model: HookedEncoderDecoder
    layer: int
    stream: Float[Tensor, "batch source d_model"]
    readers: tuple[Float[Tensor, "d_model d_mlp"], ...]
    products: tuple[Float[Tensor, "token d_mlp"], ...]

    @classmethod
    def of(cls, model: HookedEncoderDecoder, layer: int, stream: Float[Tensor, "batch source d_model"]) -> "SharedMlp":
        """The MLP of one layer, with its products of the common stream.

        Args:
            model: a model whose `cfg.t5_shaped` holds.
            layer: encoder layer.
            stream: the common stream.
        """
        gain = norm_gain(model, f"encoder.{layer}.ln2")
        names = ("hook_pre", "hook_pre_linear") if model.cfg.gated_mlp else ("hook_pre",)
        modules = [model.module(f"encoder.{layer}.mlp.{name}") for name in names]
        readers = tuple(gain.unsqueeze(1) * weight_of(module).t() for module in modules)
        return cls(model, layer, stream, readers, tuple((stream @ reader).flatten(0, 1) for reader in readers))

    def after(
        self, heads: Sequence[int], changes: Float[Tensor, "copy batch source d_head"]
    ) -> Float[Tensor, "copy batch source d_model"]:
        """The stream behind the MLP, with one head's z changed in every copy.

        Args:
            heads: the head of every copy.
            changes: how much its z changes.
        """
        cfg, W_O = self.model.cfg, output_weights(self.model, "encoder", self.layer)
        edits = list(zip(heads, changes, strict=True))
        edited = torch.stack([self.stream + change @ W_O[head] for head, change in edits])
        inverse = (edited.square().mean(-1, keepdim=True) + cfg.eps).rsqrt()
        read = []
        for reader, common in zip(self.readers, self.products, strict=True):
            own = [torch.addmm(common, change.flatten(0, 1), W_O[head] @ reader) for head, change in edits]
            read.append(torch.stack(own).view(*edited.shape[:-1], -1).mul_(inverse))
        post = ACT2FN[cfg.act_fn](read[0])
        if cfg.gated_mlp:
            post = post * read[1]
        written: Tensor = self.model.module(f"encoder.{self.layer}.mlp.hook_post")(post)
        return edited + written
