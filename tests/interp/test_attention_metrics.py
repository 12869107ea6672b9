"""Measures give the values computed by hand, obey their identities and do not see padding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from interp import attention_metrics as measures

NAN = math.nan
LN2 = math.log(2.0)


def equal(actual, expected, **tolerance):
    assert_close(actual, torch.as_tensor(expected, dtype=actual.dtype), equal_nan=True, **tolerance)


def everything(n_queries, n_keys):
    return torch.ones(n_queries, n_keys, dtype=torch.bool)


def shifted(n, offset, size=None):
    """Every query puts all weight on the key `offset` away; rows that would leave the text attend to themselves."""
    pattern = torch.zeros(n, n)
    for query in range(n):
        key = query + offset
        pattern[query, key if 0 <= key < n else query] = 1.0
    return pattern


@st.composite
def patterns(draw, minimum_keys=1):
    """A random pattern [head query key] whose rows sum to 1 over the legal keys of a random mask [query key]."""
    n_queries = draw(st.integers(1, 6))
    n_keys = draw(st.integers(minimum_keys, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    mask = torch.rand(n_queries, n_keys, generator=generator) < draw(st.sampled_from([0.5, 0.9, 1.1]))
    sharpness = draw(st.sampled_from([0.0, 1.0, 50.0]))
    scores = torch.randn(3, n_queries, n_keys, generator=generator) * sharpness
    pattern = scores.masked_fill(~mask, -1e30).softmax(-1)
    return torch.where(mask, pattern, 0.0), mask


def one_row(weights, **keywords):
    pattern = torch.tensor([weights])
    mask = keywords.get("mask", [True] * len(weights))
    return pattern, torch.tensor([mask])


# Entropy


def test_entropy_of_even_spread_is_one_and_of_one_key_is_zero():
    pattern = torch.stack([torch.full((4,), 0.25), torch.eye(4)[2]])
    equal(measures.entropy(pattern, everything(2, 4)), [1.0, 0.0])
    equal(measures.entropy(pattern, everything(2, 4), normalized=False), [math.log(4), 0.0])


def test_entropy_by_hand():
    pattern, mask = one_row([0.5, 0.25, 0.25, 0.0])
    equal(measures.entropy(pattern, mask, normalized=False), [1.5 * LN2])
    equal(measures.entropy(pattern, mask), [0.75])


def test_entropy_counts_legal_keys_of_each_row():
    causal = measures.legal_keys(torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.bool), causal=True)
    pattern = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    equal(measures.entropy(pattern, causal), [NAN, 1.0, 1.0])
    equal(measures.entropy(pattern, causal, normalized=False), [0.0, LN2, math.log(3)])


def test_rows_without_legal_keys_are_nan_everywhere():
    pattern, mask = torch.full((1, 3), 1 / 3), torch.zeros(1, 3, dtype=torch.bool)
    rows = [
        measures.entropy(pattern, mask),
        measures.entropy(pattern, mask, normalized=False),
        measures.jensen_shannon(pattern, pattern, mask),
        *measures.attention_distance(pattern, mask),
        measures.offset_mass(pattern, 0, mask),
        measures.center_of_mass(pattern, mask),
        measures.spread(pattern, mask),
        measures.restrict(pattern, mask).retained,
        measures.restrict(pattern, mask).pattern[:, 0],
        measures.strongest_key(pattern, mask).weight,
    ]
    for row in rows:
        equal(row, [NAN])
    assert measures.strongest_key(pattern, mask).key.tolist() == [-1]
    assert measures.strongest_key(pattern, mask).tied.tolist() == [False]


@given(patterns())
def test_normalized_entropy_lies_between_zero_and_one(drawn):
    pattern, mask = drawn
    entropy = measures.entropy(pattern, mask)
    defined = ~entropy.isnan()
    assert entropy.shape == pattern.shape[:-1]
    assert torch.equal(defined, (mask.sum(-1) >= 2).expand_as(defined))
    assert ((entropy[defined] >= 0) & (entropy[defined] <= 1 + 1e-6)).all()


# Jensen-Shannon divergence


def test_jensen_shannon_by_hand():
    p, mask = one_row([1.0, 0.0])
    q, _ = one_row([0.5, 0.5])
    expected = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
    equal(measures.jensen_shannon(p, q, mask), [expected])


@given(patterns(), st.randoms(use_true_random=False))
def test_jensen_shannon_is_symmetric_bounded_and_zero_on_equals(drawn, random):
    pattern, mask = drawn
    other = pattern[torch.tensor(random.sample(range(3), 3))]
    divergence = measures.jensen_shannon(pattern, other, mask)
    equal(divergence, measures.jensen_shannon(other, pattern, mask), rtol=0, atol=0)
    defined = divergence[~divergence.isnan()]
    assert ((defined >= 0) & (defined <= LN2)).all()
    itself = measures.jensen_shannon(pattern, pattern, mask)
    assert (itself[~itself.isnan()] == 0).all()
    nats = [measures.entropy(x, mask, normalized=False) for x in ((pattern + other) / 2, pattern, other)]
    equal(divergence, nats[0] - (nats[1] + nats[2]) / 2, rtol=0, atol=2e-6)


def test_jensen_shannon_of_disjoint_rows_is_ln_two_and_survives_denormal_weights():
    p, mask = one_row([1.0, 0.0, 1e-45])
    q, _ = one_row([0.0, 1.0, 0.0])
    equal(measures.jensen_shannon(p, q, mask), [LN2])


# Distance


def test_distance_by_hand():
    pattern = torch.tensor([[0.5, 0.0, 0.5], [0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    absolute, signed, uniform = measures.attention_distance(pattern, everything(3, 3))
    equal(absolute, [1.0, 0.5, 1.0])
    equal(signed, [1.0, 0.0, -1.0])
    equal(uniform, [1.0, 2 / 3, 1.0])


def test_distance_under_causal_mask_counts_only_the_past():
    real = torch.ones(4, dtype=torch.bool)
    causal = measures.legal_keys(real, real, causal=True)
    even = causal / causal.sum(-1, keepdim=True)
    absolute, signed, uniform = measures.attention_distance(even, causal)
    equal(uniform, [0.0, 0.5, 1.0, 1.5])
    equal(absolute, uniform)
    equal(signed, -uniform)


@given(patterns())
def test_distance_of_even_spread_is_its_own_baseline(drawn):
    _, mask = drawn
    even = (mask / mask.sum(-1, keepdim=True)).nan_to_num()
    absolute, signed, uniform = measures.attention_distance(even, mask)
    equal(absolute, uniform)
    defined = ~signed.isnan()
    assert (signed[defined].abs() <= absolute[defined] + 1e-6).all()


# Offsets


@pytest.mark.parametrize("offset", [-3, -1, 0, 1, 2])
def test_shift_matrices_are_found_at_their_own_offset_only(offset):
    n = 6
    pattern = shifted(n, offset)
    mask = everything(n, n)
    inside = torch.tensor([0 <= query + offset < n for query in range(n)])
    expected = torch.where(inside, 1.0, NAN)
    equal(measures.offset_mass(pattern, offset, mask), expected)
    for other in {-3, -1, 1, 2} - {offset}:
        assert measures.offset_mass(pattern, other, mask).nanmean() <= 0.5


def test_offset_beyond_the_text_is_undefined_in_every_row():
    pattern = shifted(3, 0)
    equal(measures.offset_mass(pattern, 3, everything(3, 3)), [NAN] * 3)
    equal(measures.offset_mass(pattern, -7, everything(3, 3)), [NAN] * 3)


def test_offset_into_padding_or_future_is_undefined():
    query = torch.tensor([True, True, True, False])
    mask = measures.legal_keys(query, query)
    pattern = torch.full((4, 4), 0.25)
    equal(measures.offset_mass(pattern, 1, mask), [0.25, 0.25, NAN, NAN])
    causal = measures.legal_keys(query, query, causal=True)
    equal(measures.offset_mass(pattern, 1, causal), [NAN] * 4)
    equal(measures.offset_mass(pattern, -1, causal), [NAN, 0.25, 0.25, NAN])


def test_offset_works_between_texts_of_unequal_length():
    pattern = torch.arange(8.0).reshape(2, 4)
    equal(measures.offset_mass(pattern, 2, everything(2, 4)), [2.0, 7.0])
    equal(measures.offset_mass(pattern.mT, -2, everything(4, 2)), [NAN, NAN, 2.0, 7.0])


def test_strongest_key_takes_the_lowest_of_ties_and_no_illegal_key():
    pattern = torch.tensor([[0.4, 0.4, 0.2], [0.1, 0.1, 0.8], [0.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, True, False], [False, True, True]])
    strongest = measures.strongest_key(pattern, mask)
    assert strongest.key.tolist() == [0, 0, 1]
    assert strongest.tied.tolist() == [True, True, True]
    equal(strongest.weight, [0.4, 0.1, 0.0])


@given(patterns())
def test_strongest_key_agrees_with_argmax(drawn):
    pattern, mask = drawn
    strongest = measures.strongest_key(pattern, mask)
    some = mask.any(-1).expand(pattern.shape[:-1])
    expected = torch.where(mask, pattern, -1.0).argmax(-1)
    untied = some & ~strongest.tied
    assert torch.equal(strongest.key[untied], expected[untied])
    assert (strongest.key[~some] == -1).all()


@given(patterns())
def test_offset_masses_sum_to_the_row(drawn):
    pattern, mask = drawn
    n_queries, n_keys = mask.shape
    masses = [measures.offset_mass(pattern, offset, mask) for offset in range(-n_queries, n_keys + 1)]
    equal(torch.stack(masses).nansum(0), pattern.sum(-1))


# Categories


def test_category_mass_by_hand_and_base_rate():
    pattern = torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])
    category = torch.tensor([2, 0, 0, 1])
    equal(measures.category_mass(pattern, category, 4), [[0.5, 0.4, 0.1, 0.0], [0.0, 0.0, 1.0, 0.0]])
    real = torch.tensor([True, True, False, True])
    equal(measures.category_share(category, real, 4), [1 / 3, 1 / 3, 1 / 3, 0.0])


@given(patterns(), st.integers(1, 5), st.randoms(use_true_random=False))
def test_categories_partition_each_row(drawn, n_categories, random):
    pattern, mask = drawn
    n_keys = mask.shape[-1]
    category = torch.tensor([random.randrange(n_categories) for _ in range(n_keys)])
    mass = measures.category_mass(pattern, category, n_categories)
    equal(mass.sum(-1), pattern.sum(-1))
    share = measures.category_share(category, torch.ones(n_keys, dtype=torch.bool), n_categories)
    equal(share.sum(-1), 1.0)
    even = torch.full((1, n_keys), 1 / n_keys)
    equal(measures.category_mass(even, category, n_categories)[0], share)


def test_categories_may_differ_by_prompt_and_are_shared_by_heads():
    pattern = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    category = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]])
    mass = measures.category_mass(pattern, category[:, None], 2)
    equal(mass[0, ..., 0], pattern[0, ..., :2].sum(-1))
    equal(mass[1, ..., 0], pattern[1, ..., 4])


@pytest.mark.parametrize("category", [[0, 1, 3], [0, -1, 2]])
def test_unknown_category_is_refused(category):
    with pytest.raises(ValueError, match="must lie between 0 and 2 for n_categories=3"):
        measures.category_mass(torch.rand(2, 3), torch.tensor(category), 3)


# Center, spread, restriction


def test_center_and_spread_by_hand():
    pattern = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    equal(measures.center_of_mass(pattern, everything(3, 3)), [0.0, 0.5, 0.75])
    equal(measures.spread(pattern, everything(3, 3)), [0.0, 0.5, 0.25])


def test_center_is_taken_within_the_span():
    pattern, mask = one_row([0.7, 0.1, 0.1, 0.1, 0.0], mask=[False, True, True, True, False])
    equal(measures.center_of_mass(pattern, mask), [0.5])
    equal(measures.spread(pattern, mask), [math.sqrt(1 / 6)])


def test_center_needs_two_keys_and_some_weight():
    pattern, mask = one_row([0.5, 0.5, 0.0, 0.0], mask=[True, False, False, False])
    equal(measures.center_of_mass(pattern, mask), [NAN])
    equal(measures.spread(pattern, mask), [NAN])
    pattern, mask = one_row([0.5, 0.5, 0.0, 0.0], mask=[False, False, True, True])
    equal(measures.center_of_mass(pattern, mask), [NAN])


@given(patterns(minimum_keys=2))
def test_center_and_spread_are_bounded_and_mirror(drawn):
    pattern, mask = drawn
    center, spread = measures.center_of_mass(pattern, mask), measures.spread(pattern, mask)
    defined = ~center.isnan()
    assert ((center[defined] >= 0) & (center[defined] <= 1 + 1e-6)).all()
    assert ((spread[defined] >= 0) & (spread[defined] <= 0.5 + 1e-6)).all()
    equal(measures.center_of_mass(pattern.flip(-1), mask.flip(-1)), 1 - center, rtol=0, atol=1e-5)
    equal(measures.spread(pattern.flip(-1), mask.flip(-1)), spread, rtol=0, atol=1e-5)


def test_restriction_renormalizes_and_drops_rows_with_too_little_mass():
    pattern = torch.tensor([[0.6, 0.1, 0.3], [0.98, 0.01, 0.01]])
    mask = torch.tensor([[False, True, True], [False, True, True]])
    restricted, retained = measures.restrict(pattern, mask)
    equal(retained, [0.4, 0.02])
    equal(restricted, [[0.0, 0.25, 0.75], [NAN, NAN, NAN]])
    equal(measures.restrict(pattern, mask, minimum=0.0).pattern[1], [0.0, 0.5, 0.5])
    empty = measures.restrict(torch.tensor([[1.0, 0.0, 0.0]]), mask[:1], minimum=0.0)
    equal(empty.retained, [0.0])
    equal(empty.pattern, [[NAN, NAN, NAN]])


# Everything together


def shape_statistics(pattern, mask):
    return {
        "entropy": measures.entropy(pattern, mask),
        "nats": measures.entropy(pattern, mask, normalized=False),
        "absolute": measures.attention_distance(pattern, mask).absolute,
        "signed": measures.attention_distance(pattern, mask).signed,
        "uniform": measures.attention_distance(pattern, mask).uniform,
        "previous": measures.offset_mass(pattern, -1, mask),
        "next": measures.offset_mass(pattern, 1, mask),
        "center": measures.center_of_mass(pattern, mask),
        "spread": measures.spread(pattern, mask),
        "divergence": measures.jensen_shannon(pattern, pattern.flip(0), mask),
        "weight": measures.strongest_key(pattern, mask).weight,
    }


@pytest.mark.parametrize("garbage", [0.0, 0.3, NAN])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing_whatever_it_holds(side, garbage):
    n, padding = 9, 4
    generator = torch.Generator().manual_seed(1)
    real = torch.ones(n, dtype=torch.bool)
    causal = measures.legal_keys(real, real, causal=True)
    pattern = torch.randn(5, n, n, generator=generator).masked_fill(~causal, -torch.inf).softmax(-1)
    padded = torch.full((5, n + padding, n + padding), garbage)
    place = slice(padding, None) if side == "left" else slice(n)
    padded[:, place, place] = pattern
    kept = torch.zeros(n + padding, dtype=torch.bool)
    kept[place] = True
    mask = measures.legal_keys(kept, kept, causal=True)
    expected = shape_statistics(pattern, causal)
    for name, values in shape_statistics(padded, mask).items():
        equal(values[:, place], expected[name], rtol=1e-6, atol=1e-6)
        assert values[:, ~kept].isnan().all(), name


@settings(max_examples=50)
@given(patterns(), st.randoms(use_true_random=False))
def test_order_of_queries_and_heads_is_carried_through(drawn, random):
    pattern, mask = drawn
    order = torch.tensor(random.sample(range(mask.shape[0]), mask.shape[0]))
    heads = torch.tensor(random.sample(range(3), 3))
    for measure in (measures.entropy, measures.center_of_mass, measures.spread):
        equal(measure(pattern[heads][:, order], mask[order]), measure(pattern, mask)[heads][:, order], rtol=0, atol=0)
    keys = torch.tensor(random.sample(range(mask.shape[1]), mask.shape[1]))
    permuted = measures.entropy(pattern[..., keys], mask[:, keys])
    equal(permuted, measures.entropy(pattern, mask), rtol=1e-5, atol=1e-6)


def test_mask_broadcasts_over_heads_and_axes_may_be_absent():
    generator = torch.Generator().manual_seed(2)
    pattern = torch.rand(2, 3, 4, 5, generator=generator).softmax(-1)
    mask = torch.rand(2, 1, 4, 5, generator=generator) < 0.7
    for name, values in shape_statistics(pattern, mask).items():
        assert values.shape == (2, 3, 4), name
        assert values.dtype == torch.float32, name
    equal(measures.entropy(pattern, mask)[1, 2], measures.entropy(pattern[1, 2], mask[1, 0]))
    assert measures.masked_mean(measures.offset_mass(pattern, 0, mask), mask.any(-1)).shape == (2, 3)


# Means and vectors


def test_masked_mean_skips_masked_and_undefined_values_only():
    values = torch.tensor([[1.0, NAN, 3.0, 100.0], [NAN, NAN, NAN, 1.0], [torch.inf, 1.0, 1.0, NAN]])
    mask = torch.tensor([True, True, True, False])
    equal(measures.masked_mean(values, mask), [2.0, NAN, torch.inf])
