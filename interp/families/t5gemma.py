"""Where T5Gemma keeps its activations.

Facts of T5Gemma (Zhang et al. 2025; checked against the host): RMSNorm with gain 1 + w before every sublayer, and another one on
what the sublayer writes, before it is added to the stream (`ln1_post`, ...); no biases; positions by rotation of queries and keys
of self-attention, so `hook_q` and `hook_k` are rotated ones and cross-attention has none; fewer heads of keys and values than of
queries, each read by the same number of heads; scores divided by the root of a number of their own, then capped,
c tanh(score / c); every other layer sees a window, which is in the mask; embeddings times sqrt(d_model), outside the module;
logits capped in the same way behind the unembedding. Encoder and decoder have tables of their own; that of the decoder is tied.

A stream is the sum of the embedding and of what every sublayer writes behind its norm, which is what `hook_attn_out`,
`hook_cross_attn_out` and `hook_mlp_out` hold; `hook_result` is what heads write before that norm.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING

from interp.families.sites import Host, Site, StackSites

if TYPE_CHECKING:
    from interp.axes import Stack

_SAME = (
    "hidden_size hidden_activation rms_norm_eps query_pre_attn_scalar attn_logit_softcapping final_logit_softcapping vocab_size "
    "pad_token_id"
).split()

T5GEMMA_HOST = Host(
    unembed="lm_head.out_proj",
    projections=("q_proj", "k_proj", "v_proj", "o_proj"),
    norm="rms",
    scaled_scores=True,
    biases=False,
    activation="decoder.hidden_activation",
    attributes={
        "d_model": "decoder.hidden_size",
        "d_vocab": "decoder.vocab_size",
        "n_encoder_layers": "encoder.num_hidden_layers",
        "n_decoder_layers": "decoder.num_hidden_layers",
        "n_encoder_heads": "encoder.num_attention_heads",
        "n_decoder_heads": "decoder.num_attention_heads",
        "n_encoder_kv_heads": "encoder.num_key_value_heads",
        "n_decoder_kv_heads": "decoder.num_key_value_heads",
        "d_encoder_head": "encoder.head_dim",
        "d_decoder_head": "decoder.head_dim",
        "d_encoder_mlp": "encoder.intermediate_size",
        "d_decoder_mlp": "decoder.intermediate_size",
        "act_fn": "decoder.hidden_activation",
        "eps": "decoder.rms_norm_eps",
        "score_divisor": "decoder.query_pre_attn_scalar",
        "score_cap": "decoder.attn_logit_softcapping",
        "logit_cap": "decoder.final_logit_softcapping",
    },
    constants={
        "gated_mlp": True,
        "relative_attention_num_buckets": 0,
        "relative_attention_max_distance": 0,
        "write_norms": True,
        "norm_offset": 1.0,
    },
    tokens={
        "decoder_start_token_id": ("decoder.bos_token_id",),
        "pad_token_id": ("decoder.pad_token_id",),
        "eos_token_id": ("decoder.eos_token_id",),
    },
    required=MappingProxyType({"encoder.attention_bias": False, "decoder.attention_bias": False}),
    equal=tuple((f"encoder.{name}", f"decoder.{name}") for name in _SAME),
    embeddings_scaled=True,
)


def _attention(name: str, path: str, place: int, before: str, after: str, out: str) -> dict[str, Site]:
    return {
        f"ln{place}": Site(before, "norm"),
        name: Site(path, "attention"),
        f"{name}.hook_result": Site(f"{path}.o_proj", "heads"),
        f"ln{place}_post": Site(after, "norm"),
        out: Site(after, "norm_output"),
    }


def feed_forward(layer: str, stream: str, place: int) -> dict[str, Site]:
    """The sites of a layer from its feed-forward part on.

    Args:
        layer: path of the layer.
        stream: name of the stream before it.
        place: number of its norms among the sublayers'.
    """
    before, after = f"{layer}.pre_feedforward_layernorm", f"{layer}.post_feedforward_layernorm"
    return {
        stream: Site(before, "stream"),
        f"ln{place}": Site(before, "norm"),
        "mlp.hook_pre": Site(f"{layer}.mlp.gate_proj", "output"),
        "mlp.hook_pre_linear": Site(f"{layer}.mlp.up_proj", "output"),
        "mlp.hook_post": Site(f"{layer}.mlp.down_proj", "input"),
        f"ln{place}_post": Site(after, "norm"),
        "hook_mlp_out": Site(after, "norm_output"),
        "hook_resid_post": Site(layer, "stream_out"),
    }


def _layer(cross: bool) -> dict[str, Site]:
    layer = "layers.{l}"
    sites = {"hook_resid_pre": Site(layer, "stream_in")}
    own = (f"{layer}.pre_self_attn_layernorm", f"{layer}.post_self_attn_layernorm")
    sites |= _attention("attn", f"{layer}.self_attn", 1, *own, "hook_attn_out")
    if cross:
        between = (f"{layer}.pre_cross_attn_layernorm", f"{layer}.post_cross_attn_layernorm")
        sites["hook_resid_mid"] = Site(between[0], "stream")
        sites |= _attention("cross_attn", f"{layer}.cross_attn", 2, *between, "hook_cross_attn_out")
    stream, place = ("hook_resid_mid_cross", 3) if cross else ("hook_resid_mid", 2)
    return sites | feed_forward(layer, stream, place)


def t5gemma_stacks() -> "dict[Stack, StackSites]":
    """The sites of both stacks."""
    before = {"hook_embed": Site("embed_tokens", "embedding")}
    after = {"ln_final": Site("norm", "norm")}
    return {
        "encoder": StackSites("model.encoder", before, _layer(cross=False), after),
        "decoder": StackSites("model.decoder", before, _layer(cross=True), after),
    }
