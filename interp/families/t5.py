"""Where T5, MT5, UMT5 and Switch Transformers keep their activations.

Facts of the T5 family (Raffel et al. 2020; checked against the host): pre-norm RMSNorm without biases anywhere; scores are not
divided by sqrt(d_head); the relative position bias is looked up in layer 0 of each stack and shared by all its layers (UMT5:
one table a layer); cross-attention has none. T5 multiplies the decoder output by d_model^-0.5 before the unembedding iff
`scale_decoder_outputs`, MT5 never does, UMT5 always does, Switch iff `tie_word_embeddings`.

Switch Transformers (Fedus et al. 2022) are T5 with experts in some feed-forward layers: a router chooses the most probable
expert e of every token, and what the layer writes is p_e expert_e(u). An expert computes `expert_capacity` tokens of a text, the
first ones that chose it, padding among them; for those behind, the layer writes 0.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from interp.families.sites import ExpertModules, Host, Site, StackSites

if TYPE_CHECKING:
    from interp.axes import Stack

T5_HOST = Host(
    unembed="lm_head",
    projections=("q", "k", "v", "o"),
    norm="rms",
    scaled_scores=False,
    biases=False,
    activation="feed_forward_proj",
    attributes={
        "n_encoder_layers": "num_layers",
        "n_decoder_layers": "num_decoder_layers",
        "n_encoder_heads": "num_heads",
        "n_decoder_heads": "num_heads",
        "d_encoder_head": "d_kv",
        "d_decoder_head": "d_kv",
        "d_encoder_mlp": "d_ff",
        "d_decoder_mlp": "d_ff",
        "act_fn": "dense_act_fn",
        "gated_mlp": "is_gated_act",
        "eps": "layer_norm_epsilon",
        "relative_attention_num_buckets": "relative_attention_num_buckets",
        "relative_attention_max_distance": "relative_attention_max_distance",
    },
    constants={},
)

SWITCH_HOST = replace(
    T5_HOST,
    activation="dense_act_fn",
    attributes={
        **{fact: path for fact, path in T5_HOST.attributes.items() if fact != "gated_mlp"},
        "n_experts": "num_experts",
        "expert_capacity": "expert_capacity",
    },
    constants={"gated_mlp": False},
    experts=ExpertModules("router", "experts", "wi", "act", "wo"),
    expert_steps={"encoder": "encoder_sparse_step", "decoder": "decoder_sparse_step"},
)


def _t5_feed_forward(sublayer: int, norm: str, name: str, experts: bool) -> dict[str, Site]:
    dense, alone = f"block.{{l}}.layer.{sublayer}.{name}", False if experts else None
    return {
        norm: Site(f"block.{{l}}.layer.{sublayer}.layer_norm", "norm"),
        **({"mlp": Site(dense, "experts", experts=True)} if experts else {}),
        "mlp.hook_pre": Site(f"{dense}.{{wi}}", "output", experts=alone),
        "mlp.hook_pre_linear": Site(f"{dense}.wi_1", "output", gated_only=True),
        "mlp.hook_post": Site(f"{dense}.wo", "input", experts=alone),
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


def t5_stacks(
    bias_per_layer: bool, feed_forward: str = "DenseReluDense", experts: bool = False
) -> "dict[Stack, StackSites]":
    """The sites of both stacks.

    Args:
        bias_per_layer: whether every self-attention layer has its own position-bias table.
        feed_forward: name of the feed-forward part in its sublayer.
        experts: whether that of some layers has experts.
    """
    bias = Site("block.{l}.layer.0.SelfAttention.relative_attention_bias", "bias")
    shared_bias = Site(bias.module.format(l=0), "bias")
    before = {"hook_embed": Site("embed_tokens", "output")}
    if not bias_per_layer:
        before["position_bias"] = shared_bias
    after = {"ln_final": Site("final_layer_norm", "norm")}
    own_bias = {"position_bias": bias} if bias_per_layer else {}
    encoder = own_bias | _t5_self_attention() | _t5_feed_forward(1, "ln2", feed_forward, experts)
    decoder = (
        own_bias | _t5_self_attention() | _t5_cross_attention() | _t5_feed_forward(2, "ln3", feed_forward, experts)
    )
    return {
        "encoder": StackSites("encoder", before, encoder, after),
        "decoder": StackSites("decoder", before, decoder, after),
    }
