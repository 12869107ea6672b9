"""The sampled part of logit attribution: ablation beside attribution, and the answer followed through the layers."""

from dataclasses import replace

import numpy as np
import pytest

from analyses.core.contract import Pass, Settings
from analyses.logit_attribution import ANALYSIS, AttributionSettings
from analyses.logit_attribution.ablation import AblationCheck, ablate, ablation_check, agreement
from analyses.logit_attribution.ablation_blocks import ablation_blocks, ablation_findings, ablation_frame
from analyses.logit_attribution.assumptions import lens_reading
from analyses.logit_attribution.experiment import experiment, sample
from analyses.logit_attribution.lens_blocks import lens_blocks, lens_findings, lens_frame
from analyses.logit_attribution.lenses import decoder_lens_text, lens_curves, read_lenses
from analyses.logit_attribution.observe import observe
from analyses.logit_attribution.section import present
from analyses.logit_attribution.summary import with_experiments
from interp.attribution.components import components_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Figure, Report, Section, Table, render
from interp.text.batch import Batch, collate
from tests.support.attribution_runs import analyzed
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow

LENGTHS = ((15, 12, 19, 13, 14, 16), (13, 17, 12, 15, 14, 16))
SETTINGS = AttributionSettings(causal_prompts=6, draws=2)


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    return [random_batch(tiny("t5"), *LENGTHS, seed=seed, same_prefix=True) for seed in (0, 1)]


@pytest.fixture(scope="module")
def checked(batches: list[Batch]) -> AblationCheck:
    model, twin = (experiment(tiny("t5", seed=seed), batches, SETTINGS) for seed in (0, 1))
    return ablation_check(model, twin, 0)


def test_the_sample_does_not_depend_on_batches(batches: list[Batch]) -> None:
    model = tiny("t5")
    whole = sample(model, batches, 4)
    singles = [batch.select(index) for batch in batches for index in range(len(batch))]
    split = sample(model, singles, 4)
    assert whole is not None
    assert split is not None
    assert [text.text for text in whole.source_texts] == [text.text for text in split.source_texts]
    expected = [
        batches[0].source_texts[0],
        batches[0].source_texts[3],
        batches[1].source_texts[0],
        batches[1].source_texts[3],
    ]
    assert list(whole.source_texts) == expected
    first, second = (ablate(model, batch, 2) for batch in (whole, split))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("count", [0, 1])
def test_too_small_a_sample_is_no_sample(batches: list[Batch], count: int) -> None:
    assert experiment(tiny("t5"), batches, AttributionSettings(causal_prompts=count)) == {}


def test_direct_effect_of_zeroing_is_minus_the_attribution(batches: list[Batch]) -> None:
    model = tiny("t5")
    batch = batches[0]
    arrays = ablate(model, batch, 1)
    assert arrays["frozen"].shape == (6, 3, 3, 2, 5)
    hooks = ANALYSIS.hooks_on(model.cfg)
    logits, cache = model.run_with_cache(batch, hooks)
    components = observe(Pass(model, batch, logits, cache, Settings()))["difference.components"]
    labels = [one.label for one in components_of(model.cfg, "decoder")]
    for head, index in (("DL0H3", (0, 0, 3)), ("XL2H4", (2, 1, 4)), ("XL1H0", (1, 1, 0))):
        np.testing.assert_allclose(
            arrays["frozen"][(slice(None), 0, *index)], -components[:, labels.index(head)], atol=1e-5
        )


def test_a_head_without_a_successor_has_no_self_repair() -> None:
    """With one layer and a silent MLP nothing comes after cross-attention but the norm."""
    model = tiny("t5", num_decoder_layers=1)
    model.hf.decoder.block[0].layer[2].DenseReluDense.wo.weight.zero_()
    arrays = ablate(model, random_batch(model, *LENGTHS, same_prefix=True), 2)
    total, recomputed = arrays["total"][:, :, 0, 1], arrays["recomputed"][:, :, 0, 1]
    np.testing.assert_allclose(total, recomputed, atol=2e-5)
    assert np.abs(arrays["total"] - arrays["frozen"])[:, :, 0, 1].max() > 1e-3, "the norm answers"


def test_prompts_alone_with_their_task_are_left_out_of_mean_and_resample_and_counted(batches: list[Batch]) -> None:
    """Zero ablation keeps them; where no prompt is left, the report says so."""
    model = tiny("t5")
    one = batches[0]
    some = collate(
        [*one.source_texts[:4], *random_batch(model, (9,), (8,), seed=5).source_texts],
        one.target_texts[:5],
        model.cfg,
        model.decoder_inputs,
        "given",
    )
    arrays = ablate(model, some, 1)
    assert np.isnan(arrays["total"]).any((0, 2, 3, 4)).tolist() == [False, True, True]
    assert np.isnan(arrays["total"][:, 1:]).all((1, 2, 3, 4)).tolist() == [False] * 4 + [True]
    found = ablation_check(arrays, None, 0)
    assert found.total.interval.count[:, 0, 0, 0].tolist() == [5, 4, 4]
    assert np.isfinite(found.agreement.correlation).all()
    assert "without 1 sentence whose task prefix no other sentence of the sample has" in ablation_findings(found)[0]
    alone = ablation_check(ablate(model, random_batch(model, *LENGTHS), 1), None, 0)
    assert np.isfinite(alone.total.point[0]).all()
    assert np.isnan(alone.total.point[1:]).all()
    assert "undefined under mean ablation, because no two sentences of the sample share" in ablation_findings(alone)[0]
    assert ablation_frame(alone)["mean: total"].isna().all()
    section = Section("s", "t", "q", ablation_findings(alone), ablation_blocks(alone), ("l",))
    assert render(Report("t", "q", section.findings, "c", (section,), ()))


def test_agreement_is_perfect_for_equal_effects_and_reversed_for_opposite_ones() -> None:
    effects = np.random.default_rng(0).normal(size=(6, 3, 2, 2, 5)).astype(np.float32)
    same = agreement({"frozen": effects, "total": 3 * effects}, 0)
    np.testing.assert_allclose(same.correlation, 1)
    np.testing.assert_allclose(same.same_sign, 1)
    opposite = agreement({"frozen": effects, "total": -effects}, 0)
    np.testing.assert_allclose(opposite.correlation, -1)
    np.testing.assert_allclose(opposite.same_sign, 0)
    single = agreement({"frozen": effects[:1], "total": effects[:1] ** 3}, 0)
    np.testing.assert_allclose(single.correlation[:, 0], 1)
    assert np.isnan([single.correlation[:, 1:], single.same_sign[:, 1:]]).all()


def test_disagreements_are_heads_with_opposite_intervals() -> None:
    direct = np.full((6, 3, 2, 2, 5), -0.5, dtype=np.float32)
    direct += np.random.default_rng(0).normal(scale=0.01, size=direct.shape).astype(np.float32)
    total = direct.copy()
    total[:, 1, 1, 0, 3] *= -1
    found = ablation_check({"frozen": direct, "recomputed": direct, "total": total}, None, 0)
    assert np.argwhere(found.disagree(1)).tolist() == [[1, 0, 3]]
    assert not found.disagree(0).any()
    assert "none (zero); DL1H3 (mean); none (resample)" in ablation_findings(found)[-1]
    assert "untrained" not in ablation_findings(found)[0]


def test_causal_frame_and_blocks(checked: AblationCheck) -> None:
    frame = ablation_frame(checked)
    assert len(frame) == 30
    assert frame["zero: total"].is_monotonic_increasing
    for mode in ("zero", "mean", "resample"):
        np.testing.assert_allclose(
            frame[f"{mode}: self-repair"], frame[f"{mode}: total"] - frame[f"{mode}: direct"], atol=1e-6
        )
        assert (frame[f"{mode}: total: low"] <= frame[f"{mode}: total: high"]).all()
        assert frame[f"{mode}: total: twins"].notna().all()
    findings = ablation_findings(checked)
    assert "on 6 of the sentences" in findings[0]
    assert "untrained twin" in findings[0]
    blocks = ablation_blocks(checked)
    assert [type(block) for block in blocks] == [Figure, Table]
    section = Section("s", "t", "q", findings, blocks, ("l",))
    assert "tables/logit-attribution-causal.csv" in render(Report("t", "q", findings, "c", (section,), ()))


def test_the_section_takes_the_sample_in(batches: list[Batch]) -> None:
    """What the sample gave joins findings, evidence and limits; an empty sample changes nothing."""
    result = analyzed(tiny("t5"), batches, [tiny("t5", seed=1)])
    assert with_experiments(result, {}, [], 0) is result
    model, twin = (experiment(tiny("t5", seed=seed), batches, SETTINGS) for seed in (0, 1))
    plain, full = present(result), present(with_experiments(result, model, [twin], 0))
    assert len(full.findings) == len(plain.findings) + 7
    assert set(plain.limits) < set(full.limits)
    names = {block.name for block in full.blocks if isinstance(block, Figure | Table)}
    assert {"logit-attribution-causal", "logit-attribution-depths", "logit-attribution-neurons"} <= names


def test_trajectories_end_at_the_model(batches: list[Batch]) -> None:
    model = tiny("t5-deep-encoder")
    batch = random_batch(model, *LENGTHS)
    curves = read_lenses(model, batch)
    assert curves["lens.log_probability"].shape == (6, 2)
    assert curves["decoder_lens.log_probability"].shape == (6, 5)
    np.testing.assert_allclose(
        curves["lens.log_probability"][:, -1], curves["decoder_lens.log_probability"][:, -1], atol=1e-5
    )
    np.testing.assert_allclose(curves["lens.first_choice"][:, -1], curves["decoder_lens.first_choice"][:, -1])
    logits = model(batch)
    for prompt, length in enumerate(LENGTHS[1]):
        labels = batch.labels[prompt, :length]
        expected = logits[prompt, :length].log_softmax(-1).gather(-1, labels[:, None]).mean()
        assert curves["lens.log_probability"][prompt, -1] == pytest.approx(float(expected), abs=1e-4)


def test_ranks_begin_at_one_and_agree_with_first_choices() -> None:
    model = tiny("t5")
    curves = read_lenses(model, random_batch(model, *LENGTHS))
    for lens in ("lens", "decoder_lens"):
        assert (curves[f"{lens}.rank"] >= 1).all()
        assert ((curves[f"{lens}.rank"] == 1) <= (curves[f"{lens}.first_choice"] == 1)).all()


def test_the_decoder_writes_from_every_depth(bundled: HookedEncoderDecoder, batches: list[Batch]) -> None:
    batch = bundled.batch([
        "translate English to German: The woman is reading a book.",
        "translate English to German: No.",
    ])
    texts = decoder_lens_text(bundled, batch)["decoder_lens.texts"]
    assert len(texts) == bundled.cfg.n_encoder_layers + 1
    assert texts[-1] == batch.target_texts[0].text
    assert decoder_lens_text(tiny("t5"), batches[0]) == {}
    curves = lens_curves({**read_lenses(bundled, batch), "decoder_lens.texts": texts}, [], 0)
    table = lens_blocks(curves, lens_reading(bundled.cfg))[-1]
    assert isinstance(table, Table)
    assert table.frame["written"].tolist() == texts.tolist()


def test_trajectory_section(batches: list[Batch]) -> None:
    model, twin = (read_lenses(tiny("t5", seed=seed), batches[0]) for seed in (0, 1))
    curves = lens_curves(model, [twin], 0)
    frame = lens_frame(curves)
    assert frame["depth"].tolist() == ["embedding", "layer 0", "layer 1", "layer 2", "embedding", "layer 0", "layer 1"]
    findings, blocks = lens_findings(curves), lens_blocks(curves, lens_reading(tiny("t5").cfg))
    assert all("untrained twins" in sentence for sentence in findings)
    section = Section("s", "t", "q", findings, blocks, ("l",))
    files = render(Report("t", "q", findings, "c", (section,), ()))
    assert "figures/logit-attribution-depths.svg" in files
    alone = lens_curves(model, [], 0)
    assert replace(alone).log_probability.interval.count.tolist() == [6, 6, 6, 6]
    assert "no untrained twins" in lens_findings(alone)[0]
