"""T5Gemma written out once more in plain tensor algebra; see `tests/support/oracle.py`."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu
from transformers import PreTrainedModel

from interp.text.batch import Batch
from tests.support.oracle import Edit


class T5GemmaOracle:
    """One forward pass from the weights alone; `values` holds every activation under our hook name, edits included."""

    unembedding = "lm_head.out_proj.weight"

    def __init__(self, hf: PreTrainedModel, edits: Mapping[str, Edit] | None = None) -> None:
        self.weights = hf.state_dict()
        self.configs: dict[str, Any] = {"encoder": hf.config.encoder, "decoder": hf.config.decoder}
        self.edits = edits or {}
        self.values: dict[str, Tensor] = {}

    def at(self, name: str, value: Tensor) -> Tensor:
        self.values[name] = self.edits[name](value) if name in self.edits else value
        return self.values[name]

    def run(self, batch: Batch) -> Tensor:
        source, target = batch.attention_mask.bool(), batch.decoder_attention_mask.bool()
        memory = self.stack("encoder", batch.input_ids, source, None, source)
        final = self.stack("decoder", batch.decoder_input_ids, target, memory, source)
        out = self.at("unembed.hook_out", final @ self.weights[self.unembedding].T)
        cap = self.configs["decoder"].final_logit_softcapping
        return out if cap is None else cap * (out / cap).tanh()

    def stack(self, stack: str, ids: Tensor, own: Tensor, memory: Tensor | None, source: Tensor) -> Tensor:
        config, root = self.configs[stack], f"model.{stack}"
        x = self.weights[f"{root}.embed_tokens.weight"][ids] * math.sqrt(config.hidden_size)
        x = self.at(f"{stack}.hook_embed", x)
        for layer in range(config.num_hidden_layers):
            name, path = f"{stack}.{layer}", f"{root}.layers.{layer}"
            x = self.at(f"{name}.hook_resid_pre", x)
            u = self.norm(f"{name}.ln1", f"{path}.pre_self_attn_layernorm", x)
            mask = self.mask(stack, layer, own)
            z = self.attention(f"{name}.attn", f"{path}.self_attn", u, u, mask, stack, rotate=True)
            written = self.norm(f"{name}.ln1_post", f"{path}.post_self_attn_layernorm", z)
            x = self.at(f"{name}.hook_resid_mid", x + self.at(f"{name}.hook_attn_out", written))
            place = 2
            if memory is not None:
                u = self.norm(f"{name}.ln2", f"{path}.pre_cross_attn_layernorm", x)
                mask = self.hidden(~source[:, None, None, :])
                z = self.attention(f"{name}.cross_attn", f"{path}.cross_attn", u, memory, mask, stack, rotate=False)
                written = self.norm(f"{name}.ln2_post", f"{path}.post_cross_attn_layernorm", z)
                x = self.at(f"{name}.hook_resid_mid_cross", x + self.at(f"{name}.hook_cross_attn_out", written))
                place = 3
            u = self.norm(f"{name}.ln{place}", f"{path}.pre_feedforward_layernorm", x)
            written = self.norm(f"{name}.ln{place}_post", f"{path}.post_feedforward_layernorm", self.mlp(name, path, u))
            x = self.at(f"{name}.hook_resid_post", x + self.at(f"{name}.hook_mlp_out", written))
        return self.norm(f"{stack}.ln_final", f"{root}.norm", x)

    @staticmethod
    def hidden(hidden: Tensor) -> Tensor:
        return hidden * torch.finfo(torch.float32).min

    def mask(self, stack: str, layer: int, own: Tensor) -> Tensor:
        """Padding, the future in the decoder, and what lies outside the window of a layer that has one."""
        config, place = self.configs[stack], torch.arange(own.shape[1])
        distance = place[:, None] - place[None, :]
        allowed = own[:, None, None, :].expand(-1, 1, len(place), -1)
        if stack == "decoder":
            allowed = allowed & (distance >= 0)
        if config.layer_types[layer] == "sliding_attention":
            window = config.sliding_window
            allowed = allowed & ((distance < window) if stack == "decoder" else (distance.abs() <= window))
        return self.hidden(~allowed)

    def norm(self, name: str, path: str, x: Tensor) -> Tensor:
        scale = self.at(f"{name}.hook_scale", (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt())
        return self.at(f"{name}.hook_normalized", x / scale) * (1 + self.weights[f"{path}.weight"])

    def attention(
        self, name: str, path: str, u: Tensor, memory: Tensor, mask: Tensor, stack: str, rotate: bool
    ) -> Tensor:
        config, width = self.configs[stack], self.configs[stack].head_dim

        def read(letter: str, states: Tensor) -> Tensor:
            projected = (states @ self.weights[f"{path}.{letter}_proj.weight"].T).unflatten(-1, (-1, width))
            turned = rotated(projected, config.rope_parameters["rope_theta"]) if rotate and letter != "v" else projected
            return self.at(f"{name}.hook_{letter}", turned)

        q, k, v = read("q", u), read("k", memory), read("v", memory)
        group = torch.arange(q.shape[2]) // (q.shape[2] // k.shape[2])
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k[:, :, group]) / math.sqrt(config.query_pre_attn_scalar)
        cap = config.attn_logit_softcapping
        if cap is not None:
            scores = cap * (self.at(f"{name}.hook_attn_scores_uncapped", scores) / cap).tanh()
        pattern = self.at(f"{name}.hook_pattern", self.at(f"{name}.hook_attn_scores", scores + mask).softmax(-1))
        z = self.at(f"{name}.hook_z", torch.einsum("bhqk,bkhd->bqhd", pattern, v[:, :, group]))
        W_O = self.weights[f"{path}.o_proj.weight"].T.unflatten(0, (-1, width))
        return self.at(f"{name}.hook_result", torch.einsum("bqhd,hdm->bqhm", z, W_O)).sum(-2)

    def mlp(self, name: str, path: str, u: Tensor) -> Tensor:
        gate = self.at(f"{name}.mlp.hook_pre", u @ self.weights[f"{path}.mlp.gate_proj.weight"].T)
        linear = self.at(f"{name}.mlp.hook_pre_linear", u @ self.weights[f"{path}.mlp.up_proj.weight"].T)
        post = self.at(f"{name}.mlp.hook_post", gelu(gate, approximate="tanh") * linear)
        return post @ self.weights[f"{path}.mlp.down_proj.weight"].T


def rotated(heads: Tensor, theta: float) -> Tensor:
    """Queries or keys [batch pos head d_head], every pair of dimensions turned by its position times its frequency."""
    half = heads.shape[-1] // 2
    angle = torch.arange(heads.shape[1])[:, None] * theta ** (-torch.arange(half) / half)
    turned = torch.complex(heads[..., :half], heads[..., half:]) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat([turned.real, turned.imag], -1)
