"""The table of model families: where each hook point lives in the host's module tree, and the facts that differ.

This package alone knows Hugging Face module names. A family is data: for every activation a `Site` says which module tells about
it and from which side (`families.t5`, `families.bart`). `read_config` turns the host's configuration into a `ModelConfig` and
refuses, by the attribute's name, whatever this table does not describe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from interp.errors import InputError
from interp.families.bart import NormPlace, bart_stacks
from interp.families.config import ModelConfig, Positions
from interp.families.sites import StackSites
from interp.families.t5 import t5_stacks

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from interp.axes import Stack

DecoderInputs = Literal["start", "last"]


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table.

    Attributes:
        model_type: the host's `config.model_type`.
        stacks: sites of the encoder and the decoder.
        unembed: path of the unembedding module.
        projections: names of the query, key, value and output projections in an attention module.
        norm: `rms` (no mean, no bias) or `layer`.
        logit_scale: whether the decoder output is multiplied by d_model^-0.5 before the unembedding.
        bias_per_layer: whether every self-attention layer has its own position-bias table.
        norm_place: whether sublayers norm what they read (`pre`) or what they leave (`post`).
        positions: how positions enter: as a bias of scores (`relative`), or added to the embedding.
        decoder_inputs: made from labels by putting the start token first (`start`), or the last label (`last`).
    """

    model_type: str
    stacks: "Mapping[Stack, StackSites]"
    unembed: str
    projections: tuple[str, str, str, str]
    norm: Literal["rms", "layer"]
    logit_scale: Literal["scale_decoder_outputs", "never", "always"]
    bias_per_layer: bool = False
    norm_place: NormPlace = "pre"
    positions: Positions = "relative"
    decoder_inputs: DecoderInputs = "start"


_T5 = ("q", "k", "v", "o")
_BART = ("q_proj", "k_proj", "v_proj", "out_proj")


def _bart_family(
    model_type: str,
    norm_place: NormPlace,
    positions: Positions,
    embedding_norm: bool,
    scaled_outside: bool,
    decoder_inputs: DecoderInputs = "start",
) -> Family:
    stacks = bart_stacks(norm_place, embedding_norm, norm_place == "pre", scaled_outside)
    return Family(
        model_type,
        stacks,
        "lm_head",
        _BART,
        "layer",
        "never",
        norm_place=norm_place,
        positions=positions,
        decoder_inputs=decoder_inputs,
    )


FAMILIES: Mapping[str, Family] = {
    family.model_type: family
    for family in (
        Family("t5", t5_stacks(False), "lm_head", _T5, "rms", "scale_decoder_outputs"),
        Family("mt5", t5_stacks(False), "lm_head", _T5, "rms", "never"),
        Family("umt5", t5_stacks(True), "lm_head", _T5, "rms", "always", bias_per_layer=True),
        _bart_family("bart", "post", "learned", embedding_norm=True, scaled_outside=False),
        _bart_family("marian", "post", "sinusoidal", embedding_norm=False, scaled_outside=True),
        _bart_family("mbart", "pre", "learned", embedding_norm=True, scaled_outside=False, decoder_inputs="last"),
        _bart_family("pegasus", "pre", "sinusoidal", embedding_norm=False, scaled_outside=True),
        _bart_family("m2m_100", "pre", "sinusoidal", embedding_norm=False, scaled_outside=False),
    )
}

_ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu", "swish")


def family_of(model_type: str, is_encoder_decoder: bool) -> Family:
    """The table's row for a model type.

    Raises:
        InputError: if the family is not in the table, saying which are.
    """
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    allowed = ", ".join(sorted(FAMILIES))
    kind = "an encoder-decoder this package does not know" if is_encoder_decoder else "not an encoder-decoder"
    raise InputError(
        f"Model type {model_type!r} is {kind}; supported are {allowed} (ByT5, v1.1 and Flan are t5, NLLB "
        "is m2m_100). Choose a model of one of these families."
    )


def _refuse(attribute: str, got: object, allowed: str) -> InputError:
    return InputError(f"The model's configuration has {attribute}={got!r}; supported is {allowed}.")


def read_config(config: "PreTrainedConfig", family: Family) -> ModelConfig:
    """Read a host configuration.

    Raises:
        InputError: naming the first attribute that is missing or means something the table does not describe.
    """
    for attribute in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        token = getattr(config, attribute, None)
        if not isinstance(token, int):
            raise _refuse(attribute, token, "one token id")
    return _read_t5(config, family) if family.positions == "relative" else _read_bart(config, family)


def _read_t5(config: "PreTrainedConfig", family: Family) -> ModelConfig:
    if config.dense_act_fn not in _ACTIVATIONS:
        raise _refuse("feed_forward_proj", config.feed_forward_proj, f"gated or plain {', '.join(_ACTIVATIONS)}")
    scaled = {
        "scale_decoder_outputs": getattr(config, "scale_decoder_outputs", None),
        "never": False,
        "always": True,
    }
    is_scaled = scaled[family.logit_scale]
    if is_scaled is None:
        raise _refuse("scale_decoder_outputs", None, "True or False (save the model with transformers 5.16 or later)")
    return ModelConfig(
        model_type=family.model_type,
        n_encoder_layers=config.num_layers,
        n_decoder_layers=config.num_decoder_layers,
        n_encoder_heads=config.num_heads,
        n_decoder_heads=config.num_heads,
        d_model=config.d_model,
        d_encoder_head=config.d_kv,
        d_decoder_head=config.d_kv,
        d_encoder_mlp=config.d_ff,
        d_decoder_mlp=config.d_ff,
        d_vocab=config.vocab_size,
        act_fn=config.dense_act_fn,
        gated_mlp=config.is_gated_act,
        eps=config.layer_norm_epsilon,
        norm=family.norm,
        scaled_scores=False,
        logit_scale=config.d_model**-0.5 if is_scaled else 1.0,
        bias_per_layer=family.bias_per_layer,
        relative_attention_num_buckets=config.relative_attention_num_buckets,
        relative_attention_max_distance=config.relative_attention_max_distance,
        **_token_ids(config),
    )


_LAYER_NORM_EPS = 1e-5
"""The default of torch's LayerNorm, which this family's host code never changes."""


def _read_bart(config: "PreTrainedConfig", family: Family) -> ModelConfig:
    if config.activation_function not in _ACTIVATIONS:
        raise _refuse("activation_function", config.activation_function, ", ".join(_ACTIVATIONS))
    if not getattr(config, "share_encoder_decoder_embeddings", True):
        raise _refuse("share_encoder_decoder_embeddings", False, "True: one vocabulary for both stacks")
    return ModelConfig(
        model_type=family.model_type,
        n_encoder_layers=config.encoder_layers,
        n_decoder_layers=config.decoder_layers,
        n_encoder_heads=config.encoder_attention_heads,
        n_decoder_heads=config.decoder_attention_heads,
        d_model=config.d_model,
        d_encoder_head=config.d_model // config.encoder_attention_heads,
        d_decoder_head=config.d_model // config.decoder_attention_heads,
        d_encoder_mlp=config.encoder_ffn_dim,
        d_decoder_mlp=config.decoder_ffn_dim,
        d_vocab=config.vocab_size,
        act_fn=config.activation_function,
        gated_mlp=False,
        eps=_LAYER_NORM_EPS,
        norm=family.norm,
        scaled_scores=True,
        logit_scale=1.0,
        bias_per_layer=False,
        relative_attention_num_buckets=0,
        relative_attention_max_distance=0,
        **_token_ids(config),
        norm_place=family.norm_place,
        positions=family.positions,
        embed_scale=config.d_model**0.5 if config.scale_embedding else 1.0,
        biases=True,
        max_positions=config.max_position_embeddings,
    )


def _token_ids(config: "PreTrainedConfig") -> dict[str, Any]:
    return {
        "decoder_start_token_id": config.decoder_start_token_id,
        "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id,
    }
