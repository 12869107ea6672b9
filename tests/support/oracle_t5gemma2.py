"""T5Gemma 2 written out once more in plain tensor algebra: what it does otherwise than T5Gemma; see `tests/support/oracle.py`.

The two sides of a decoder layer's attention are computed apart: a softmax over both is exp(scores) of either by the sum of both.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.support.oracle import Edit
from tests.support.oracle_t5gemma import T5GemmaOracle, rotated

SIDES = ("attn", "cross_attn")


class T5Gemma2Oracle(T5GemmaOracle):
    """As `T5GemmaOracle`."""

    unembedding = "model.encoder.text_model.embed_tokens.weight"

    def __init__(self, hf: PreTrainedModel, edits: Mapping[str, Edit] | None = None) -> None:
        super().__init__(hf, edits)
        self.configs = {"encoder": hf.config.encoder.text_config, "decoder": hf.config.decoder}
        self.end_of_image = hf.config.eoi_token_index

    def stack(self, stack: str, ids: Tensor, own: Tensor, memory: Tensor | None, source: Tensor) -> Tensor:
        config, root = self.configs[stack], "model.encoder.text_model" if stack == "encoder" else "model.decoder"
        table = self.weights[self.unembedding] * math.sqrt(config.hidden_size)
        x = torch.where(
            (ids == self.end_of_image)[..., None],
            self.weights["model.encoder.text_model.embed_tokens.eoi_embedding"],
            table[ids],
        )
        x = self.at(f"{stack}.hook_embed", x)
        for layer in range(config.num_hidden_layers):
            name, path = f"{stack}.{layer}", f"{root}.layers.{layer}"
            x = self.at(f"{name}.hook_resid_pre", x)
            u = self.norm(f"{name}.ln1", f"{path}.pre_self_attn_layernorm", x)
            mask = self.mask(stack, layer, own)
            if memory is None:
                blocks, masks = [u], [mask]
            else:
                blocks, masks = [u, memory], [mask, self.hidden(~source[:, None, None, :])]
            z = self.sides(name, f"{path}.self_attn", u, blocks, masks, stack, config.layer_types[layer])
            written = self.norm(f"{name}.ln1_post", f"{path}.post_self_attn_layernorm", z)
            x = self.at(f"{name}.hook_resid_mid", x + self.at(f"{name}.hook_attn_out", written))
            u = self.norm(f"{name}.ln2", f"{path}.pre_feedforward_layernorm", x)
            written = self.norm(f"{name}.ln2_post", f"{path}.post_feedforward_layernorm", self.mlp(name, path, u))
            x = self.at(f"{name}.hook_resid_post", x + self.at(f"{name}.hook_mlp_out", written))
        return self.norm(f"{stack}.ln_final", f"{root}.norm", x)

    def mask(self, stack: str, layer: int, own: Tensor) -> Tensor:
        """As in T5Gemma, but that a window of the encoder has a width of all its positions together."""
        config, place = self.configs[stack], torch.arange(own.shape[1])
        distance = place[:, None] - place[None, :]
        allowed = own[:, None, None, :].expand(-1, 1, len(place), -1)
        if stack == "decoder":
            allowed = allowed & (distance >= 0)
        if config.layer_types[layer] == "sliding_attention":
            before, behind = (
                (config.sliding_window, 1)
                if stack == "decoder"
                else ((config.sliding_window + 1) // 2, config.sliding_window // 2 + 1)
            )
            allowed = allowed & (distance < before) & (-distance < behind)
        return self.hidden(~allowed)

    def sides(
        self, name: str, path: str, u: Tensor, blocks: list[Tensor], masks: list[Tensor], stack: str, kind: str
    ) -> Tensor:
        """What heads write over the target and, where there is one, the source: each side on its own until rows are summed."""
        config, width = self.configs[stack], self.configs[stack].head_dim
        theta = config.rope_parameters[kind]["rope_theta"]

        def read(side: str, letter: str, states: Tensor) -> Tensor:
            heads = (states @ self.weights[f"{path}.{letter}_proj.weight"].T).unflatten(-1, (-1, width))
            if letter != "v":
                scale = (heads.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
                heads = heads / scale * (1 + self.weights[f"{path}.{letter}_norm.weight"])
            if letter == "q" or (letter == "k" and side == "attn"):
                heads = rotated(heads, theta)
            return self.at(f"{name}.{side}.hook_{letter}", heads)

        sides = SIDES[: len(blocks)]
        q, k, v = (
            [read(side, letter, u if letter == "q" else states) for side, states in zip(sides, blocks, strict=True)]
            for letter in "qkv"
        )
        group = torch.arange(q[0].shape[2]) // (q[0].shape[2] // k[0].shape[2])
        scores = [
            self.at(
                f"{name}.{side}.hook_attn_scores",
                torch.einsum("bqhd,bkhd->bhqk", asked, keys[:, :, group]) / math.sqrt(config.query_pre_attn_scalar)
                + mask,
            )
            for side, asked, keys, mask in zip(sides, q, k, masks, strict=True)
        ]
        largest = torch.stack([part.amax(-1, keepdim=True) for part in scores]).amax(0)
        weights = [(part - largest).exp() for part in scores]
        total = torch.stack([part.sum(-1, keepdim=True) for part in weights]).sum(0)
        patterns = [
            self.at(f"{name}.{side}.hook_pattern", part / total) for side, part in zip(sides, weights, strict=True)
        ]
        W_O = self.weights[f"{path}.o_proj.weight"].T.unflatten(0, (-1, width))
        written = u.new_zeros(u.shape)
        for side, pattern, values in zip(sides, patterns, v, strict=True):
            z = self.at(f"{name}.{side}.hook_z", torch.einsum("bhqk,bkhd->bqhd", pattern, values[:, :, group]))
            written = written + self.at(f"{name}.{side}.hook_result", torch.einsum("bqhd,hdm->bqhm", z, W_O)).sum(-2)
        return written
