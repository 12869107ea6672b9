"""Where BART and its relatives keep their activations.

Facts of these families (Vaswani et al. 2017; Lewis et al. 2020; checked against the host): LayerNorm with gain and bias; biases
in every projection; scores divided by sqrt(d_head); absolute positions added to the embedding. They differ in this:

                      norm    positions     norm of the embedding    final norm    order of decoder inputs
    BART              post    learned       yes                      no            start token first
    PLBart            post    learned       yes                      no            last token (language) first
    Blenderbot-small  post    learned       yes                      no            start token first
    Marian            post    sinusoidal    no                       no            start token first
    mBART             pre     learned       yes                      yes           last token (language) first
    Blenderbot        pre     learned       no                       yes           start token first
    Pegasus           pre     sinusoidal    no                       yes           start token first
    M2M100            pre     sinusoidal    no                       yes           start token first

In post-norm layers the residual stream is what each norm hands on, x <- norm(x + sublayer(x)), so it is not the sum of what was
written to it. Marian, Pegasus and Blenderbot-small scale embeddings outside the embedding module; `hook_embed` is the scaled
value everywhere. Blenderbot-small's decoder alone does not scale, and norms the embedding before positions are added.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from interp.families.sites import TOKENS, Host, NormPlace, Site, StackSites

if TYPE_CHECKING:
    from interp.axes import Stack

BART_HOST = Host(
    unembed="lm_head",
    projections=("q_proj", "k_proj", "v_proj", "out_proj"),
    norm="layer",
    scaled_scores=True,
    biases=True,
    activation="activation_function",
    attributes={
        "n_encoder_layers": "encoder_layers",
        "n_decoder_layers": "decoder_layers",
        "n_encoder_heads": "encoder_attention_heads",
        "n_decoder_heads": "decoder_attention_heads",
        "d_encoder_mlp": "encoder_ffn_dim",
        "d_decoder_mlp": "decoder_ffn_dim",
        "act_fn": "activation_function",
        "max_positions": "max_position_embeddings",
    },
    # Epsilon is the default of torch's LayerNorm, which this host never changes.
    constants={
        "gated_mlp": False,
        "eps": 1e-5,
        "relative_attention_num_buckets": 0,
        "relative_attention_max_distance": 0,
    },
)

# Where no start token is stated the host starts texts with the first of all tokens, as its generation does.
PLBART_HOST = replace(
    BART_HOST, tokens={**TOKENS, "decoder_start_token_id": ("decoder_start_token_id", "bos_token_id")}
)


def bart_stacks(
    norm_place: NormPlace, embedding_norm: bool, scaled_outside: bool, positions_last: bool = False
) -> "dict[Stack, StackSites]":
    """The sites of both stacks; pre-norm stacks end with a norm of their own.

    Args:
        norm_place: whether sublayers norm what they read or what they leave.
        embedding_norm: whether the embedding is normed before the first layer.
        scaled_outside: whether the host scales embeddings outside the embedding module.
        positions_last: whether the decoder norms embeddings as they are stored, and adds positions behind that norm.
    """
    before = {
        "hook_embed": Site("embed_tokens", "embedding" if scaled_outside else "output"),
        "hook_pos_embed": Site("embed_positions", "positions"),
    }
    if embedding_norm:
        before["ln_embed"] = Site("layernorm_embedding", "norm")
    normed_first = {
        "hook_embed": Site("embed_tokens", "output"),
        "ln_embed": Site("layernorm_embedding", "norm"),
        "hook_pos_embed": before["hook_pos_embed"],
    }
    after = {"ln_final": Site("layer_norm", "norm")} if norm_place == "pre" else {}
    build = _pre_norm_layer if norm_place == "pre" else _post_norm_layer
    return {
        "encoder": StackSites("model.encoder", before, build(cross=False), after),
        "decoder": StackSites("model.decoder", normed_first if positions_last else before, build(cross=True), after),
    }


_ATTENTION = "layers.{l}.self_attn"
_CROSS = "layers.{l}.encoder_attn"
_MLP = {
    "mlp.hook_pre": Site("layers.{l}.fc1", "output"),
    "mlp.hook_post": Site("layers.{l}.fc2", "input"),
    "hook_mlp_out": Site("layers.{l}.fc2", "output"),
}


def _attention(name: str, path: str, out: str) -> dict[str, Site]:
    return {
        name: Site(path, "attention"),
        f"{name}.hook_result": Site(f"{path}.out_proj", "heads"),
        out: Site(path, "output"),
    }


def _pre_norm_layer(cross: bool) -> dict[str, Site]:
    last = "layers.{l}.final_layer_norm"
    sites = {"hook_resid_pre": Site("layers.{l}", "stream_in"), "ln1": Site(f"{_ATTENTION}_layer_norm", "norm")}
    sites |= _attention("attn", _ATTENTION, "hook_attn_out")
    if cross:
        sites["hook_resid_mid"] = Site(f"{_CROSS}_layer_norm", "stream")
        sites["ln2"] = Site(f"{_CROSS}_layer_norm", "norm")
        sites |= _attention("cross_attn", _CROSS, "hook_cross_attn_out")
        sites |= {"hook_resid_mid_cross": Site(last, "stream"), "ln3": Site(last, "norm")}
    else:
        sites |= {"hook_resid_mid": Site(last, "stream"), "ln2": Site(last, "norm")}
    return sites | _MLP | {"hook_resid_post": Site("layers.{l}", "stream_out")}


def _post_norm_layer(cross: bool) -> dict[str, Site]:
    last = "layers.{l}.final_layer_norm"
    sites = {"hook_resid_pre": Site("layers.{l}", "input")}
    sites |= _attention("attn", _ATTENTION, "hook_attn_out")
    sites["ln1"] = Site(f"{_ATTENTION}_layer_norm", "norm")
    sites["hook_resid_mid"] = Site(f"{_ATTENTION}_layer_norm", "norm_output")
    if cross:
        sites |= _attention("cross_attn", _CROSS, "hook_cross_attn_out")
        sites["ln2"] = Site(f"{_CROSS}_layer_norm", "norm")
        sites["hook_resid_mid_cross"] = Site(f"{_CROSS}_layer_norm", "norm_output")
    sites |= _MLP
    sites["ln3" if cross else "ln2"] = Site(last, "norm")
    return sites | {"hook_resid_post": Site("layers.{l}", "output")}
