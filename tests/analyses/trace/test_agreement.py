"""Heads of two runs are matched by what they look at: permutations come back, unrelated heads are no nearer than chance."""

import math

import numpy as np
import pytest
import torch

from analyses.trace.agreement import agreement, head_divergences, same_roles
from interp.attention_metrics import jensen_shannon
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId

PROMPTS, LAYERS, HEADS, ROWS, KEYS = 12, 2, 4, 6, 7
ORDER = (2, 0, 3, 1)


def patterns(seed):
    drawn = np.random.default_rng(seed).dirichlet(np.full(KEYS, 0.3), (PROMPTS, LAYERS, HEADS, ROWS))
    return dict.fromkeys(ATTENTION_KINDS, drawn)


ALL_ROWS = dict.fromkeys(ATTENTION_KINDS, np.ones((PROMPTS, ROWS), dtype=bool))


def test_a_permutation_of_heads_is_found_again():
    first = patterns(0)
    other = {kind: values[:, :, list(ORDER)] for kind, values in first.items()}
    found = agreement(first, other, ALL_ROWS)
    assert found.matched == pytest.approx(dict.fromkeys(ATTENTION_KINDS, 0.0), abs=1e-12)
    assert all(found.unmatched[kind] > 0.3 for kind in ATTENTION_KINDS)
    for one, two in found.pairs:
        assert ORDER[two.head] == one.head
        assert (one.kind, one.layer) == (two.kind, two.layer)


def test_cross_layers_are_permuted_apart_and_a_self_attention_stack_as_one():
    first = patterns(1)
    moved = {kind: values.copy() for kind, values in first.items()}
    for kind in moved:
        moved[kind][:, 1] = moved[kind][:, 1][:, list(ORDER)]
    found = agreement(first, moved, ALL_ROWS)
    assert found.matched["cross"] == pytest.approx(0.0, abs=1e-12)
    assert found.matched["encoder"] > 0.1


def test_unrelated_heads_gain_nothing_on_texts_that_did_not_match_them():
    gains = []
    for seed in range(10):
        found = agreement(patterns(seed), patterns(100 + seed), ALL_ROWS)
        gains += [found.unmatched[kind] - found.matched[kind] for kind in ATTENTION_KINDS]
    assert abs(np.mean(gains)) < 0.01


def test_divergence_is_that_of_the_package_in_bits_and_rows_that_do_not_count_are_left_out():
    one, two = patterns(2)["cross"], patterns(3)["cross"]
    rows = np.ones((PROMPTS, ROWS), dtype=bool)
    rows[:, 0] = False
    found = head_divergences(one, two, rows)
    left, right = (torch.tensor(values[:, :, head]) for values, head in ((one, 1), (two, 3)))
    known = jensen_shannon(left, right, torch.ones_like(left, dtype=torch.bool)) / math.log(2)
    np.testing.assert_allclose(found[:, :, 1, 3], known[..., 1:].mean(-1).numpy(), atol=1e-12)
    assert head_divergences(one, one, rows).min() == 0.0 <= found.max() <= 1.0


def test_roles_of_matched_heads_are_compared_with_random_pairings():
    heads = [HeadId("cross", layer, head) for layer in range(3) for head in range(6)]
    roles = {head: f"role {head.head}" for head in heads}
    kept = same_roles([(head, head) for head in heads], roles, roles, 0)
    assert (kept.same, kept.counted) == (18, 18)
    assert kept.by_chance == pytest.approx(3.0, abs=0.3)
    assert kept.p_value == pytest.approx(0.001)
    turned = [(head, HeadId("cross", head.layer, (head.head + 1) % 6)) for head in heads]
    assert same_roles(turned, roles, roles, 0).same == 0
