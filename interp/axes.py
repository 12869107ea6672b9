"""The closed vocabulary of axis names, and the jaxtyping aliases built from it.

Every tensor in this package is annotated with these words, and every einsum is written with them. Two stacks have two
depths and possibly two lengths, so positions are `source` (encoder tokens) and `target` (decoder tokens) wherever the stack
is fixed, and `pos`, `query`, `key` where a definition serves both.
"""

from types import MappingProxyType
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

AXES = MappingProxyType({
    "batch": "prompts of one batch",
    "prompt": "prompts of a whole run",
    "pos": "token position in whichever stack the name belongs to",
    "query": "position that attends",
    "key": "position that is attended to",
    "source": "position in the encoder input (or the encoder memory)",
    "target": "position in the decoder input; row t predicts label t",
    "layer": "layer of one stack, counted from 0",
    "head": "attention head of one layer",
    "component": "one writer to the residual stream: embedding, head or MLP",
    "category": "class of source token: prefix, content, function, punctuation, eos, sentinel, pad",
    "d_model": "residual stream",
    "d_head": "one head's query, key or value",
    "expert": "experts of one feed-forward layer, one of which computes a token",
    "d_mlp": "hidden neurons of one feed-forward layer",
    "vocab": "rows of the embedding table",
    "one": "an axis of length 1 kept so that the tensor broadcasts",
})

Stack = Literal["encoder", "decoder"]
AttentionKind = Literal["encoder", "decoder", "cross"]

ATTENTION_KINDS: tuple[AttentionKind, ...] = ("encoder", "decoder", "cross")

TokenIds = Int[Tensor, "batch pos"]
Residual = Float[Tensor, "batch pos d_model"]
HeadVectors = Float[Tensor, "batch pos head d_head"]
Pattern = Float[Tensor, "batch head query key"]
Logits = Float[Tensor, "batch target vocab"]
