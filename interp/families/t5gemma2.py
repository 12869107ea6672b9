"""Where T5Gemma 2 keeps its activations.

Facts of T5Gemma 2 (checked against the host): as T5Gemma, RMSNorm with gain 1 + w before sublayers and on what they write, no
biases, heads that share keys and values, windows; and

    a decoder layer has one attention over the target so far and the source, under one softmax and with one output projection:
    its two sides are shown as `attn` and `cross_attn`, and what both write passes one norm (`ln1_post`), behind which it is
    `hook_attn_out`; there is no stream between them, and no `hook_cross_attn_out`
    queries and keys of every head are normed before they are rotated; keys of the source are not rotated
    embeddings are scaled inside their module, which has a row of its own for the token that ends an image
    one table for encoder, decoder and unembedding; scores are not capped, whatever `attn_logit_softcapping` says: the host's
    code does not read it
"""

from types import MappingProxyType
from typing import TYPE_CHECKING

from interp.families.sites import Host, Site, StackSites
from interp.families.t5gemma import T5GEMMA_HOST, feed_forward

if TYPE_CHECKING:
    from interp.axes import Stack

_SAME = "hidden_size hidden_activation rms_norm_eps query_pre_attn_scalar vocab_size pad_token_id".split()


def _of_text(path: str) -> str:
    return path.replace("encoder.", "encoder.text_config.", 1) if path.startswith("encoder.") else path


T5GEMMA2_HOST = Host(
    unembed=T5GEMMA_HOST.unembed,
    projections=T5GEMMA_HOST.projections,
    norm="rms",
    scaled_scores=True,
    biases=False,
    activation=T5GEMMA_HOST.activation,
    attributes={fact: _of_text(path) for fact, path in T5GEMMA_HOST.attributes.items() if fact != "score_cap"},
    constants={**T5GEMMA_HOST.constants, "merged_attention": True, "head_norms": True},
    tokens=T5GEMMA_HOST.tokens,
    required=MappingProxyType({_of_text(path): value for path, value in T5GEMMA_HOST.required.items()}),
    equal=tuple((f"encoder.text_config.{name}", f"decoder.{name}") for name in _SAME),
    embeddings_scaled=True,
    source_states="encoder_hidden_states",
)


def _layer(decoder: bool) -> dict[str, Site]:
    layer = "layers.{l}"
    attention, after = f"{layer}.self_attn", f"{layer}.post_self_attn_layernorm"
    sites = {"hook_resid_pre": Site(layer, "stream_in"), "ln1": Site(f"{layer}.pre_self_attn_layernorm", "norm")}
    if decoder:
        sites |= {
            "attn": Site(attention, "merged"),
            "cross_attn": Site(attention, "merged_part"),
            "attn.hook_result": Site(f"{attention}.o_proj", "merged_heads"),
            "cross_attn.hook_result": Site(f"{attention}.o_proj", "merged_heads"),
        }
    else:
        sites |= {"attn": Site(attention, "attention"), "attn.hook_result": Site(f"{attention}.o_proj", "heads")}
    sites |= {"ln1_post": Site(after, "norm"), "hook_attn_out": Site(after, "norm_output")}
    return sites | feed_forward(layer, "hook_resid_mid", 2)


def t5gemma2_stacks() -> "dict[Stack, StackSites]":
    """The sites of both stacks."""
    before = {"hook_embed": Site("embed_tokens", "output")}
    after = {"ln_final": Site("norm", "norm")}
    return {
        "encoder": StackSites("model.encoder.text_model", before, _layer(decoder=False), after),
        "decoder": StackSites("model.decoder", before, _layer(decoder=True), after),
    }
