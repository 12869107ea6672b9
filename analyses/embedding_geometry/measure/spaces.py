"""The spaces in which vectors are compared, each with the name it carries in every table and figure.

input embedding     the rows of W_E, shared by both stacks, without the factor `embed_scale`
output embedding    g ⊙ W_U: the rows that score the vocabulary, with the gain of the final norm folded in; W_U without one
encoder l           the residual stream after l encoder layers; encoder 0 is what enters the first: the input embedding of the
                    token in place, where positions are absolute scaled, with its position, and normed if the family does
encoder memory      the normed encoder output that every decoder layer reads, its gain (and bias) included
decoder l           the residual stream after l decoder layers

Post-norm families (BART, Marian) have no final norm: the stream after the last encoder layer is the memory, so that space is not
named twice; and where their embeddings are tied, the output embedding is the input embedding, so only this one is a space. What
is added to the logits behind the unembedding (`final_logits_bias`) is no direction and is part of no space.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.families.config import ModelConfig
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import embedding, norm_gain, unembedding

INPUT = "input embedding"
OUTPUT = "output embedding"
MEMORY = "encoder memory"

HOOKS = (
    "encoder.0.hook_resid_pre",
    "encoder.*.hook_resid_post",
    "decoder.0.hook_resid_pre",
    "decoder.*.hook_resid_post",
)


def static_table(model: HookedEncoderDecoder, space: str) -> Float[np.ndarray, "vocab d_model"]:
    """The table of a static space: `INPUT` or `OUTPUT`."""
    with torch.no_grad():
        if space == INPUT:
            table = embedding(model)
        elif model.cfg.has_final_norm:
            table = unembedding(model) * norm_gain(model, "decoder.ln_final")
        else:
            table = unembedding(model)
    return table.float().cpu().numpy()


def static_spaces(cfg: ModelConfig, tied: bool) -> tuple[str, ...]:
    """Names of the static spaces that differ.

    Args:
        cfg: the model's facts.
        tied: whether the two embeddings are one tensor.
    """
    return (INPUT, OUTPUT) if cfg.has_final_norm or not tied else (INPUT,)


def encoder_spaces(cfg: ModelConfig) -> tuple[str, ...]:
    """Names of the encoder's spaces in forward order; the last is the memory."""
    layers = tuple(f"encoder {layer}" for layer in range(cfg.n_encoder_layers + 1))
    return (*layers, MEMORY) if cfg.has_final_norm else layers


def decoder_spaces(cfg: ModelConfig) -> tuple[str, ...]:
    """Names of the decoder's spaces in forward order."""
    return tuple(f"decoder {layer}" for layer in range(cfg.n_decoder_layers + 1))


def encoder_states(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "space batch source d_model"]:
    """The encoder's states in the order of `encoder_spaces`."""
    states = [cache[f"encoder.{layer}.hook_resid_post"] for layer in range(model.cfg.n_encoder_layers)]
    if model.cfg.has_final_norm:
        with torch.no_grad():
            states.append(model.module("encoder.ln_final")(states[-1]))
    return torch.stack([cache["encoder.0.hook_resid_pre"], *states]).float()


def decoder_states(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "space batch target d_model"]:
    """The decoder's states in the order of `decoder_spaces`."""
    layers = [cache[f"decoder.{layer}.hook_resid_post"] for layer in range(model.cfg.n_decoder_layers)]
    return torch.stack([cache["decoder.0.hook_resid_pre"], *layers]).float()
