"""Heads that were planted are found, and no others; numbers equal those of a plain loop; padding changes nothing."""

import math

import numpy as np
import pytest
import torch

from analyses.core.contract import Pass
from analyses.head_specialization import ANALYSIS, HeadSettings
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.measure.observe import frame_of, observe
from analyses.head_specialization.present.section import present
from analyses.head_specialization.present.tables import candidates_frame, heads_frame, labels_frame
from analyses.head_specialization.roles.comparison import judge_all
from analyses.head_specialization.roles.significance import existence_p_value
from interp.model.untrained_twins import untrained_twin
from interp.report import Figure, Report, Table, View, render
from tests.support.models import random_batch
from tests.support.planted_heads import (
    FIRST,
    PREFIX_IDS,
    PUNCTUATION_ID,
    QUICK,
    atlas,
    garden,
    observed,
    planted_batch,
    planted_roles,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def planted():
    return planted_batch(garden().hooked())


def run(model, batch, settings=None):
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, names_filter=list(ANALYSIS.hooks_on(model.cfg)))
        return Pass(model, batch, logits, cache, settings or HeadSettings())


def test_no_head_has_a_role_where_nothing_was_planted(planted):
    assert planted_roles(garden().hooked(), planted) == {}


@pytest.mark.parametrize(
    ("kind", "bucket", "role"),
    [
        ("encoder", 1, "previous token"),
        ("encoder", 17, "next token"),
        ("encoder", 0, "current token"),
        ("encoder", 3, "offset -3"),
        ("encoder", 18, "offset +2"),
        ("decoder", 1, "previous token"),
        ("decoder", 0, "current token"),
        ("decoder", 4, "offset -4"),
    ],
)
def test_a_position_bias_is_found_in_every_layer_at_its_head_index_and_nowhere_else(planted, kind, bucket, role):
    plot = garden()
    plot.bias(kind, 2, bucket)
    letter, depth = ("E", 2) if kind == "encoder" else ("D", 3)
    assert planted_roles(plot.hooked(), planted) == {f"{letter}L{layer}H2": [role] for layer in range(depth)}


@pytest.mark.parametrize(
    ("kind", "tokens", "role"),
    [
        ("encoder", (1,), "EOS sink"),
        ("cross", (1,), "EOS sink"),
        ("encoder", (FIRST,), "first-token sink"),
        ("cross", (FIRST,), "first-token sink"),
        ("decoder", (0,), "first-token sink"),
        ("encoder", PREFIX_IDS, "prefix head"),
        ("cross", PREFIX_IDS, "prefix head"),
        ("encoder", (PUNCTUATION_ID,), "punctuation sink"),
        ("cross", (PUNCTUATION_ID,), "punctuation sink"),
    ],
)
def test_a_head_that_finds_a_token_gets_that_role_alone(planted, kind, tokens, role):
    plot = garden()
    plot.find_tokens(kind, 1, 3, tokens)
    letter = {"encoder": "E", "decoder": "D", "cross": "X"}[kind]
    assert planted_roles(plot.hooked(), planted) == {f"{letter}L1H3": [role]}


@pytest.mark.parametrize(("kind", "letter"), [("encoder", "E"), ("decoder", "D")])
def test_a_head_that_finds_the_same_token_is_a_duplicate_token_head_and_no_positional_one(planted, kind, letter):
    plot = garden()
    plot.same_token(kind, 1, 0)
    assert planted_roles(plot.hooked(), planted) == {f"{letter}L1H0": ["duplicate token"]}


@pytest.mark.parametrize(
    ("kind", "letter", "depth", "halves", "role"),
    [
        ("encoder", "E", 2, (0, 1), "induction"),
        ("decoder", "D", 3, (0, 1), "induction"),
        ("encoder", "E", 2, (1, 0), "token before a copy"),
        ("decoder", "D", 3, (1, 0), "token before a copy"),
    ],
)
def test_a_head_that_composes_with_a_previous_token_head_is_told_from_it(planted, kind, letter, depth, halves, role):
    plot = garden()
    plot.remember_previous(kind, 2)
    plot.match(kind, 1, 0, *halves)
    expected = {f"{letter}L{layer}H2": ["previous token"] for layer in range(depth)}
    assert planted_roles(plot.hooked(), planted) == expected | {f"{letter}L1H0": [role]}


def test_a_cross_head_that_finds_the_input_token_in_the_source_is_a_duplicate_token_head(planted):
    plot = garden()
    plot.follow(2, 1, {token: token for token in range(FIRST, 61)})
    assert planted_roles(plot.hooked(), planted) == {"XL2H1": ["duplicate token"]}


def test_untrained_twins_of_every_family_have_no_roles(tiny_model):
    batch = random_batch(tiny_model, (15, 12, 19, 14, 23, 12), (13, 17, 12, 16, 14, 21))
    twins = [untrained_twin(tiny_model, seed) for seed in range(3)]
    assert [judge_all(observed(twin, batch, QUICK), QUICK, seed=0).labels for twin in twins] == [(), (), ()]


def by_hand(pattern, sources, categories):
    """Entropy, EOS mass and previous-token mass of one encoder head, token by token."""
    entropies, eos, previous = [], [], []
    for row in range(sources):
        weights = [float(value) for value in pattern[row, :sources]]
        entropies.append(-sum(w * math.log(w) for w in weights if w > 0) / math.log(sources))
        eos.append(sum(w for w, category in zip(weights, categories, strict=False) if category == 4))
        if row > 0:
            previous.append(weights[row - 1])
    return [sum(values) / len(values) for values in (entropies, eos, previous)]


def test_encoder_numbers_equal_a_plain_loop(tiny_t5, tiny_batch):
    result = run(tiny_t5, tiny_batch)
    arrays = observe(result)
    middle = HeadSettings().max_offset
    for prompt, source in enumerate(tiny_batch.source_texts):
        for layer, head in ((0, 1), (1, 4)):
            pattern = result.cache[f"encoder.{layer}.attn.hook_pattern"][prompt, head]
            expected = by_hand(pattern, len(source.ids), source.category_of_token)
            got = [
                arrays["encoder.entropy"][prompt, layer, head],
                arrays["encoder.eos_mass"][prompt, layer, head],
                arrays["encoder.mass"][prompt, layer, head, middle - 1],
            ]
            np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_decoder_rows_skip_the_start_row_and_count_legal_keys(tiny_t5, tiny_batch):
    result = run(tiny_t5, tiny_batch)
    arrays = observe(result)
    prompt, layer, head = 1, 2, 3
    length = len(tiny_batch.target_texts[prompt].ids)
    pattern = result.cache[f"decoder.{layer}.attn.hook_pattern"][prompt, head]
    entropies = [
        -sum(float(w) * math.log(float(w)) for w in pattern[row, : row + 1]) / math.log(row + 1)
        for row in range(1, length)
    ]
    start = [float(pattern[row, 0]) for row in range(1, length)]
    base = [1 / (row + 1) for row in range(1, length)]
    assert arrays["decoder.entropy"][prompt, layer, head] == pytest.approx(np.mean(entropies), rel=1e-5)
    assert arrays["decoder.first_mass"][prompt, layer, head] == pytest.approx(np.mean(start), rel=1e-5)
    assert arrays["decoder.first_base"][prompt] == pytest.approx(np.mean(base), rel=1e-5)


def test_observations_do_not_change_with_padding(tiny_t5, tiny_batch):
    together = observe(run(tiny_t5, tiny_batch))
    for prompt in range(len(tiny_batch)):
        alone = observe(run(tiny_t5, tiny_batch.select(prompt)))
        for name, values in together.items():
            # Two centers that nearly tie turn a rounding of 1e-6 into a hundredth of one pair's share of tau.
            exact = 1e-3 if name.endswith("monotone") else 1e-6
            np.testing.assert_allclose(alone[name][0], values[prompt], rtol=2e-4, atol=exact, err_msg=name)


def test_legal_keys_leave_out_padding_and_rows_without_choice(tiny_batch):
    for kind, lengths in (("encoder", tiny_batch.source_texts), ("cross", tiny_batch.source_texts)):
        frame = frame_of(kind, tiny_batch)
        for prompt, text in enumerate(lengths):
            assert frame.legal[prompt, 0, : len(text.ids)].all()
            assert not frame.legal[prompt, :, len(text.ids) :].any()
    decoder = frame_of("decoder", tiny_batch)
    assert not decoder.rows[:, 0].any()
    assert decoder.rows.sum(-1).tolist() == [len(text.ids) - 1 for text in tiny_batch.target_texts]


@pytest.fixture(scope="module")
def planted_atlas(planted):
    plot = garden()
    plot.bias("encoder", 1, 1)
    plot.find_tokens("cross", 2, 0, (1,))
    return atlas(plot.hooked(), planted)


def test_every_metric_has_an_interval_around_it_and_a_control(planted_atlas):
    for metrics in planted_atlas.metrics.values():
        for metric in metrics:
            defined = ~np.isnan(metric.point)
            assert (metric.low[defined] <= metric.point[defined] + 1e-9).all(), metric.name
            assert (metric.point[defined] <= metric.high[defined] + 1e-9).all(), metric.name
            assert (metric.control_low[defined] <= metric.control_high[defined]).all(), metric.name


def test_tables_hold_every_head_once_and_the_labelled_ones_first(planted_atlas):
    frame = heads_frame(planted_atlas, "encoder")
    assert sorted(frame["head"]) == sorted(f"EL{layer}H{head}" for layer in range(2) for head in range(4))
    assert set(frame["head"][:2]) == {"EL0H1", "EL1H1"}
    assert list(frame["role"][2:]) == ["none"] * 6
    labels = labels_frame(planted_atlas)
    assert set(labels["head"]) == {"EL0H1", "EL1H1", "XL2H0"}
    assert (labels["score"] > labels["twins max"]).all()
    candidates = candidates_frame(planted_atlas)
    passed = candidates.query("passes == 'yes'")
    assert passed["p above null"].isna().all(), "fewer than 20 texts are not tested"
    assert set(passed["role"]) == {"previous token", "EOS sink"}


@pytest.mark.parametrize(("texts", "planted", "tested"), [(24, 0.3, True), (24, 0.0, True), (19, 0.3, False)])
def test_a_kind_has_a_head_above_its_null_only_where_one_was_planted(texts, planted, tested):
    score = np.random.default_rng(0).exponential(0.1, size=(texts, 2, 4))
    score[:, 1, 2] += planted
    p = existence_p_value(Criterion("EOS sink", "mass", score, np.full_like(score, 0.1)), seed=0)
    assert np.isnan(p) != tested
    assert not tested or (p < 0.01 if planted else p > 0.05)


def test_the_section_says_what_was_found_and_renders(planted_atlas):
    section = present(planted_atlas)
    assert "3 of 32 heads have a role" in section.findings[0]
    assert any(
        text.startswith("XL2H0, EOS sink: it puts 1.00 of its attention there [1.00, 1.00]")
        for text in section.findings
    )
    assert sum(isinstance(block, View) for page in section.pages for block in page.blocks) == 6
    assert sum(isinstance(block, Figure) for block in section.blocks) >= 8
    assert any(isinstance(block, Table) and block.name == "head-roles" for block in section.blocks)
    files = render(Report("t", "q", ("f",), "c", (section,), (("model", "planted"),)))
    assert files["tables/heads-cross.csv"].count(b"\n") == 13


def test_a_model_without_roles_is_said_to_have_none(planted):
    section = present(atlas(garden().hooked(), planted))
    assert section.findings[0].startswith("None of 32 heads has a role")
    assert not any(isinstance(block, Table) and block.name == "head-roles" for block in section.blocks)


def test_planted_roles_are_found_among_noisy_heads_and_few_prompts():
    plot = garden()
    generator = torch.Generator().manual_seed(1)
    for kind, depth in (("encoder", 2), ("decoder", 3), ("cross", 3)):
        for layer in range(depth):
            for projection in ("q", "k"):
                weight = plot.weight(kind, layer, projection)
                weight += 0.03 * torch.randn(weight.shape, generator=generator)
    plot.bias("encoder", 0, 17)
    plot.same_token("decoder", 2, 3)
    plot.find_tokens("cross", 0, 1, PREFIX_IDS)
    model = plot.hooked()
    assert planted_roles(model, planted_batch(model, prompts=5, seed=7)) == {
        "EL0H0": ["next token"],
        "EL1H0": ["next token"],
        "DL2H3": ["duplicate token"],
        "XL0H1": ["prefix head"],
    }
