"""The logit-attribution analysis: from a padded batch to a section, on tiny, planted and bundled models."""

from dataclasses import replace

import numpy as np
import pytest

from analyses.logit_attribution import LogitAttribution, illustrate, present
from analyses.logit_attribution.observe import observe
from analyses.logit_attribution.section import findings
from analyses.logit_attribution.tables import category_frame, component_frame, encoder_frame
from interp.attribution.components import components_of
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.report import Figure, Report, Table, render
from interp.report.numbers import number
from interp.text.batch import Batch
from interp.text.words import CATEGORIES, EOS, PAD
from tests.support.attribution_runs import analyzed, one_pass
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow

LENGTHS = ((15, 12, 19, 13, 14, 16), (13, 17, 12, 15, 14, 16))


@pytest.fixture(scope="module")
def random_result() -> LogitAttribution:
    model = tiny("v1.1")
    batches = [random_batch(model, *LENGTHS), random_batch(model, *LENGTHS, seed=1)]
    return analyzed(model, batches, [tiny("v1.1", seed=seed) for seed in (1, 2, 3)])


@pytest.fixture(scope="module")
def planted_result() -> LogitAttribution:
    """A model in which nothing but XL1H2 writes."""
    model = tiny("t5")
    for layer, block in enumerate(model.hf.decoder.block):
        block.layer[0].SelfAttention.o.weight.zero_()
        block.layer[2].DenseReluDense.wo.weight.zero_()
        weight = block.layer[1].EncDecAttention.o.weight
        kept = weight[:, 8:12].clone()
        weight.zero_()
        if layer == 1:
            weight[:, 8:12] = 3 * kept
    return analyzed(model, [random_batch(model, *LENGTHS)], [tiny("t5", seed=seed) for seed in (1, 2)])


def test_observation_is_a_mean_over_real_rows(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    arrays = observe(one_pass(tiny_model, batch))
    cfg = tiny_model.cfg
    assert arrays["difference.components"].shape == (3, 1 + cfg.n_decoder_layers * (2 * cfg.n_decoder_heads + 1))
    assert arrays["rows"].tolist() == [13, 17, 12]
    assert arrays["tokens"][:, PAD].tolist() == [4, 7, 0]
    for name in ("difference", "label", "centered"):
        assert arrays[f"{name}.gap"].max() <= 2e-5
        np.testing.assert_allclose(arrays[f"{name}.components"].sum(1), arrays[f"{name}.value"], atol=1e-5)
    assert arrays["difference.source_gap"].max() <= 2e-5
    assert arrays["difference.memory_gap"].max() <= 2e-5
    memory = arrays["difference.memory"]
    assert memory.shape == (
        3,
        cfg.n_decoder_layers,
        cfg.n_decoder_heads,
        1 + cfg.n_encoder_layers * (cfg.n_decoder_heads + 1),
    )
    np.testing.assert_allclose(memory.sum(-1), arrays["difference.categories"].sum(-1), atol=1e-5)
    by_head = arrays["difference.categories"]
    assert (by_head[..., PAD] == 0).all()
    labels = [one.label for one in components_of(cfg, "decoder")]
    last = str(HeadId("cross", cfg.n_decoder_layers - 1, 3))
    np.testing.assert_allclose(
        by_head[:, -1, 3].sum(-1), arrays["difference.components"][:, labels.index(last)], atol=1e-5
    )


def test_label_value_is_the_mean_of_the_labels_logits(tiny_t5: HookedEncoderDecoder, tiny_batch: Batch) -> None:
    run = one_pass(tiny_t5, tiny_batch)
    arrays = observe(run)
    for prompt, length in enumerate((13, 17, 12)):
        logits, labels = run.logits[prompt, :length], tiny_batch.labels[prompt, :length]
        chosen = logits.gather(-1, labels[:, None])[:, 0]
        assert arrays["label.value"][prompt] == pytest.approx(float(chosen.mean()), abs=1e-5)
        others = logits.scatter(-1, labels[:, None], float("-inf")).amax(-1)
        assert arrays["difference.value"][prompt] == pytest.approx(float((chosen - others).mean()), abs=1e-5)
        centered = float((chosen - logits.mean(-1)).mean())
        assert arrays["centered.value"][prompt] == pytest.approx(centered, abs=1e-5)
        assert arrays["first_choice"][prompt] == pytest.approx(float((logits.argmax(-1) == labels).float().mean()))


def test_observation_does_not_depend_on_padding_or_company(tiny_t5: HookedEncoderDecoder, tiny_batch: Batch) -> None:
    together = observe(one_pass(tiny_t5, tiny_batch))
    alone = observe(one_pass(tiny_t5, tiny_batch.select(0)))
    for name, values in alone.items():
        expected = together[name][:1].copy()
        if name == "tokens":
            expected[:, PAD] = 0
        np.testing.assert_allclose(values, expected, atol=1e-5, err_msg=name)


def test_planted_head_is_found(planted_result: LogitAttribution) -> None:
    assert str(planted_result.strongest_cross) == "XL1H2"
    frame = component_frame(planted_result).set_index("component")
    silent = frame.drop(["XL1H2", "embedding"])
    assert (silent["difference"] == 0).all()
    assert (silent["squared length"] == 0).all()
    assert frame.loc["XL1H2", "rank: high"] <= 2
    assert planted_result.difference.point.sum() == pytest.approx(float(planted_result.value.point[0]), abs=1e-4)
    sources = category_frame(planted_result).set_index("head")
    assert sources.index[0] == "XL1H2"
    names = list(planted_result.category_names)
    assert sources.loc["XL1H2", names].sum() == pytest.approx(sources.loc["XL1H2", "all tokens"], abs=1e-5)


def test_nothing_passes_in_a_random_model(random_result: LogitAttribution) -> None:
    """Heads of a random model are not called writers of its labels, and few sentences are not tested; the section says so."""
    assert np.isnan(random_result.test.p_value).all()
    assert any("fewer than 20 sentences" in sentence for sentence in findings(random_result))
    ones, many = np.ones(len(random_result.components)), np.full(len(random_result.components), 24)
    silenced = replace(random_result, test=replace(random_result.test, p_value=ones, count=many))
    assert any("None of the 34 components" in sentence for sentence in findings(silenced))


def test_frames_hold_every_component_with_its_control(random_result: LogitAttribution) -> None:
    frame = component_frame(random_result)
    assert sorted(frame["component"]) == sorted(one.label for one in random_result.components)
    assert frame["rank"].tolist() == list(range(1, 35))
    assert (frame["difference"].abs().diff().dropna() <= 1e-12).all()
    for name in ("difference", "label", "label against mean", "squared length"):
        assert (frame[f"{name}: low"] <= frame[name]).all()
        assert (frame[name] <= frame[f"{name}: high"]).all()
        assert (frame[f"{name}: twins low"] <= frame[f"{name}: twins"]).all()
        assert (frame[f"{name}: twins"] <= frame[f"{name}: twins high"]).all()
    assert (frame["rank: low"] <= frame["rank"]).all()
    assert (frame["rank"] <= frame["rank: high"]).all()
    assert random_result.category_names == ("prefix", "content", "function", "punctuation", "eos")
    assert random_result.category_share.sum() == pytest.approx(1)


def test_encoder_components_add_up_to_their_cross_head(planted_result: LogitAttribution) -> None:
    frame = encoder_frame(planted_result)
    head = component_frame(planted_result).set_index("component").loc["XL1H2", "difference"]
    assert len(frame) == 1 + 2 * 6
    assert frame["through XL1H2"].sum() == pytest.approx(head, abs=1e-5)
    assert frame["through all cross heads"].sum() == pytest.approx(head, abs=1e-5)
    assert (frame["through XL1H2"].abs().diff().dropna() <= 1e-12).all()


def test_section_renders_with_numbers_and_controls(random_result: LogitAttribution) -> None:
    section = present(random_result)
    sentences = " ".join(section.findings)
    top = random_result.components[random_result.order[0]]
    point, interval = random_result.difference.point, random_result.difference.interval
    index = random_result.order[0]
    expected = f"{top}, {number(float(point[index]))} [{number(float(interval.low[index]))}, "
    assert expected in sentences
    assert "untrained twins" in sentences
    assert "the given targets" in sentences
    assert "largest gap of" in sentences
    tables = [block.name for block in section.blocks if isinstance(block, Table)]
    assert tables == [f"logit-attribution-{name}" for name in ("components", "sources", "encoder", "completeness")]
    figures = [block for block in section.blocks if isinstance(block, Figure)]
    assert all(any(character.isdigit() for character in figure.alt) for figure in figures)
    report = Report("t", "q", section.findings, "interp run", (section,), (("model", "tiny"),))
    files = render(report)
    assert files == render(report)
    assert {f"figures/{figure.name}.svg" for figure in figures} <= set(files)


def test_a_gap_beyond_float32_is_flagged(random_result: LogitAttribution) -> None:
    assert random_result.worst_gap <= 2e-5
    assert not any("as noise" in sentence for sentence in findings(random_result))
    half = random_result.completeness.assign(**{"gap: label": 0.011})
    sentence = findings(replace(random_result, completeness=half))[-1]
    assert "1e−02" in sentence
    assert "as noise" in sentence
    assert "dtype float32" in sentence


def test_a_run_without_twins_says_so() -> None:
    model = tiny("t5")
    result = analyzed(model, [random_batch(model)], [])
    section = present(result)
    assert "no untrained twins in this run" in section.findings[0]
    assert np.isnan(result.difference.control_mean).all()


def test_example_adds_up(tiny_t5: HookedEncoderDecoder, tiny_batch: Batch) -> None:
    arrays = illustrate(one_pass(tiny_t5, tiny_batch.select(1)))
    labels = [one.label for one in components_of(tiny_t5.cfg, "decoder")]
    assert arrays["sources"].shape == (3, 5, 17, 12)
    np.testing.assert_allclose(
        arrays["sources"][2, 4].sum(-1), arrays["components"][:, labels.index("XL2H4")], atol=1e-5
    )
    np.testing.assert_allclose(arrays["components"].sum(-1), arrays["value"], atol=1e-5)
    np.testing.assert_allclose(arrays["memory"].sum(-1), arrays["sources"].sum((0, 1)), atol=1e-5)
    assert len(arrays["runner_up"]) == 17


def test_bundled_model_translates_through_content_words(bundled: HookedEncoderDecoder) -> None:
    """In a trained translator the label beats the runner-up, cross heads write for it, and they take it from the sentence."""
    batch = bundled.batch([
        "translate English to German: The old man sits on a wooden chair in the garden.",
        "translate English to French: A black cat is sleeping under the table.",
        "translate English to German: The children play in the snow in front of the house.",
        "translate English to French: A woman sells fruit and fish at a market.",
    ])
    result = analyzed(bundled, [batch], [untrained_twin(bundled, seed) for seed in (1, 2)])
    assert result.worst_gap <= 2e-5
    assert result.value.point[0] > 1
    assert result.value.controls.max() < 0
    assert result.kind_sums.point[2] > 0.5 > result.kind_sums.controls[:, 2].max()
    assert result.first_choice.point[0] == pytest.approx(1, abs=0.05)
    by_category = dict(zip(result.category_names, result.categories.point.sum((0, 1)), strict=True))
    assert by_category["content"] > by_category["prefix"]
    assert CATEGORIES[EOS] in by_category
    assert "generated" in result.target_origin
