"""What is observed: exact norms, masses that are a partition, shape statistics against plain loops and scipy."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats
import torch

from analyses.cross_attention_focus.measure.observe import READINGS, illustrate, observe
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights
from interp.monotonicity import coverage, diagonality, monotonicity
from interp.sources.term_norms import head_norms, layer_norms, shares, source_vectors
from interp.text.words import CATEGORIES, EOS, PAD, PREFIX, PUNCTUATION
from tests.support.cross_focus import run_pass
from tests.support.models import random_batch, tiny, tiny_hf

pytestmark = pytest.mark.slow


def test_terms_of_source_tokens_sum_to_the_head_output_and_norms_are_their_lengths(
    tiny_model: HookedEncoderDecoder,
) -> None:
    batch = random_batch(tiny_model)
    _, cache = tiny_model.run_with_cache(batch)
    for layer in range(tiny_model.cfg.n_decoder_layers):
        pattern, values = cache["pattern", layer, "cross_attn"], cache["v", layer, "cross_attn"]
        vectors = source_vectors(values, attention_weights(tiny_model, "cross", layer).W_O)
        terms = torch.einsum("bhts,bshd->bhtsd", pattern, vectors)
        result = cache["result", layer, "cross_attn"]
        torch.testing.assert_close(terms.sum(3).transpose(1, 2), result, rtol=1e-5, atol=1e-5 * result.abs().max())
        torch.testing.assert_close(head_norms(pattern, vectors), terms.norm(dim=-1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(layer_norms(pattern, vectors), terms.sum(1).norm(dim=-1), rtol=1e-4, atol=1e-5)


def test_the_norm_of_the_sum_sees_heads_cancel() -> None:
    pattern = torch.ones(1, 2, 1, 1)
    vectors = torch.tensor([[[[3.0, 4.0], [-3.0, -4.0]]]])
    assert head_norms(pattern, vectors).flatten().tolist() == [5.0, 5.0]
    assert layer_norms(pattern, vectors).item() == pytest.approx(0.0, abs=1e-3)


def test_shares_of_a_row_of_zeros_are_undefined() -> None:
    assert shares(torch.tensor([[1.0, 3.0], [0.0, 0.0]])).tolist()[0] == [0.25, 0.75]
    assert shares(torch.zeros(1, 2)).isnan().all()


def test_masses_are_a_partition_and_padding_gets_exactly_nothing(tiny_model: HookedEncoderDecoder) -> None:
    arrays = observe(run_pass(tiny_model, random_batch(tiny_model)))
    for reading in READINGS:
        masses = arrays[f"{reading}.mass"]
        np.testing.assert_allclose(masses.sum(-1), 1.0, rtol=1e-5)
        assert (masses[..., PAD] == 0.0).all()
        within = arrays[f"{reading}.span_mass"]
        np.testing.assert_allclose(within.sum(-1), 1.0, rtol=1e-5)
        assert (within[..., [PREFIX, EOS, PAD]] == 0.0).all()
    np.testing.assert_allclose(arrays["base_rate"].sum(-1), 1.0, rtol=1e-6)


def test_every_statistic_agrees_with_plain_loops(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    run = run_pass(tiny_t5, batch)
    arrays = observe(run)
    pattern = run.cache["pattern", 1, "cross_attn"].numpy().astype(np.float64)
    for prompt, head in ((0, 0), (1, 3), (2, 4)):
        n_target, n_source = int(batch.target_mask[prompt].sum()), int(batch.source_mask[prompt].sum())
        categories = batch.source_categories[prompt, :n_source].tolist()
        expected = _by_hand(pattern[prompt, head, :n_target, :n_source], categories)
        for name, value in expected.items():
            got = arrays[f"raw.head.{name}"][prompt, 1, head]
            np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5, err_msg=f"{name} of prompt {prompt}")


def _by_hand(weights: np.ndarray, categories: list[int]) -> dict[str, object]:
    """The definitions of `observe`, row by row."""
    span = [s for s, category in enumerate(categories) if category not in (PREFIX, EOS)]
    rows = {name: [] for name in ("entropy", "retained", "span_entropy", "center", "spread")}
    masses, inner = [], []
    for row in weights:
        masses.append([sum(w for w, c in zip(row, categories, strict=True) if c == k) for k in range(len(CATEGORIES))])
        rows["entropy"].append(-sum(w * math.log(w) for w in row) / math.log(len(row)))
        rho = sum(row[s] for s in span)
        rows["retained"].append(rho)
        new = [row[s] / rho for s in span]
        inner.append([
            sum(w for w, s in zip(new, span, strict=True) if categories[s] == k) for k in range(len(CATEGORIES))
        ])
        rows["span_entropy"].append(-sum(w * math.log(w) for w in new) / math.log(len(new)))
        places = [index / (len(span) - 1) for index in range(len(span))]
        center = sum(w * p for w, p in zip(new, places, strict=True))
        rows["center"].append(center)
        rows["spread"].append(math.sqrt(sum(w * (p - center) ** 2 for w, p in zip(new, places, strict=True))))
    covered = [sum(row[s] for row in weights) for s in span]
    even = [c / sum(covered) for c in covered]
    steps = range(len(weights))
    return {name: np.mean(values) for name, values in rows.items()} | {
        "mass": np.mean(masses, axis=0),
        "span_mass": np.mean(inner, axis=0),
        "usable": 1.0,
        "monotonicity": scipy.stats.kendalltau(rows["center"], steps).statistic,
        "diagonality": scipy.stats.pearsonr(rows["center"], steps).statistic,
        "evenness": -sum(c * math.log(c) for c in even) / math.log(len(even)),
    }


def test_padding_and_company_change_nothing(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    together = observe(run_pass(tiny_t5, batch))
    for prompt in range(len(batch)):
        alone = observe(run_pass(tiny_t5, batch.select(prompt)))
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][prompt], rtol=2e-3, atol=2e-4, err_msg=name)


def test_rows_that_hardly_read_the_span_are_left_out_of_it_and_counted(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    run = run_pass(tiny_t5, batch)
    name = "decoder.0.cross_attn.hook_pattern"
    on_prefix = torch.zeros_like(run.cache[name])
    on_prefix[..., 0] = 0.96
    on_prefix[..., 5] = 0.04
    on_prefix[:, :, 0, 0] = 0.5
    on_prefix[:, :, 0, 5] = 0.5
    arrays = observe(_with(run, name, on_prefix))
    rows = batch.target_mask.sum(1).numpy()
    np.testing.assert_allclose(arrays["raw.head.usable"][:, 0, 0], 1 / rows, rtol=1e-6)
    np.testing.assert_allclose(arrays["raw.head.retained"][:, 0, 0], (0.04 * (rows - 1) + 0.5) / rows, rtol=1e-5)
    np.testing.assert_allclose(arrays["raw.head.span_mass"][:, 0, :, PUNCTUATION], 1.0, rtol=1e-6)
    assert np.isnan(arrays["raw.head.monotonicity"][:, 0]).all()


def test_weight_on_padding_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    run = run_pass(tiny_t5, random_batch(tiny_t5))
    name = "decoder.2.cross_attn.hook_pattern"
    broken = run.cache[name].clone()
    broken[1, 0, 0, -1] = 1e-9
    with pytest.raises(ValueError, match=r"layer 2 puts weight 1e-09 on padding, where it must be exactly 0"):
        observe(_with(run, name, broken))


def _with(run, name, tensor):  # type: ignore[no-untyped-def]
    """The same pass with one activation replaced."""
    kept = {**run.cache, name: tensor}
    return dataclasses.replace(run, cache=ActivationCache(kept, run.batch, run.model.compute_result))


def test_order_statistics_agree_with_scipy_where_rows_are_missing_or_tied() -> None:
    centers = torch.tensor([
        [0.1, 0.3, float("nan"), 0.2, 0.9, 0.9],
        [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    ])
    mask = torch.tensor([[True] * 6, [True] * 5 + [False], [True] * 6])
    for row in range(2):
        keep = (mask[row] & ~centers[row].isnan()).numpy()
        steps, values = np.arange(6)[keep], centers[row].numpy()[keep]
        tau, r = scipy.stats.kendalltau(values, steps).statistic, scipy.stats.pearsonr(values, steps).statistic
        assert monotonicity(centers, mask)[row].item() == pytest.approx(tau, abs=1e-6)
        assert diagonality(centers, mask)[row].item() == pytest.approx(r, abs=1e-6)
    assert monotonicity(centers, mask)[2].isnan()
    assert diagonality(centers, mask)[2].isnan()
    two = torch.tensor([True, True, False, False, False, False])
    assert monotonicity(centers[1], two).isnan()
    assert diagonality(centers[1], two).isnan()


def test_coverage_counts_real_rows_only() -> None:
    pattern = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    assert coverage(pattern, torch.tensor([True, True, False])).tolist() == [1.5, 0.5]


def test_the_example_is_the_first_prompt_without_padding(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    run = run_pass(tiny_t5, batch)
    arrays = illustrate(run)
    assert arrays["raw.head"].shape == (3, 5, 13, 15)
    assert arrays["norm.layer"].shape == (3, 13, 15)
    assert arrays["categories"].tolist() == batch.source_categories[0, :15].tolist()
    expected = run.cache["pattern", 2, "cross_attn"][0, :, :13, :15].mean(0)
    np.testing.assert_allclose(arrays["raw.layer"][2], expected, rtol=1e-6)


def test_half_precision_is_observed_in_single_precision(tiny_t5: HookedEncoderDecoder) -> None:
    half = HookedEncoderDecoder(tiny_hf("t5").to(torch.bfloat16))
    batch = random_batch(half)
    arrays, full = observe(run_pass(half, batch)), observe(run_pass(tiny_t5, batch))
    np.testing.assert_allclose(arrays["norm.layer.mass"].sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(arrays["raw.layer.mass"], full["raw.layer.mass"], atol=0.03)


def test_a_single_decoder_layer_is_observed_too() -> None:
    model = tiny("t5-deep-encoder")
    assert observe(run_pass(model, random_batch(model)))["raw.head.mass"].shape == (3, 1, 5, len(CATEGORIES))
