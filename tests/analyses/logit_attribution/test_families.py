"""The section on BART's family: biases as components, what is held in its limits, a planted head, four sections on the page."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor
from typer.testing import CliRunner

from analyses.cli import app
from analyses.logit_attribution import ANALYSIS, AttributionSettings, LogitAttribution, illustrate, present
from analyses.logit_attribution.activation_patching import Patching, patch, patching
from analyses.logit_attribution.assumptions import side_by_side_limits
from analyses.logit_attribution.experiment import experiment, sample
from analyses.logit_attribution.observe import observe
from analyses.logit_attribution.section import findings
from analyses.logit_attribution.summary import with_experiments
from analyses.logit_attribution.tables import category_frame, component_frame, encoder_frame
from interp.attribution.components import components_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.patching.activation_patching import patch_sites, sites
from interp.patching.minimal_pairs import pair_batch
from interp.report import Figure, Table
from interp.text.words import PAD
from tests.support.attribution_runs import analyzed, one_pass
from tests.support.learnt_bart import learnt_bart
from tests.support.models import BART_FAMILIES, random_batch, tiny, tiny_hf
from tests.support.tokenizers import byte_pair_tokenizer

pytestmark = pytest.mark.slow

LENGTHS = ((15, 12, 19, 13), (13, 17, 12, 15))
SETTINGS = AttributionSettings(causal_prompts=4, neurons=2)


@pytest.fixture(scope="module", params=["bart", "mbart"])
def result(request: pytest.FixtureRequest) -> LogitAttribution:
    """With the sampled part."""
    model = tiny(request.param)
    twins = [untrained_twin(model, seed) for seed in (1, 2)]
    batches = [random_batch(model, *LENGTHS, seed=seed, same_prefix=True) for seed in (0, 1)]
    found = analyzed(model, batches, twins)
    return with_experiments(found, experiment(model, batches, SETTINGS), [experiment(twins[0], batches, SETTINGS)], 0)


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_an_observation_adds_up_in_every_family(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    arrays = observe(one_pass(model, batch))
    for readout in ("difference", "label", "centered"):
        assert arrays[f"{readout}.gap"].max() <= 2e-5
        np.testing.assert_allclose(
            arrays[f"{readout}.components"].sum(1), arrays[f"{readout}.value"], atol=1e-5, rtol=1e-5
        )
    assert arrays["difference.source_gap"].max() <= 2e-5
    assert arrays["difference.memory_gap"].max() <= 2e-5
    by_head = arrays["difference.categories"]
    assert (by_head[..., PAD] == 0).all()
    np.testing.assert_allclose(arrays["difference.memory"].sum(-1), by_head.sum(-1), atol=1e-5)
    cross = [
        place for place, one in enumerate(components_of(model.cfg, "decoder")) if one.kind == "cross-attention head"
    ]
    np.testing.assert_allclose(
        by_head.sum(-1).reshape(3, -1), arrays["difference.components"][:, cross], atol=1e-5, rtol=1e-4
    )
    alone = observe(one_pass(model, batch.select(0)))
    for key in ("difference.components", "share.components", "difference.memory"):
        np.testing.assert_allclose(alone[key], arrays[key][:1], atol=2e-5, rtol=1e-3, err_msg=key)


def test_every_bias_is_a_row_with_its_control(result: LogitAttribution) -> None:
    frame = component_frame(result).set_index("component")
    assert list(frame.index.sort_values()) == sorted(one.label for one in result.components)
    biases = frame[frame["kind"] == "bias"]
    assert {"DL0 attention bias", "XL1 attention bias", "DL2MLP bias", "unembedding bias"} <= set(biases.index)
    assert ("DL2 norm 3 bias" in biases.index) == (result.cfg.norm_place == "post")
    assert (biases["difference"] != 0).all()
    assert (biases["difference: twins"] == 0).all(), "untrained biases are zero"
    assert frame.loc["positions", "kind"] == "positions"
    assert result.difference.point.sum() == pytest.approx(float(result.value.point[0]), abs=1e-4)
    assert result.kind_sums.point.sum() == pytest.approx(float(result.value.point[0]), abs=1e-4)
    encoder = encoder_frame(result).set_index("encoder component")
    head = frame.loc[str(result.strongest_cross), "difference"]
    assert encoder[f"through {result.strongest_cross}"].sum() == pytest.approx(head, abs=1e-5)
    assert encoder.loc["value bias", "through all cross heads"] != 0
    assert result.worst_gap <= 2e-5


def test_the_section_says_what_is_held_and_what_the_twins_cannot_tell(result: LogitAttribution) -> None:
    section = present(result)
    limits = " ".join(section.limits)
    post = result.cfg.norm_place == "post"
    assert ("Every norm" in limits) == post
    assert ("The final norm" in limits) == (not post)
    assert ("not to be compared" in limits) == post
    assert "biases=True" in limits
    assert "no control" in limits
    assert f"Positions (positions={result.cfg.positions!r})" in limits
    sentences = " ".join(section.findings)
    held = "the norms in its way" if post else "the final norm"
    assert f"with {held} taken anew" in sentences
    assert "and all biases" in sentences
    assert "fewer than 20 sentences" in sentences
    captions = {block.name: block.caption for block in section.blocks if isinstance(block, Figure | Table)}
    assert f"its direct part with {held} held" in captions["logit-attribution-causal"]
    assert ("normed by its own layer" in captions["logit-attribution-depths"]) == post
    for name in ("components", "heads", "sources", "encoder", "causal", "depths", "neurons", "completeness"):
        assert f"logit-attribution-{name}" in captions


def test_biases_never_count_as_found(result: LogitAttribution) -> None:
    """Lying outside twins whose biases are zero means nothing."""
    n = len(result.components)
    certain = replace(result, test=replace(result.test, p_value=np.zeros(n), count=np.full(n, 24)))
    outside = certain.difference.outside_controls
    no_bias = ~certain.of_kind("bias")
    sentence = next(text for text in findings(certain) if "components that are no biases" in text)
    count = int((outside & no_bias).sum())
    assert (outside & ~no_bias).any()
    assert sentence.startswith(f"{count} of {no_bias.sum()} components" if count else "None of the")


def test_the_example_adds_up(result: LogitAttribution) -> None:
    model = tiny(result.cfg.model_type)
    arrays = illustrate(one_pass(model, random_batch(model).select(1)))
    np.testing.assert_allclose(arrays["components"].sum(-1), arrays["value"], atol=2e-5, rtol=1e-5)
    np.testing.assert_allclose(arrays["memory"].sum(-1), arrays["sources"].sum((0, 1)), atol=2e-5)
    assert arrays["component_names"].tolist() == [one.label for one in components_of(model.cfg, "decoder")]


@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_a_planted_head_is_found(name: str) -> None:
    """A model in which no head and no MLP but XL1H2 writes; biases, positions and the embedding stay."""
    model = tiny(name)
    for layer, block in enumerate(model.hf.get_decoder().layers):
        for module in (block.self_attn.out_proj, block.fc2):
            module.weight.zero_()
        weight = block.encoder_attn.out_proj.weight
        kept = weight[:, 4:6].clone()
        weight.zero_()
        if layer == 1:
            weight[:, 4:6] = 3 * kept
    found = analyzed(model, [random_batch(model, *LENGTHS)], [untrained_twin(model, seed) for seed in (1, 2)])
    assert str(found.strongest_cross) == "XL1H2"
    frame = component_frame(found).set_index("component")
    silent = frame[frame["kind"].isin(["self-attention head", "cross-attention head", "MLP"])].drop("XL1H2")
    assert len(silent) == 62
    assert (silent["difference"] == 0).all()
    assert (silent["squared length"] == 0).all()
    assert frame["difference"].abs()["XL1H2"] > 1e-3
    sources = category_frame(found).set_index("head")
    assert sources.index[0] == "XL1H2"
    assert (sources.drop("XL1H2")["all tokens"] == 0).all()


def test_side_by_side_says_when_contributions_are_not_one_quantity() -> None:
    t5, bart, marian, mbart = (tiny(name).cfg for name in ("t5", "bart", "marian", "mbart"))
    (limit,) = ANALYSIS.not_comparable(t5, bart)
    assert "norm_place='pre'" in limit
    assert "norm_place='post'" in limit
    assert "One model has biases" in side_by_side_limits(t5, mbart)[0]
    assert side_by_side_limits(bart, marian) == ()


def test_a_sample_of_generated_targets_keeps_its_decoder_inputs() -> None:
    """Generation starts with the start token in mBART too, whose given targets start with their last one."""
    tokenizer = byte_pair_tokenizer()
    host = tiny_hf("mbart", vocab_size=len(tokenizer), decoder_start_token_id=7)
    model = HookedEncoderDecoder(host, tokenizer)
    batch = model.batch(["The dog.", "A big house."])
    assert batch.decoder_input_ids[:, 0].eq(7).all()
    taken = sample(model, [batch], 2)
    assert taken is not None
    rows = batch.target_mask
    assert isinstance(taken.decoder_input_ids, Tensor)
    assert taken.decoder_input_ids[rows].tolist() == batch.decoder_input_ids[rows].tolist()


def test_minimal_pairs_are_patched_on_a_bart_that_learnt_them() -> None:
    """It flips on every pair; heads are moved as the library moves them, and the section says on which texts."""
    model = learnt_bart(tiny("bart").cfg)
    settings = AttributionSettings(patching_pairs=6, patching_sites=("cross_z", "encoder_z"))
    arrays = patch(model, settings)
    found = patching(arrays, 0, model.cfg)
    assert isinstance(found, Patching)
    assert sum(found.flips) > 40
    assert {pair.kind for pair, used in zip(found.candidates, found.used, strict=True) if used} == {
        "gender", "number", "negation", "noun",
    }  # fmt: skip
    pairs = pair_batch(model, [pair for pair, used in zip(found.candidates, found.used, strict=True) if used])
    effects = patch_sites(model, pairs, [*sites(model, pairs, "cross_z"), *sites(model, pairs, "encoder_z")])
    ratio = effects.numerator.sum(0) / effects.denominator.sum(0)
    np.testing.assert_allclose(found.denoise.point, ratio.numpy(), atol=1e-4)
    assert found.sites[0] == "XL0H0"
    assert found.denoise.point.max() > 0.1
    assert found.correlation[1, 0] > 0.7, "integrated gradients follow the exact effects"
    batch = model.batch(["The man is reading a book.", "The dog is sleeping.", "The old woman drinks."])
    twins = [untrained_twin(model, seed) for seed in (1, 2)]
    result = replace(analyzed(model, [batch], twins), patching=found)
    section = present(result)
    assert any("without their task prefix (positions='learned'" in limit for limit in section.limits)
    assert any("bundled minimal pairs flip this model's answer (gender " in sentence for sentence in section.findings)
    assert [page.name for page in section.pages] == ["minimal-pairs"]
    assert not result.worst_gap > 2e-5
    assert result.value.point[0] > max(0.0, float(result.value.controls.max()))


def test_a_run_on_bart_has_four_sections_and_attribution_on_every_prompts_page(tmp_path: Path) -> None:
    tokenizer = byte_pair_tokenizer()
    tiny_hf("bart", vocab_size=len(tokenizer)).save_pretrained(tmp_path / "bart")
    tokenizer.save_pretrained(tmp_path / "bart")
    lines = [
        "The dog's house is big.\tDer Hund im Haus.",
        "A big dog.\tDas Haus.",
        "The house.\tHaus.",
        "A dog.\tHund.",
    ]
    prompts = [dict(zip(("source", "target"), line.split("\t"), strict=True)) for line in lines]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts), encoding="utf-8")
    options = ["-p", str(tmp_path / "p.jsonl"), "--twins", "2", "--quiet", "-o", str(tmp_path / "out")]
    called = CliRunner().invoke(app, ["run", "-m", str(tmp_path / "bart"), *options])
    assert called.exit_code == 0, called.output
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    names = ("head_specialization", "cross_attention_focus", "logit_attribution", "embedding_geometry")
    assert set(names) <= set(results)
    assert not any("Not answered for this model" in results[name]["findings"][0] for name in names)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Every norm" in page
    pages = list((tmp_path / "out" / "pages").glob("prompt-*.html"))
    assert len(pages) == 4
    assert all("Largest components for every predicted token" in one.read_text(encoding="utf-8") for one in pages)
