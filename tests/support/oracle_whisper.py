"""Whisper written out once more in plain tensor algebra: BART's oracle, with what is different overridden."""

import math

import torch
from torch import Tensor
from torch.nn.functional import gelu

from interp.text.batch import Batch
from tests.support.oracle_bart import BartOracle


class WhisperOracle(BartOracle):
    """One forward pass from the weights alone; see `BartOracle`."""

    def run(self, batch: Batch) -> Tensor:
        length = batch.decoder_input_ids.shape[1]
        allowed = torch.ones(length, length).tril().bool() & batch.decoder_attention_mask.bool()[:, None, None, :]
        lowest = torch.finfo(torch.float32).min
        nothing = torch.zeros(())
        memory = self.layers("encoder", self.frames(batch.input_features), nothing, None)
        table = self.weights["model.decoder.embed_tokens.weight"]
        final = self.layers("decoder", table[batch.decoder_input_ids], (~allowed) * lowest, memory)
        return self.at("unembed.hook_out", final @ table.T)

    def frames(self, mels: Tensor) -> Tensor:
        """Both convolutions as sums over three columns, by hand."""
        for name, stride in (("conv1", 1), ("conv2", 2)):
            weight, bias = (self.weights[f"model.encoder.{name}.{part}"] for part in ("weight", "bias"))
            padded = torch.nn.functional.pad(mels, (1, 1))
            columns = torch.stack([padded[..., place : place + mels.shape[-1] : stride] for place in range(3)], -1)
            mels = gelu(torch.einsum("bctk,dck->bdt", columns, weight) + bias[:, None])
        return mels.transpose(1, 2)

    def layers(self, stack: str, embedded: Tensor, mask: Tensor, memory: Tensor | None) -> Tensor:
        root, length = f"model.{stack}", embedded.shape[1]
        if stack == "encoder":
            half = self.config.d_model // 2
            rates = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
            angles = torch.arange(length)[:, None] * rates
            positions = torch.cat([angles.sin(), angles.cos()], -1).unsqueeze(0)
        else:
            positions = self.weights[f"{root}.embed_positions.weight"][:length].expand(len(embedded), -1, -1)
        x = self.at(f"{stack}.hook_embed", embedded) + self.at(f"{stack}.hook_pos_embed", positions)
        for layer in range(self.config.encoder_layers if stack == "encoder" else self.config.decoder_layers):
            name, path = f"{stack}.{layer}", f"{root}.layers.{layer}"
            x = self.at(f"{name}.hook_resid_pre", x)
            u = self.norm(f"{name}.ln1", f"{path}.self_attn_layer_norm", x)
            x = x + self.attention(f"{name}.attn", f"{path}.self_attn", u, u, mask, f"{name}.hook_attn_out")
            x = self.at(f"{name}.hook_resid_mid", x)
            if memory is not None:
                u = self.norm(f"{name}.ln2", f"{path}.encoder_attn_layer_norm", x)
                out, nothing = f"{name}.hook_cross_attn_out", torch.zeros(())
                x = x + self.attention(f"{name}.cross_attn", f"{path}.encoder_attn", u, memory, nothing, out)
                x = self.at(f"{name}.hook_resid_mid_cross", x)
            last = "ln2" if memory is None else "ln3"
            x = x + self.mlp(name, path, self.norm(f"{name}.{last}", f"{path}.final_layer_norm", x))
            x = self.at(f"{name}.hook_resid_post", x)
        return self.norm(f"{stack}.ln_final", f"{root}.layer_norm", x)

    def attention(self, name: str, path: str, u: Tensor, memory: Tensor, mask: Tensor, out: str) -> Tensor:
        config = self.config
        heads = config.encoder_attention_heads if name.startswith("encoder") else config.decoder_attention_heads
        q = self.linear(f"{path}.q_proj", u) / math.sqrt(config.d_model / heads)
        k = memory @ self.weights[f"{path}.k_proj.weight"].T
        v = self.linear(f"{path}.v_proj", memory)
        q, k, v = (
            self.at(f"{name}.hook_{letter}", tensor.unflatten(-1, (heads, -1)))
            for letter, tensor in zip("qkv", (q, k, v), strict=True)
        )
        scores = self.at(f"{name}.hook_attn_scores", torch.einsum("bqhd,bkhd->bhqk", q, k) + mask)
        pattern = self.at(f"{name}.hook_pattern", scores.softmax(-1))
        z = self.at(f"{name}.hook_z", torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        W_O = self.weights[f"{path}.out_proj.weight"].T.unflatten(0, (heads, -1))
        result = self.at(f"{name}.hook_result", torch.einsum("bqhd,hdm->bqhm", z, W_O))
        return self.at(out, result.sum(-2) + self.weights[f"{path}.out_proj.bias"])
