"""BART and its relatives written out once more in plain tensor algebra; see `tests/oracle.py`."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import gelu, relu, silu
from transformers import PreTrainedModel

from interp.text.batch import Batch
from tests.support.oracle import Edit

POST_NORM = ("bart", "marian", "plbart", "blenderbot-small")
LEARNED = ("bart", "mbart", "plbart", "blenderbot", "blenderbot-small")
NORMED_EMBEDDING = ("bart", "mbart", "plbart", "blenderbot-small")
NO_OFFSET = ("blenderbot", "blenderbot-small")


class BartOracle:
    """One forward pass from the weights alone; `values` holds every activation under our hook name, edits included."""

    def __init__(self, hf: PreTrainedModel, edits: Mapping[str, Edit] | None = None) -> None:
        self.weights = hf.state_dict() | dict(hf.named_buffers())
        self.config = hf.config
        self.kind = hf.config.model_type
        self.edits = edits or {}
        self.values: dict[str, Tensor] = {}

    def at(self, name: str, value: Tensor) -> Tensor:
        self.values[name] = self.edits[name](value) if name in self.edits else value
        return self.values[name]

    def run(self, batch: Batch) -> Tensor:
        lowest = torch.finfo(torch.float32).min
        source = (1 - batch.attention_mask)[:, None, None, :] * lowest
        length = batch.decoder_input_ids.shape[1]
        allowed = torch.ones(length, length).tril().bool() & batch.decoder_attention_mask.bool()[:, None, None, :]
        memory = self.stack("encoder", batch.input_ids, source, None, None)
        final = self.stack("decoder", batch.decoder_input_ids, (~allowed) * lowest, memory, source)
        out = self.at("unembed.hook_out", final @ self.weights["lm_head.weight"].T)
        return out + self.weights.get("final_logits_bias", torch.zeros(()))

    def positions(self, stack: str, ids: Tensor) -> Tensor:
        width, length = self.config.d_model, ids.shape[1]
        if self.kind in LEARNED:
            first = 0 if self.kind in NO_OFFSET else 2
            table = self.weights[f"model.{stack}.embed_positions.weight"][first : first + length]
            batched = stack == "encoder" and self.kind not in NO_OFFSET
            return table.unsqueeze(0).expand(len(ids) if batched else 1, -1, -1)
        half = torch.arange(width // 2)
        if self.kind == "m2m_100":
            present = ids.ne(self.config.pad_token_id).long()
            place = present.cumsum(1) * present + self.config.pad_token_id
            angle = place[..., None] * torch.exp(half * -(math.log(10000) / (width // 2 - 1)))
            table = torch.cat([angle.sin(), angle.cos()], -1)
            return table * present[..., None]
        angle = torch.arange(length)[:, None] * 10000 ** (-2 * half / width)
        return torch.cat([angle.sin(), angle.cos()], -1).unsqueeze(0)

    def stack(self, stack: str, ids: Tensor, mask: Tensor, memory: Tensor | None, memory_mask: Tensor | None) -> Tensor:
        root = f"model.{stack}"
        normed_first = self.kind == "blenderbot-small" and stack == "decoder"
        scale = 1.0 if normed_first else math.sqrt(self.config.d_model)
        x = self.at(f"{stack}.hook_embed", self.weights["model.shared.weight"][ids] * scale)
        if normed_first:
            x = self.norm(f"{stack}.ln_embed", f"{root}.layernorm_embedding", x)
        x = x + self.at(f"{stack}.hook_pos_embed", self.positions(stack, ids))
        if self.kind in NORMED_EMBEDDING and not normed_first:
            x = self.norm(f"{stack}.ln_embed", f"{root}.layernorm_embedding", x)
        depth = self.config.encoder_layers if stack == "encoder" else self.config.decoder_layers
        for layer in range(depth):
            name, path = f"{stack}.{layer}", f"{root}.layers.{layer}"
            x = self.at(f"{name}.hook_resid_pre", x)

            def attend(u: Tensor, name: str = name, path: str = path) -> Tensor:
                return self.attention(f"{name}.attn", f"{path}.self_attn", u, u, mask, f"{name}.hook_attn_out")

            def cross(u: Tensor, name: str = name, path: str = path) -> Tensor:
                out = f"{name}.hook_cross_attn_out"
                return self.attention(f"{name}.cross_attn", f"{path}.encoder_attn", u, memory, memory_mask, out)

            def think(u: Tensor, name: str = name, path: str = path) -> Tensor:
                return self.mlp(name, path, u)

            last = "ln2" if memory is None else "ln3"
            x = self.sublayer(x, attend, f"{name}.ln1", f"{path}.self_attn_layer_norm", f"{name}.hook_resid_mid")
            if memory is not None:
                x = self.sublayer(
                    x, cross, f"{name}.ln2", f"{path}.encoder_attn_layer_norm", f"{name}.hook_resid_mid_cross"
                )
            x = self.sublayer(x, think, f"{name}.{last}", f"{path}.final_layer_norm", f"{name}.hook_resid_post")
        return x if self.kind in POST_NORM else self.norm(f"{stack}.ln_final", f"{root}.layer_norm", x)

    def sublayer(self, x: Tensor, compute: Edit, norm: str, path: str, resid: str) -> Tensor:
        if self.kind in POST_NORM:
            return self.at(resid, self.norm(norm, path, x + compute(x)))
        return self.at(resid, x + compute(self.norm(norm, path, x)))

    def norm(self, name: str, path: str, x: Tensor) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        scale = self.at(f"{name}.hook_scale", (centered.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt())
        normalized = self.at(f"{name}.hook_normalized", centered / scale)
        return normalized * self.weights[f"{path}.weight"] + self.weights[f"{path}.bias"]

    def linear(self, path: str, x: Tensor) -> Tensor:
        return x @ self.weights[f"{path}.weight"].T + self.weights[f"{path}.bias"]

    def attention(self, name: str, path: str, u: Tensor, memory: Tensor, mask: Tensor, out: str) -> Tensor:
        config = self.config
        heads = config.encoder_attention_heads if name.startswith("encoder") else config.decoder_attention_heads

        def read(letter: str, states: Tensor) -> Tensor:
            projected = self.linear(f"{path}.{letter}_proj", states)
            return self.at(f"{name}.hook_{letter}", projected.unflatten(-1, (heads, -1)))

        q, k, v = read("q", u), read("k", memory), read("v", memory)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1]) + mask
        pattern = self.at(f"{name}.hook_pattern", self.at(f"{name}.hook_attn_scores", scores).softmax(-1))
        z = self.at(f"{name}.hook_z", torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        W_O = self.weights[f"{path}.out_proj.weight"].T.unflatten(0, (heads, -1))
        result = self.at(f"{name}.hook_result", torch.einsum("bqhd,hdm->bqhm", z, W_O))
        return self.at(out, result.sum(-2) + self.weights[f"{path}.out_proj.bias"])

    def mlp(self, name: str, path: str, u: Tensor) -> Tensor:
        activation = {"gelu": gelu, "relu": relu, "silu": silu}[self.config.activation_function]
        pre = self.at(f"{name}.mlp.hook_pre", self.linear(f"{path}.fc1", u))
        post = self.at(f"{name}.mlp.hook_post", activation(pre))
        return self.at(f"{name}.hook_mlp_out", self.linear(f"{path}.fc2", post))
