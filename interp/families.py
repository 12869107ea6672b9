"""The table of model families: where each hook point lives in the host's module tree, and the facts that differ.

This is the only file that knows Hugging Face module names. A family is data: for every activation a `Site` says which module
tells about it and from which side. `read_config` turns the host's configuration into a `ModelConfig` and refuses, by the
attribute's name, whatever this table does not describe.

Facts of the T5 family (Raffel et al. 2020; checked against the host): pre-norm RMSNorm without biases anywhere; scores are not
divided by sqrt(d_head); the relative position bias is looked up in layer 0 of each stack and shared by all its layers (UMT5:
one table a layer); cross-attention has none. T5 multiplies the decoder output by d_model^-0.5 before the unembedding iff
`scale_decoder_outputs`, MT5 never does, UMT5 always does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from transformers import PreTrainedConfig

from interp.axes import Stack
from interp.errors import InputError

Side = Literal["input", "output", "norm", "attention", "heads", "bias"]
"""What a module is asked: its input, its output, a norm's scale and normalised value, attention internals, the per-head terms
of an output projection, or a looked-up position bias."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where an activation is found.

    Attributes:
        module: path below the stack's module; `{l}` stands for the layer, `{wi}` for the first feed-forward projection.
        side: see `Side`.
        gated_only: whether the site exists only in gated feed-forward layers.
    """

    module: str
    side: Side
    gated_only: bool = False


@dataclass(frozen=True, slots=True)
class StackSites:
    """All sites of one stack, in forward order.

    Attributes:
        module: path of the stack's module in the model.
        before: hook name below the stack -> site, for points before the layers.
        layer: hook name below the layer -> site, for each layer.
        after: hook name below the stack -> site, for points after the layers.
    """

    module: str
    before: Mapping[str, Site]
    layer: Mapping[str, Site]
    after: Mapping[str, Site]


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
    """

    model_type: str
    stacks: Mapping[Stack, StackSites]
    unembed: str
    projections: tuple[str, str, str, str]
    norm: Literal["rms", "layer"]
    logit_scale: Literal["scale_decoder_outputs", "never", "always"]
    bias_per_layer: bool


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The facts of one model; two depths, always.

    Attributes:
        model_type: family, as in the host's configuration.
        n_encoder_layers: depth of the encoder.
        n_decoder_layers: depth of the decoder.
        n_heads: heads of every attention, self and cross.
        d_model: width of the residual stream.
        d_head: width of a query, key or value; n_heads * d_head need not equal d_model.
        d_mlp: neurons of a feed-forward layer.
        d_vocab: rows of the embedding, trained or not.
        act_fn: activation function, by the host's name.
        gated_mlp: whether the feed-forward layer is act(x W_gate) * (x W_in).
        eps: epsilon of the norms.
        norm: `rms` or `layer`.
        attention_scale: factor of the query-key product; 1 in T5.
        logit_scale: factor s of the normed decoder output before the unembedding.
        bias_per_layer: whether every self-attention layer has its own position-bias table.
        relative_attention_num_buckets: rows of a position-bias table.
        relative_attention_max_distance: distance from which all positions share the last bucket.
        decoder_start_token_id: first decoder input.
        pad_token_id: padding.
        eos_token_id: end of a text.
    """

    model_type: str
    n_encoder_layers: int
    n_decoder_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    act_fn: str
    gated_mlp: bool
    eps: float
    norm: Literal["rms", "layer"]
    attention_scale: float
    logit_scale: float
    bias_per_layer: bool
    relative_attention_num_buckets: int
    relative_attention_max_distance: int
    decoder_start_token_id: int
    pad_token_id: int
    eos_token_id: int

    def n_layers(self, stack: Stack) -> int:
        """Depth of one stack."""
        return self.n_encoder_layers if stack == "encoder" else self.n_decoder_layers


def _t5_feed_forward(sublayer: int, norm: str) -> dict[str, Site]:
    dense = f"block.{{l}}.layer.{sublayer}.DenseReluDense"
    return {
        norm: Site(f"block.{{l}}.layer.{sublayer}.layer_norm", "norm"),
        "mlp.hook_pre": Site(f"{dense}.{{wi}}", "output"),
        "mlp.hook_pre_linear": Site(f"{dense}.wi_1", "output", gated_only=True),
        "mlp.hook_post": Site(f"{dense}.wo", "input"),
        "hook_mlp_out": Site(dense, "output"),
        "hook_resid_post": Site("block.{l}", "output"),
    }


def _t5_self_attention() -> dict[str, Site]:
    attention = "block.{l}.layer.0.SelfAttention"
    return {
        "hook_resid_pre": Site("block.{l}", "input"),
        "ln1": Site("block.{l}.layer.0.layer_norm", "norm"),
        "attn": Site(attention, "attention"),
        "attn.hook_result": Site(f"{attention}.o", "heads"),
        "hook_attn_out": Site(attention, "output"),
        "hook_resid_mid": Site("block.{l}.layer.0", "output"),
    }


def _t5_cross_attention() -> dict[str, Site]:
    attention = "block.{l}.layer.1.EncDecAttention"
    return {
        "ln2": Site("block.{l}.layer.1.layer_norm", "norm"),
        "cross_attn": Site(attention, "attention"),
        "cross_attn.hook_result": Site(f"{attention}.o", "heads"),
        "hook_cross_attn_out": Site(attention, "output"),
        "hook_resid_mid_cross": Site("block.{l}.layer.1", "output"),
    }


def _t5_stacks(bias_per_layer: bool) -> dict[Stack, StackSites]:
    bias = Site("block.{l}.layer.0.SelfAttention.relative_attention_bias", "bias")
    shared_bias = Site(bias.module.format(l=0), "bias")
    before = {"hook_embed": Site("embed_tokens", "output")}
    if not bias_per_layer:
        before["position_bias"] = shared_bias
    after = {"ln_final": Site("final_layer_norm", "norm")}
    own_bias = {"position_bias": bias} if bias_per_layer else {}
    encoder = own_bias | _t5_self_attention() | _t5_feed_forward(1, "ln2")
    decoder = own_bias | _t5_self_attention() | _t5_cross_attention() | _t5_feed_forward(2, "ln3")
    return {
        "encoder": StackSites("encoder", before, encoder, after),
        "decoder": StackSites("decoder", before, decoder, after),
    }


_T5_PROJECTIONS = ("q", "k", "v", "o")

FAMILIES: Mapping[str, Family] = {
    family.model_type: family
    for family in (
        Family(
            "t5", _t5_stacks(False), "lm_head", _T5_PROJECTIONS, "rms", "scale_decoder_outputs", bias_per_layer=False
        ),
        Family("mt5", _t5_stacks(False), "lm_head", _T5_PROJECTIONS, "rms", "never", bias_per_layer=False),
        Family("umt5", _t5_stacks(True), "lm_head", _T5_PROJECTIONS, "rms", "always", bias_per_layer=True),
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
        f"Model type {model_type!r} is {kind}; supported are {allowed} (T5, v1.1 and Flan, mT5, ByT5, UMT5). "
        "Choose a model of one of these families."
    )


def _refuse(attribute: str, got: object, allowed: str) -> InputError:
    return InputError(f"The model's configuration has {attribute}={got!r}; supported is {allowed}.")


def read_config(config: PreTrainedConfig, family: Family) -> ModelConfig:
    """Read a host configuration of a T5-shaped family.

    Raises:
        InputError: naming the first attribute that is missing or means something the table does not describe.
    """
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
    for attribute in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        token = getattr(config, attribute, None)
        if not isinstance(token, int):
            raise _refuse(attribute, token, "one token id")
    return ModelConfig(
        model_type=family.model_type,
        n_encoder_layers=config.num_layers,
        n_decoder_layers=config.num_decoder_layers,
        n_heads=config.num_heads,
        d_model=config.d_model,
        d_head=config.d_kv,
        d_mlp=config.d_ff,
        d_vocab=config.vocab_size,
        act_fn=config.dense_act_fn,
        gated_mlp=config.is_gated_act,
        eps=config.layer_norm_epsilon,
        norm=family.norm,
        attention_scale=1.0,
        logit_scale=config.d_model**-0.5 if is_scaled else 1.0,
        bias_per_layer=family.bias_per_layer,
        relative_attention_num_buckets=config.relative_attention_num_buckets,
        relative_attention_max_distance=config.relative_attention_max_distance,
        **_token_ids(config),
    )


def _token_ids(config: PreTrainedConfig) -> dict[str, Any]:
    return {
        "decoder_start_token_id": config.decoder_start_token_id,
        "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id,
    }
