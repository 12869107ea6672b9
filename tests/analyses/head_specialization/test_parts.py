"""Position against content, value norms and rare tokens, against plain computations."""

import math

import numpy as np
import pytest
import torch

from analyses.core.contract import Pass
from analyses.head_specialization import ANALYSIS, HeadSettings
from analyses.head_specialization.measure import observe as observing
from analyses.head_specialization.measure.observe import observe
from analyses.head_specialization.measure.position import bias_tables, distances
from analyses.head_specialization.measure.rarity import COMMON, ranks, rarest_keys, rarity_ranks
from analyses.head_specialization.measure.values import relative_norm, value_norms
from interp.text.words import EOS, PREFIX
from tests.support.planted_heads import QUICK, garden, observed, planted_batch


@pytest.fixture(scope="module")
def planted():
    return planted_batch(garden().hooked())


def test_a_head_made_of_bias_diverges_from_content_alone_and_one_made_of_content_from_position_alone(planted):
    plot = garden()
    plot.bias("encoder", 1, 1)
    plot.find_tokens("encoder", 1, 2, (1,))
    arrays = observed(plot.hooked(), planted, QUICK).prompts
    position = arrays["encoder.position_divergence"].mean(0)
    content = arrays["encoder.content_divergence"].mean(0)
    share = arrays["encoder.position_share"]
    np.testing.assert_allclose(position[:, 1], 0.0, atol=1e-6)
    assert (content[:, 1] > 0.5).all()
    assert position[1, 2] > 0.5
    assert content[1, 2] == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(share[:, :, 1], 1.0)
    np.testing.assert_allclose(share[:, 1, 2], 0.0)
    assert np.isnan(share[:, 0, 0]).all()


def test_layers_measured_together_have_the_numbers_of_each_by_itself(tiny_model, monkeypatch):
    from tests.support.models import random_batch

    batch = random_batch(tiny_model)
    with torch.no_grad():
        logits, cache = tiny_model.run_with_cache(batch, names_filter=list(ANALYSIS.hooks_on(tiny_model.cfg)))
        run = Pass(tiny_model, batch, logits, cache, HeadSettings())
        together = observe(run)
        monkeypatch.setattr(observing, "_WEIGHTS", 1)
        assert observing._layers_together(run, "encoder") == 1
        alone = observe(run)
    assert sorted(together) == sorted(alone)
    for name, values in together.items():
        np.testing.assert_allclose(values, alone[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_position_and_content_of_a_row_by_hand(tiny_model, tiny_batch):
    from tests.support.models import random_batch

    batch = random_batch(tiny_model)
    with torch.no_grad():
        logits, cache = tiny_model.run_with_cache(batch, names_filter=list(ANALYSIS.hooks_on(tiny_model.cfg)))
        arrays = observe(Pass(tiny_model, batch, logits, cache, HeadSettings()))
    layer = tiny_model.cfg.n_decoder_layers - 1
    name = "decoder.position_bias" if "decoder.position_bias" in cache else f"decoder.{layer}.position_bias"
    prompt, head, total = 2, 3, []
    for row in range(1, len(batch.target_texts[prompt].ids)):
        bias = cache[name][0, head, row, : row + 1]
        scores = cache[f"decoder.{layer}.attn.hook_attn_scores"][prompt, head, row, : row + 1]
        full, position = scores.softmax(-1), bias.softmax(-1)
        middle = (full + position) / 2
        parts = [(p * (p / middle).log()).sum() / 2 for p in (full, position)]
        total.append(float(sum(parts)))
    assert arrays["decoder.position_divergence"][prompt, layer, head] == pytest.approx(np.mean(total), rel=1e-3)


def test_bias_tables_hold_the_weights_at_their_buckets():
    plot = garden()
    plot.bias("encoder", 2, 17)
    plot.bias("decoder", 1, 3)
    tables = bias_tables(plot.hooked())
    encoder, decoder = tables["bias.encoder"], tables["bias.decoder"]
    assert encoder.shape == (1, 4, len(distances("encoder")))
    assert [int(distances("encoder")[place]) for place in np.flatnonzero(encoder[0, 2])] == [1]
    assert [int(distances("decoder")[place]) for place in np.flatnonzero(decoder[0, 1])] == [-3]
    assert np.count_nonzero(encoder) == np.count_nonzero(decoder) == 1


def test_value_norms_are_those_of_the_written_vectors():
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(2, 5, 3, 4, generator=generator)
    W_O = torch.randn(3, 4, 7, generator=generator)
    expected = torch.einsum("bphk,hkd->bhpd", v, W_O).norm(dim=-1)
    torch.testing.assert_close(value_norms(v, W_O), expected)
    keys = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]).bool()
    members = torch.tensor([[1, 0, 0, 0, 1], [0, 0, 0, 0, 0]]).bool()
    found = relative_norm(expected, members, keys)
    torch.testing.assert_close(found[0], expected[0, :, 0] / expected[0, :, :4].mean(-1))
    assert found[1].isnan().all()


def test_the_rarest_tokens_are_those_with_the_lowest_probability(bundled):
    batch = bundled.batch(
        [
            "translate English to German: The old man sits on a wooden chair.",
            "translate English to French: It is a car.",
        ],
        ["Der alte Mann.", "Une voiture."],
    )
    categories = batch.source_categories
    ordinary = batch.source_mask & (categories != EOS) & (categories != PREFIX)
    first, both = rarest_keys(rarity_ranks(bundled, batch, ordinary))
    known = ranks(bundled.tokenizer)
    for prompt in range(2):
        ids = [
            (int(known[token]), place)
            for place, token in enumerate(batch.source_texts[prompt].ids)
            if bool(ordinary[prompt, place])
        ]
        expected = sorted(ids, reverse=True)[:2] if max(ids)[0] >= COMMON else []
        assert sorted(place for _, place in expected) == both[prompt].nonzero()[:, 0].tolist()
        assert [place for _, place in expected[:1]] == first[prompt].nonzero()[:, 0].tolist()


def test_a_tokenizer_without_probabilities_has_no_ranks(tiny_byt5, tiny_t5, tiny_batch):
    assert ranks(tiny_byt5.tokenizer) is None
    assert rarity_ranks(tiny_t5, tiny_batch, tiny_batch.source_mask) is None


def test_uniform_attention_has_entropy_one_and_its_base_rates(planted):
    arrays = observed(garden().hooked(), planted, QUICK).prompts
    for kind in ("encoder", "decoder", "cross"):
        np.testing.assert_allclose(arrays[f"{kind}.entropy"], 1.0, rtol=1e-6)
        base = arrays[f"{kind}.first_base"][:, None, None]
        np.testing.assert_allclose(arrays[f"{kind}.first_mass"] - base, 0.0, atol=1e-6)
    lengths = planted.source_mask.sum(-1).numpy()
    np.testing.assert_allclose(arrays["encoder.eos_base"], 1 / lengths, rtol=1e-6)
    even = [(n * n - 1) / 3 / n for n in lengths]
    np.testing.assert_allclose(arrays["encoder.distance_base"], even, rtol=1e-5)
    assert math.isclose(float(arrays["encoder.distance"][0, 0, 0]), even[0], rel_tol=1e-5)
