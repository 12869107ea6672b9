"""T5 written out once more in plain tensor algebra, from the weights alone: the independent value of every hook point.

Nothing here comes from the package under test or from the host's forward code; the tests check the oracle against the host's
logits, hidden states and attentions, and the package against the oracle. `edits` replaces values on the way, so the oracle also
says by hand what an edit at any hook point must do to everything behind it.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import gelu, relu
from transformers import PreTrainedModel

from interp.text.batch import Batch

Edit = Callable[[Tensor], Tensor]


def bucket(distance: int, bidirectional: bool, buckets: int = 32, furthest: int = 128) -> int:
    """Raffel et al. 2020: half of the buckets are exact, the others grow logarithmically up to `furthest`."""
    offset = 0
    if bidirectional:
        buckets //= 2
        offset = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return offset + distance
    grown = exact + int(math.log(distance / exact) / math.log(furthest / exact) * (buckets - exact))
    return offset + min(grown, buckets - 1)


def bias_table(table: Tensor, queries: int, keys: int, bidirectional: bool) -> Tensor:
    """[one head query key] from a table [bucket head]."""
    rows = torch.tensor([[bucket(key - query, bidirectional) for key in range(keys)] for query in range(queries)])
    return table[rows].permute(2, 0, 1).unsqueeze(0)


class Oracle:
    """One forward pass of a T5, mT5, ByT5 or UMT5.

    Args:
        hf: where the weights come from.
        edits: hook name -> what to do with the value there.

    After `run`, `values` holds every activation under our hook name, edits included.
    """

    def __init__(self, hf: PreTrainedModel, edits: Mapping[str, Edit] | None = None) -> None:
        self.weights = hf.state_dict()
        self.config = hf.config
        self.edits = edits or {}
        self.values: dict[str, Tensor] = {}

    def at(self, name: str, value: Tensor) -> Tensor:
        """Record a value, edited if an edit is wanted there."""
        self.values[name] = self.edits[name](value) if name in self.edits else value
        return self.values[name]

    def run(self, batch: Batch) -> Tensor:
        source = (1 - batch.attention_mask)[:, None, None, :] * torch.finfo(torch.float32).min
        length = batch.decoder_input_ids.shape[1]
        allowed = torch.ones(length, length).tril().bool() & batch.decoder_attention_mask.bool()[:, None, None, :]
        causal = (~allowed) * torch.finfo(torch.float32).min
        memory = self.stack("encoder", batch.input_ids, source, None, None)
        final = self.stack("decoder", batch.decoder_input_ids, causal, memory, source)
        if self.scaled():
            final = final * self.config.d_model**-0.5
        return self.at("unembed.hook_out", final @ self.weights["lm_head.weight"].T)

    def scaled(self) -> bool:
        """Whether the decoder's output is scaled before the unembedding."""
        kind = self.config.model_type
        return kind == "umt5" or (kind == "t5" and self.config.scale_decoder_outputs)

    def stack(self, stack: str, ids: Tensor, mask: Tensor, memory: Tensor | None, memory_mask: Tensor | None) -> Tensor:
        x = self.at(f"{stack}.hook_embed", self.weights[f"{stack}.embed_tokens.weight"][ids])
        depth = self.config.num_layers if stack == "encoder" else self.config.num_decoder_layers
        own_bias = self.config.model_type == "umt5"
        bias = None if own_bias else self.bias(stack, 0, f"{stack}.position_bias", x.shape[1])
        for layer in range(depth):
            name, path = f"{stack}.{layer}", f"{stack}.block.{layer}.layer"
            if own_bias:
                bias = self.bias(stack, layer, f"{name}.position_bias", x.shape[1])
            x = self.at(f"{name}.hook_resid_pre", x)
            u = self.norm(f"{name}.ln1", f"{path}.0.layer_norm", x)
            out = self.attention(f"{name}.attn", f"{path}.0.SelfAttention", u, u, bias, mask)
            x = self.at(f"{name}.hook_resid_mid", x + self.at(f"{name}.hook_attn_out", out))
            if memory is not None:
                u = self.norm(f"{name}.ln2", f"{path}.1.layer_norm", x)
                out = self.attention(f"{name}.cross_attn", f"{path}.1.EncDecAttention", u, memory, None, memory_mask)
                x = self.at(f"{name}.hook_resid_mid_cross", x + self.at(f"{name}.hook_cross_attn_out", out))
            last = 1 if memory is None else 2
            u = self.norm(f"{name}.ln{last + 1}", f"{path}.{last}.layer_norm", x)
            out = self.mlp(f"{name}.mlp", f"{path}.{last}.DenseReluDense", u)
            x = self.at(f"{name}.hook_resid_post", x + self.at(f"{name}.hook_mlp_out", out))
        return self.norm(f"{stack}.ln_final", f"{stack}.final_layer_norm", x)

    def bias(self, stack: str, layer: int, name: str, length: int) -> Tensor:
        table = self.weights[f"{stack}.block.{layer}.layer.0.SelfAttention.relative_attention_bias.weight"]
        return self.at(name, bias_table(table, length, length, bidirectional=stack == "encoder"))

    def norm(self, name: str, path: str, x: Tensor) -> Tensor:
        scale = self.at(f"{name}.hook_scale", (x.pow(2).mean(-1, keepdim=True) + self.config.layer_norm_epsilon).sqrt())
        return self.at(f"{name}.hook_normalized", x / scale) * self.weights[f"{path}.weight"]

    def attention(
        self, name: str, path: str, u: Tensor, memory: Tensor, bias: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        heads = self.config.num_heads

        def read(letter: str, states: Tensor) -> Tensor:
            projected = (states @ self.weights[f"{path}.{letter}.weight"].T).unflatten(-1, (heads, -1))
            return self.at(f"{name}.hook_{letter}", projected)

        q, k, v = read("q", u), read("k", memory), read("v", memory)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k)
        for term in (bias, mask):
            scores = scores if term is None else scores + term
        pattern = self.at(f"{name}.hook_pattern", self.at(f"{name}.hook_attn_scores", scores).softmax(-1))
        z = self.at(f"{name}.hook_z", torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        W_O = self.weights[f"{path}.o.weight"].T.unflatten(0, (heads, -1))
        return self.at(f"{name}.hook_result", torch.einsum("bqhd,hdm->bqhm", z, W_O)).sum(-2)

    def mlp(self, name: str, path: str, u: Tensor) -> Tensor:
        if self.config.is_gated_act:
            pre = self.at(f"{name}.hook_pre", u @ self.weights[f"{path}.wi_0.weight"].T)
            linear = self.at(f"{name}.hook_pre_linear", u @ self.weights[f"{path}.wi_1.weight"].T)
            post = gelu(pre, approximate="tanh") * linear
        else:
            post = relu(self.at(f"{name}.hook_pre", u @ self.weights[f"{path}.wi.weight"].T))
        return self.at(f"{name}.hook_post", post) @ self.weights[f"{path}.wo.weight"].T
