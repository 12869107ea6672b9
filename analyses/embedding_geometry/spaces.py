"""The spaces in which vectors are compared, each with the name it carries in every table and figure.

input embedding     the rows of W_E, shared by both stacks
output embedding    g ⊙ W_U: the rows that score the vocabulary, with the gain of the final norm folded in
encoder l           the residual stream after l encoder layers; encoder 0 is the input embedding of the token in place
encoder memory      the normed encoder output that every decoder layer reads, its gain included
decoder l           the residual stream after l decoder layers
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.cache import ActivationCache
from interp.families import ModelConfig
from interp.model import HookedEncoderDecoder
from interp.weights import embedding, final_gain, unembedding

INPUT = "input embedding"
OUTPUT = "output embedding"
MEMORY = "encoder memory"
STATIC_SPACES = (INPUT, OUTPUT)

HOOKS = (
    "encoder.0.hook_resid_pre",
    "encoder.*.hook_resid_post",
    "encoder.ln_final.hook_normalized",
    "decoder.0.hook_resid_pre",
    "decoder.*.hook_resid_post",
)


def static_table(model: HookedEncoderDecoder, space: str) -> Float[np.ndarray, "vocab d_model"]:
    """The table of a static space: `INPUT` or `OUTPUT`."""
    with torch.no_grad():
        table = embedding(model) if space == INPUT else unembedding(model) * final_gain(model, "decoder")
    return table.float().cpu().numpy()


def encoder_spaces(cfg: ModelConfig) -> tuple[str, ...]:
    """Names of the encoder's spaces in forward order, the memory last."""
    return (*(f"encoder {layer}" for layer in range(cfg.n_encoder_layers + 1)), MEMORY)


def decoder_spaces(cfg: ModelConfig) -> tuple[str, ...]:
    """Names of the decoder's spaces in forward order."""
    return tuple(f"decoder {layer}" for layer in range(cfg.n_decoder_layers + 1))


def encoder_states(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "space batch source d_model"]:
    """The encoder's states in the order of `encoder_spaces`."""
    layers = [cache[f"encoder.{layer}.hook_resid_post"] for layer in range(model.cfg.n_encoder_layers)]
    memory = cache["encoder.ln_final.hook_normalized"] * final_gain(model, "encoder")
    return torch.stack([cache["encoder.0.hook_resid_pre"], *layers, memory]).float()


def decoder_states(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "space batch target d_model"]:
    """The decoder's states in the order of `decoder_spaces`."""
    layers = [cache[f"decoder.{layer}.hook_resid_post"] for layer in range(model.cfg.n_decoder_layers)]
    return torch.stack([cache["decoder.0.hook_resid_pre"], *layers]).float()
