"""Further public reports of this field, each with the value that plain transformers or a hand gives."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from markupsafe import escape
from torch import Tensor

import interp
from analyses.logit_attribution.attribute import explain
from interp.model.generation import Decoding
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import position_bias
from interp.patching import zero
from interp.report.visible_text import shown_token
from tests.support.parity import relative_gap
from tests.support.zoo import ANIMALS, ENGLISH, Home, reference

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")]

RELATIVE = ("t5-small", "t5-v1_1-small", "mt5-small", "byt5-small", "umt5-small")
UNEQUAL = ("byt5-small", "t5-v1_1-small", "bart-base", "opus-mt-en-de", "nllb-de")


def bucket(distance: int, both_ways: bool, buckets: int, farthest: int) -> int:
    """The row of a signed distance key - query in a table of position biases, by hand (Raffel et al. 2020)."""
    first = 0
    if both_ways:
        buckets //= 2
        first = buckets if distance > 0 else 0
        away = abs(distance)
    else:
        away = max(-distance, 0)
    exact = buckets // 2
    if away < exact:
        return first + away
    beyond = math.log(away / exact) / math.log(farthest / exact) * (buckets - exact)
    return first + min(exact + int(beyond), buckets - 1)


@pytest.mark.parametrize("name", RELATIVE)
def test_distances_have_the_buckets_of_their_stack(name: str, load: Callable, home: Home) -> None:
    """TransformerLensOrg/TransformerLens#1681: the decoder had the encoder's buckets, which agree below nine tokens."""
    model = load(name)
    host, _ = reference(ANIMALS[name], home(name))
    rows, farthest = model.cfg.relative_attention_num_buckets, model.cfg.relative_attention_max_distance
    for stack, furthest in (("encoder", 40), ("decoder", 0)):
        table = getattr(host, stack).block[0].layer[0].SelfAttention.relative_attention_bias.weight
        distances = range(-150, furthest + 1)
        wanted = torch.stack([table[bucket(one, stack == "encoder", rows, farthest)] for one in distances], 1)
        assert torch.equal(position_bias(model, stack, 0, torch.tensor(list(distances))), wanted)


@pytest.mark.parametrize("name", RELATIVE)
def test_every_layer_adds_the_bias_of_its_table(name: str, load: Callable) -> None:
    """huggingface/transformers#10221, #13397: the table of the first layer acts in all (in UMT5 every layer has its own)."""
    model, animal = load(name), ANIMALS[name]
    batch = model.batch([" ".join(animal.texts())], [" ".join(animal.targets)])
    points = [f"{stack}.*.attn.hook_{leaf}" for stack in ("encoder", "decoder") for leaf in ("q", "k", "attn_scores")]
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, points)
    for stack, layers in zip(("encoder", "decoder"), animal.layers, strict=True):
        for layer in range(layers):
            q, k, scores = (cache[f"{stack}.{layer}.attn.hook_{leaf}"] for leaf in ("q", "k", "attn_scores"))
            product = torch.einsum("bqhd,bkhd->bhqk", q, k) * model.cfg.attention_scale(stack)
            positions = torch.arange(scores.shape[-1])
            distances = positions[None] - positions[:, None]
            seen = distances <= 0 if stack == "decoder" else torch.ones_like(distances, dtype=torch.bool)
            added = position_bias(model, stack, layer, distances[seen])
            torch.testing.assert_close(scores[0][:, seen], (product[0][:, seen] + added), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", UNEQUAL)
def test_sources_are_the_encoders_tokens(name: str, load: Callable) -> None:
    """meta-pytorch/captum#1110: attributions were returned to the decoder's tokens."""
    model, animal = load(name), ANIMALS[name]
    source, target = animal.texts()[0], animal.targets[0]
    text = model.batch([source], [target]).source_texts[0]
    told = explain(model, source, target)
    assert list(told.sources["source token"])[: len(text.pieces)] == list(text.pieces)
    assert len(text.pieces) != len(model.batch([source], [target]).target_texts[0].pieces)
    components = told.components.set_index("component")["contribution"]
    cross = sum(float(value) for label, value in components.items() if re.match(r"XL\d+H", label))
    assert float(told.sources["contribution"].sum()) == pytest.approx(cross, abs=1e-4)


@pytest.mark.parametrize("name", ["t5-small", "byt5-small", "bart-base", "opus-mt-en-de", "nllb-de"])
def test_a_target_of_one_new_token_has_finite_contributions(name: str, load: Callable) -> None:
    """inseq-team/inseq#268: with `max_new_tokens=1` attributions were nan."""
    model, animal = load(name), ANIMALS[name]
    written = model.generate([animal.texts()[0]], "unembed.hook_out", max_new_tokens=1)
    ids = written.batch.target_texts[0].ids
    assert 1 <= len(ids) <= 2
    told = explain(model, animal.texts()[0], animal.targets[0], position=0)
    assert bool(told.components["contribution"].notna().all())
    assert bool(told.sources["contribution"].notna().all())
    assert float(told.components["contribution"].sum()) == pytest.approx(told.difference, abs=1e-3)


@pytest.mark.parametrize("name", ["nllb-de", "m2m100-de", "mbart50-de"])
def test_a_language_mark_is_no_step_of_a_contrast(name: str, load: Callable) -> None:
    """inseq-team/inseq#295: codes of languages were compared as tokens of the contrastive targets."""
    model, animal = load(name), ANIMALS[name]
    told = explain(model, animal.texts()[0], "Der Mann sitzt.", "Der Hund sitzt.")
    text = model.batch([animal.texts()[0]], ["Der Mann sitzt."]).target_texts[0]
    other = model.batch([animal.texts()[0]], ["Der Hund sitzt."]).target_texts[0]
    first = next(row for row, (own, foil) in enumerate(zip(text.ids, other.ids, strict=False)) if own != foil)
    assert told.position == first > 0
    assert first not in text.forced
    assert 0 in text.forced, "the mark comes first and is no choice"


@pytest.mark.parametrize("name", UNEQUAL)
def test_a_cross_head_is_ablated_in_its_own_layer(name: str, load: Callable, home: Home) -> None:
    """huggingface/transformers#10540: masks of cross heads had the encoder's shape and the decoder's self-attention too."""
    model, animal = load(name), ANIMALS[name]
    host, _ = reference(animal, home(name))
    layer, head, width = animal.layers[1] - 1, model.cfg.n_decoder_heads - 1, model.cfg.d_decoder_head
    stack = host.get_decoder()
    module = (
        stack.block[layer].layer[1].EncDecAttention.o
        if hasattr(stack, "block")
        else stack.layers[layer].encoder_attn.out_proj
    )
    with torch.no_grad():
        module.weight[:, head * width : (head + 1) * width] = 0
        batch = model.batch(animal.texts(), list(animal.targets))
        with model.hooks(zero([f"XL{layer}H{head}"])):
            got = model(batch)
        wanted = host(**batch, use_cache=False).logits
        clean = model(batch)
    assert relative_gap(got[batch.target_mask], wanted[batch.target_mask]) < 1e-5
    assert relative_gap(clean[batch.target_mask], wanted[batch.target_mask]) > 1e-4


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", ["t5-small", "byt5-small", "bart-base", "nllb-de"])
def test_cross_attention_of_a_generation_has_one_row_a_token(name: str, beams: int, load: Callable) -> None:
    """huggingface/transformers#11788, jessevig/bertviz#133: every step's patterns, beams among the prompts, in a tuple."""
    model, animal = load(name), ANIMALS[name]
    decoding = Decoding() if beams == 1 else Decoding("beam", beams=beams)
    written = model.generate(animal.texts(), "decoder.*.cross_attn.hook_pattern", decoding, max_new_tokens=7)
    batch = written.batch
    for pattern in written.cache.values():
        assert pattern.shape == (len(batch), model.cfg.n_decoder_heads, batch.labels.shape[1], batch.input_ids.shape[1])
        sums = pattern.sum(-1).transpose(1, 2)[batch.target_mask]
        torch.testing.assert_close(sums, torch.ones_like(sums))
    shown = written.cache.show("pattern", 0, "cross_attn")._repr_html_()
    for piece in batch.decoder_pieces(0):
        assert str(escape(shown_token(piece))) in shown


@pytest.mark.parametrize(("name", "tied"), [("t5-small", True), ("t5-v1_1-small", False), ("mt5-small", False)])
def test_the_stream_is_scaled_before_the_unembedding_only_where_tables_are_tied(
    name: str, tied: bool, load: Callable, home: Home
) -> None:
    """ml-explore/mlx-examples#591, huggingface/transformers#5565: d_model^-1/2 where the tables are tied, not elsewhere."""
    model, animal = load(name), ANIMALS[name]
    assert animal.tied == tied
    batch = model.batch(animal.texts(), list(animal.targets))
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, "decoder.ln_final.hook_normalized")
        host, _ = reference(animal, home(name))
        table = host.lm_head.weight
        stream = cache["decoder.ln_final.hook_normalized"] * host.decoder.final_layer_norm.weight
        wanted = stream @ table.T * (model.cfg.d_model**-0.5 if tied else 1.0)
    assert relative_gap(logits[batch.target_mask], wanted[batch.target_mask]) < 1e-5


def overflowing(home: Home) -> HookedEncoderDecoder:
    """A T5 in float16 whose encoder stream overflows in its first feed-forward layer."""
    host, tokenizer = reference(ANIMALS["t5-small"], home("t5-small"))
    with torch.no_grad():
        host.encoder.block[0].layer[1].DenseReluDense.wo.weight[3] = 6e4
    return HookedEncoderDecoder(host.half(), tokenizer)


def test_a_stream_that_overflows_is_told_and_not_explained(home: Home) -> None:
    """huggingface/transformers#9295, #5651: T5 in float16 overflows, and its layers clamp what has; sums no longer hold."""
    model, animal = overflowing(home), ANIMALS["t5-small"]
    with pytest.raises(interp.InputError, match=r"encoder\.0\.hook_mlp_out overflows in float16.*bfloat16"):
        explain(model, animal.texts()[0], animal.targets[0])


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["t5-small", "bart-base", "opus-mt-en-de"])
def test_patterns_do_not_hang_on_the_hosts_attention(
    name: str, implementation: str, home: Home, load: Callable
) -> None:
    """jessevig/bertviz#133 and its kind: a host with fused attention returns no patterns."""
    animal = ANIMALS[name]
    host, tokenizer = reference(animal, home(name))
    host.set_attn_implementation(implementation)
    model = HookedEncoderDecoder(host, tokenizer)
    batch = model.batch(list(animal.texts()), list(animal.targets))
    seen: dict[str, Tensor] = {}
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, "*.hook_pattern")
        _, seen = load(name).run_with_cache(batch, "*.hook_pattern")
    assert cache.keys() == seen.keys()
    for point, pattern in cache.items():
        torch.testing.assert_close(pattern, seen[point])


def test_texts_of_one_word_are_taken_and_an_empty_one_is_refused(load: Callable) -> None:
    """huggingface/transformers#36293 and inseq-team/inseq#110 began with prompts of one token beside long ones."""
    model = load("t5-small")
    batch = model.batch(["Yes.", ENGLISH[0]], ["Ja.", "Nein."])
    assert batch.source_mask.sum(1).tolist() == [len(text.ids) for text in batch.source_texts]
    with pytest.raises(interp.InputError, match="empty"):
        model.batch(["", ENGLISH[0]], ["Ja.", "Nein."])
