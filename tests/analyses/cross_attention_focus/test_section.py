"""What is said: planted readers must be described as they were planted, untrained ones as showing no trend."""

import dataclasses
import re

import numpy as np
import pytest
import scipy.stats

from analyses.core.contract import Evidence
from analyses.core.registry import get
from analyses.cross_attention_focus import ANALYSIS, summarize
from analyses.cross_attention_focus.arrays import ARRAYS, support_of
from analyses.cross_attention_focus.measure.best_heads import best_heads
from analyses.cross_attention_focus.measure.trend import (
    Course,
    assess,
    fitted_change,
    rank_correlations,
)
from analyses.cross_attention_focus.present.flow import flow_sentence, flow_tables
from analyses.cross_attention_focus.present.glance import highlights
from analyses.cross_attention_focus.present.hypothesis import answer, claim_sentence, norm_sentence
from analyses.cross_attention_focus.present.prompt_matrices import example_matrices
from analyses.cross_attention_focus.present.section import present
from interp.attention_metrics import lift
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.prompts import bundled as bundled_prompts
from interp.report import Figure, Report, Table, csv_bytes, render
from interp.report.numbers import with_interval
from interp.statistics import Interval
from interp.text.words import CATEGORIES
from tests.support.cross_focus import class_batch, evidence, planted
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def claimed() -> Evidence:
    """Layer 0 reads only the prefix, layer 2 only the content, as the usual claim has it."""
    model = planted(["prefix", None, "content"])
    return evidence(model, class_batch(model))


@pytest.fixture(scope="module")
def reversed_claim() -> Evidence:
    model = planted(["content", None, "prefix"])
    return evidence(model, class_batch(model))


@pytest.mark.parametrize("family", ["v1.1", "bart"])
def test_no_number_is_beyond_what_intervals_are_held_to(family: str) -> None:
    model = tiny(family)
    found = evidence(model, random_batch(model), n_twins=1).model
    for spec in ARRAYS:
        values = found.experiment.get(spec.name) if spec.stage == "experiment" else found.prompts.get(spec.name)
        if (
            values is not None
            and not np.isnan(values).all()
            and spec.axes[-1] not in ("example_token", "example_prefix")
        ):
            least, most = support_of(spec.name)
            assert least - 1e-5 <= np.nanmin(values) <= np.nanmax(values) <= most + 1e-5, spec.name


def test_the_registry_finds_it_by_name() -> None:
    assert get("cross_attention_focus") is ANALYSIS


def test_a_reader_of_the_prefix_first_and_the_content_last_confirms_the_claim(claimed: Evidence) -> None:
    focus = summarize(claimed)
    sentence = claim_sentence(focus)
    assert answer(focus, "raw") == answer(focus, "norm") == "confirmed"
    assert "raw attention" in sentence
    assert re.search(r"prefix falls from 1\.00 \[1\.00, 1\.00\].* to 0\.00 \[0\.00, 0\.00\] in layer 2", sentence)
    assert re.search(r"content \w+ rises from 0\.00 \[0\.00, 0\.00\].* to 1\.00 \[1\.00, 1\.00\] in layer 2", sentence)
    assert "−1.00 [−1.00, −1.00]" in sentence
    assert "p < 0.001" in sentence
    assert (norm_sentence(focus) or "").split(":")[0].endswith("the trend says the same")


def test_the_model_planted_the_other_way_round_gives_the_opposite(reversed_claim: Evidence) -> None:
    focus = summarize(reversed_claim)
    sentence = claim_sentence(focus)
    assert answer(focus, "raw") == answer(focus, "norm") == "opposite"
    assert "opposite" in sentence
    assert re.search(r"prefix rises from 0\.00 \[0\.00, 0\.00\].* to 1\.00 \[1\.00, 1\.00\] in layer 2", sentence)
    assert re.search(r"content \w+ falls from 1\.00 \[1\.00, 1\.00\].* to 0\.00 \[0\.00, 0\.00\] in layer 2", sentence)
    told = [finding.sentence for finding in highlights(focus) if " reads content words most" in finding.sentence]
    assert [sentence.split(": ")[1] for sentence in told] == ["1.00 [1.00, 1.00] of its attention."]


@pytest.mark.parametrize("seed", range(4))
def test_an_untrained_model_shows_no_trend(seed: int) -> None:
    model = untrained_twin(tiny("t5"), seed)
    focus = summarize(evidence(model, class_batch(model)))
    assert answer(focus, "raw") == "no trend"
    assert "no trend" in claim_sentence(focus)
    told = [finding.sentence for finding in highlights(focus) if " reads " in finding.sentence]
    assert told
    assert all(sentence.endswith(", no more than the best head of an untrained twin may.") for sentence in told)


def test_reading_that_leaves_the_prefix_without_ever_favoring_it_is_not_reading_it_early() -> None:
    model = planted([None, None, "content"])
    focus = summarize(evidence(model, class_batch(model)))
    assert answer(focus, "raw") == "confirmed in direction"
    assert "even spread" in claim_sentence(focus)


def test_half_of_the_claim_is_called_half() -> None:
    model = planted(["prefix", None, "function"])
    focus = summarize(evidence(model, class_batch(model)))
    assert answer(focus, "raw") == "half"
    assert "mass on content words shows no trend, 0.00 [0.00, 0.00] in layer 0" in claim_sentence(focus)


@pytest.mark.parametrize(
    ("reads", "prefix", "said"),
    [
        (
            ["prefix", "content"],
            3,
            ("the first gives 1.00 [1.00, 1.00] to the task prefix", "the second 0.00 [0.00, 0.00]"),
        ),
        (["prefix"], 3, ("The only decoder layer gives 1.00 [1.00, 1.00] to the task prefix",)),
        (["content", None, "content"], 0, ("No prompt starts with a task prefix",)),
    ],
)
def test_what_makes_no_trend_is_said_without_one(reads: list[str | None], prefix: int, said: tuple[str, ...]) -> None:
    model = planted(reads)
    focus = summarize(evidence(model, class_batch(model, prefix=prefix)))
    assert answer(focus, "raw") == "not testable"
    assert all(part in claim_sentence(focus) for part in said), claim_sentence(focus)
    assert "tested" not in claim_sentence(focus)
    assert norm_sentence(focus) is None
    assert present(focus).findings


def test_a_run_of_one_prompt_is_presented_without_a_verdict() -> None:
    model = planted(["prefix", None, "content"])
    focus = summarize(evidence(model, class_batch(model, n_prompts=1)))
    assert "the test needs at least 2 different sentences, and this run has 1" in claim_sentence(focus)
    assert focus.heads == ()
    assert present(focus).blocks


def test_all_versions_know_what_was_planted(claimed: Evidence) -> None:
    focus = summarize(claimed)
    raw, masked = focus.masses["raw"], focus.masses["masked"]
    assert raw.layer.point[0, raw.categories.index("prefix")] == pytest.approx(1.0, abs=1e-4)
    assert raw.layer_lift.point[2, raw.categories.index("content")] == pytest.approx(
        (1 / claimed.model.prompts["base_rate"][:, CATEGORIES.index("content")]).mean(), rel=1e-3
    )
    assert masked.categories == ("content", "function", "punctuation")
    assert np.isnan(masked.layer.point[0]).all()  # nothing of the span is read in layer 0, so nothing is said of it
    assert masked.layer.point[2, 0] == pytest.approx(1.0, abs=1e-4)
    assert masked.base_rate.sum() == pytest.approx(1.0)
    assert focus.shapes["raw.layer.retained"].point == pytest.approx([0.0, 1 - 4 / 15.5, 1.0], abs=0.08)
    assert focus.shapes["raw.layer.usable"].point.tolist() == [0.0, 1.0, 1.0]


def test_page_and_effect_sizes_agree_with_scipy() -> None:
    values = np.random.default_rng(0).random((9, 5))
    twins = tuple(np.random.default_rng(seed).random((9, 5)) for seed in range(1, 5))
    (trend,) = assess([Course("content", "raw", values, twins)], seed=0)
    rising = scipy.stats.page_trend_test(values).pvalue
    falling = scipy.stats.page_trend_test(values[:, ::-1]).pvalue
    assert (trend.p_rising, trend.p_falling) == pytest.approx(
        tuple(scipy.stats.false_discovery_control([rising, falling]))
    )
    lines = [np.polyfit(range(5), row, 1)[0] * 4 for row in values]
    np.testing.assert_allclose(fitted_change(values), lines)
    correlations = [scipy.stats.spearmanr(range(5), row).statistic for row in values]
    np.testing.assert_allclose(rank_correlations(values), correlations)
    assert trend.rank_correlation == pytest.approx(np.mean(correlations))


def test_a_trend_needs_size_and_must_lie_beyond_untrained_models() -> None:
    generator = np.random.default_rng(0)
    line = np.linspace(0.0, 1.0, 4)
    noise = 0.001 * generator.standard_normal((20, 4))
    still = tuple(0.3 + 0.001 * generator.standard_normal((20, 4)) for _ in range(5))
    drifting = tuple(0.3 + slope * line + noise for slope in (-0.3, -0.1, 0.0, 0.1, 0.3))

    def verdict(change: float, twins: tuple[np.ndarray, ...]) -> str:
        return assess([Course("content", "raw", 0.3 + change * line + noise, twins)], seed=0)[0].verdict

    assert verdict(0.1, still) == "rises"
    assert verdict(-0.1, still) == "falls"
    assert verdict(0.04, still) == "no trend"  # steady and highly significant, but small
    assert verdict(0.1, drifting) == "within twins"  # untrained models drift as far


def test_one_drop_is_no_movement_with_depth() -> None:
    """The four layers of the review: nearly all of the change is the step behind layer 0."""
    generator = np.random.default_rng(0)
    still = tuple(0.3 + 0.001 * generator.standard_normal((20, 4)) for _ in range(5))
    noise = 0.001 * generator.standard_normal((20, 4))
    dropped, steady = (
        np.array(masses) + noise for masses in ([0.311, 0.231, 0.221, 0.223], [0.311, 0.281, 0.251, 0.221])
    )
    trends = assess([Course("prefix", "raw", values, still) for values in (dropped, steady)], seed=0)
    assert [(trend.verdict, trend.step) for trend in trends] == [("drops", 0), ("falls", None)]


def test_lift_is_mass_over_base_rate_and_undefined_without_tokens() -> None:
    mass = np.array([[[0.2, 0.8]], [[0.0, 1.0]]])
    rates = np.array([[0.4, 0.6], [0.0, 1.0]])
    np.testing.assert_allclose(lift(mass, rates[:, None]), [[[0.5, 4 / 3]], [[np.nan, 1.0]]])


def test_a_best_head_is_chosen_on_one_half_and_measured_on_the_other(claimed: Evidence) -> None:
    mass = np.full((12, 3, 5, len(CATEGORIES)), 0.1, dtype=np.float32)
    column = CATEGORIES.index("prefix")
    mass[:6, 1, 2, column], mass[6:, 1, 2, column] = 0.9, 0.3
    mass[:6, 0, 4, column], mass[6:, 0, 4, column] = 0.5, 0.8
    prompts = dict(claimed.model.prompts) | {"raw.head.mass": mass}
    model = dataclasses.replace(claimed.model, prompts=prompts)
    best = best_heads(dataclasses.replace(claimed, model=model), ["prefix"])[0]
    assert str(best.head) == "XL1H2"
    assert float(best.value.point) == pytest.approx(0.3)
    assert best.norm is not None
    norm = claimed.model.prompts["norm.head.mass"][6:, 1, 2, column]
    assert float(best.norm.point) == pytest.approx(float(norm.mean()))
    twin = claimed.twins[3].prompts["raw.head.mass"][..., column]
    layer, head = np.unravel_index(twin[:6].mean(0).argmax(), (3, 5))
    assert float(best.value.controls[3]) == pytest.approx(float(twin[6:, layer, head].mean()))


def test_the_masked_example_renormalizes_what_is_left(claimed: Evidence) -> None:
    example = claimed.example
    raw, masked = example_matrices(example, "raw"), example_matrices(example, "masked")
    np.testing.assert_allclose(raw.sum(-1), 1.0, rtol=1e-5)
    assert np.isnan(masked[0]).all()
    np.testing.assert_allclose(masked[1:].sum(-1), 1.0, rtol=1e-6)
    assert (masked[1:, :, :3] == 0).all()


def test_the_section_renders_carries_its_caveats_and_is_the_same_twice(claimed: Evidence) -> None:
    focus = summarize(claimed)
    section, again = present(focus), present(summarize(claimed))
    assert section.findings == again.findings
    for one, other in zip(section.blocks, again.blocks, strict=True):
        if isinstance(one, Table) and isinstance(other, Table):
            assert csv_bytes(one.frame) == csv_bytes(other.frame)
    page = render(Report("t", "q?", section.findings, "interp run", (section,), (("model", "planted"),)))
    limits = " ".join(section.limits)
    for word in ("Attention is not importance", "Jain and Wallace", "identifiable", "Ferrando and Costa-jussà 2021"):
        assert word in limits
    figures = {block.name: block for block in section.blocks if isinstance(block, Figure)}
    assert all("Attention is not importance" in block.caption for name, block in figures.items() if "flow" not in name)
    for kind in ("mass", "heads"):
        for version in ("raw", "masked", "norm"):
            assert re.search(r"\d\.\d\d", figures[f"cross-focus-{kind}-{version}"].alt)
    panels = [panel.title for panel in figures["cross-focus-example"].chart.panels]  # type: ignore[union-attr]
    assert panels == [f"layer {layer}, {version}" for layer in (0, 2) for version in ("raw", "masked", "norm")]
    assert "layer 0, masked reads nothing of the content span" in figures["cross-focus-example"].alt
    assert "The targets were given" in page["index.html"].decode()
    (how_to_read,) = present(dataclasses.replace(focus, target_origin="generated")).methods
    assert "own greedy output" in how_to_read


def test_every_table_has_its_control_columns(claimed: Evidence) -> None:
    tables = [block for block in present(summarize(claimed)).blocks if isinstance(block, Table)]
    assert len(tables) == 7
    for table in tables:
        if table.name == "cross-focus-example-steps":
            continue  # one prompt, shown as an illustration
        assert {"low", "high", "twins mean", "twins low", "twins high"} <= set(table.frame.columns)
    masses = next(table.frame for table in tables if table.name == "cross-focus-mass-by-head")
    surprise = (masses["mass"] - masses["base rate"]).abs().dropna()
    assert (surprise.diff().dropna() < 1e-4).all()
    assert masses.iloc[0]["category"] == "prefix"


def test_the_flow_is_said_with_its_numbers_and_shares_of_a_layer_sum_to_one(claimed: Evidence) -> None:
    focus = summarize(claimed)
    sentence = flow_sentence(focus)
    target = focus.flow["alti.target"][2]
    assert with_interval(target) in sentence
    assert "from the task prefix (untrained twins" in sentence
    assert re.search(r"source share (falls|rises|shows no trend) as the target grows", sentence)
    shares, _, steps = flow_tables(focus)
    frame = shares.frame
    np.testing.assert_allclose(frame[frame["method"] == "alti"].groupby("layer")["share"].sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(frame[frame["method"] == "rollout"].groupby("layer")["share"].sum(), 1.0, rtol=1e-5)
    on = [name for name in steps.frame.columns if name.startswith("layer 2 on ")]
    np.testing.assert_allclose(steps.frame[on].sum(axis=1), 1.0, rtol=1e-5)
    assert (steps.frame["layer 2 on content"] > 0.999).all()


def test_a_tau_of_an_untrained_model_is_one_that_can_be(claimed: Evidence) -> None:
    focus = summarize(claimed)
    found = focus.flow["alti.decline"]
    apart = dataclasses.replace(
        found, controls=np.array([-0.6, 1.0])
    )  # two twins so far apart that a third may lie anywhere
    sentence = flow_sentence(dataclasses.replace(focus, flow={**focus.flow, "alti.decline": apart}))
    assert "of an untrained model −1.00 to 1.00)" in sentence
    nowhere = dataclasses.replace(found, interval=Interval(*(np.full((), np.nan) for _ in range(3)), np.zeros((), int)))
    sentence = flow_sentence(dataclasses.replace(focus, flow={**focus.flow, "alti.decline": nowhere}))
    assert "cannot be told" in sentence
    assert "undefined" not in sentence


def test_the_trained_model_reads_forward_and_turns_to_the_content(bundled: HookedEncoderDecoder) -> None:
    prompts = bundled_prompts("references", 8)
    focus = summarize(evidence(bundled, bundled.batch(prompts.sources, prompts.targets)))
    content = focus.trend("content", "raw")
    assert content is not None
    assert content.verdict == "rises"
    path = focus.shapes["raw.layer.monotonicity"]
    assert path.low[-1] > 0.4
    assert path.control_high.max() < 0.4
