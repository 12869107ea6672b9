"""Patching, neurons and single prompts in the report: the library's numbers, controls beside them, text that stays text."""

import numpy as np
import pytest
import torch

from analyses.core.contract import Arrays, Example
from analyses.logit_attribution import illustrate
from analyses.logit_attribution.activation_patching import NoPatching, Patching, patch, patching, spread
from analyses.logit_attribution.activation_patching_blocks import (
    patching_blocks,
    patching_findings,
    patching_frame,
    patching_pages,
)
from analyses.logit_attribution.experiment import translated
from analyses.logit_attribution.neuron_blocks import neuron_findings, neuron_frame
from analyses.logit_attribution.neurons import neurons, read_neurons
from analyses.logit_attribution.prompt_page import prompt_blocks
from analyses.logit_attribution.settings import AttributionSettings
from interp.attribution.frozen_norms import sublayer_directions
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.attribution.neurons import neuron_contributions
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.activation_patching import patch_sites, sites
from interp.patching.minimal_pairs import bundled_pairs, pair_batch
from interp.report import Card, Figure, Paragraph, SmallTable, Table, TokenStrip
from interp.report.numbers import number
from interp.text.batch import Batch, collate
from tests.support.attribution_runs import one_pass
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow

SETTINGS = AttributionSettings(patching_pairs=6, patching_sites=("cross_z", "cross_v"))


@pytest.fixture(scope="module")
def arrays(bundled: HookedEncoderDecoder) -> Arrays:
    return patch(bundled, SETTINGS)


@pytest.fixture(scope="module")
def found(bundled: HookedEncoderDecoder, arrays: Arrays) -> Patching:
    summary = patching(arrays, 0, bundled.cfg)
    assert isinstance(summary, Patching)
    return summary


def test_effects_are_those_of_the_library(bundled: HookedEncoderDecoder, arrays: Arrays, found: Patching) -> None:
    chosen = [pair for pair, used in zip(bundled_pairs(), found.used, strict=True) if used]
    assert len(chosen) == 6
    assert len({pair.kind for pair in chosen}) == 5
    pairs = pair_batch(bundled, chosen)
    where = sites(bundled, pairs, "cross_z")
    for direction, estimate in (("denoise", found.denoise), ("noise", found.noise)):
        effects = patch_sites(bundled, pairs, where, direction)  # type: ignore[arg-type]
        ratio = effects.numerator.sum(0) / effects.denominator.sum(0)
        np.testing.assert_allclose(estimate.point[: len(where)], ratio.numpy(), atol=1e-4)
    assert found.sites[0] == "XL0H0"
    assert found.sites[len(where)] == "XL0H0 v"
    assert not np.allclose(arrays["patching.control"], arrays["patching.denoise"], atol=1e-2)
    assert (found.correlation[:, 0] > 0.8).all()
    assert (found.correlation[:, 1] <= found.correlation[:, 0] + 1e-9).all()


def test_patching_is_presented_with_intervals_and_control(found: Patching) -> None:
    sentences = " ".join(patching_findings(found))
    frame = patching_frame(found)
    top = frame.iloc[0]
    assert f"{sum(found.flips)} of {len(found.flips)} bundled minimal pairs flip" in sentences
    expected = f"{top['site']}, {number(top['denoising'])} [{number(top['denoising: low'])}, "
    assert expected in sentences
    assert "another pair" in sentences
    assert (frame["denoising: low"] <= frame["denoising"]).all()
    figure, table = patching_blocks(found)
    assert isinstance(figure, Figure)
    assert isinstance(table, Table)
    assert {"noising", "another pair", "integrated"} <= set(table.columns_shown or ())
    (page,) = patching_pages(found)
    (pairs,) = page.blocks
    assert isinstance(pairs, Table)
    assert pairs.frame["lead (logits)"].notna().sum() == 6
    assert len(pairs.frame) == len(bundled_pairs())


def test_a_model_that_no_pair_flips_says_so(tiny_byt5: HookedEncoderDecoder) -> None:
    summary = patching(patch(tiny_byt5, SETTINGS), 0, tiny_byt5.cfg)
    assert isinstance(summary, NoPatching)
    assert "too few to patch on" in patching_findings(summary)[0]
    assert patching_blocks(summary) == patching_pages(summary) == ()
    nothing = patch(tiny_byt5, AttributionSettings(patching_pairs=0))
    assert nothing == {}
    assert patching(nothing, 0, tiny_byt5.cfg) is None


def test_pairs_are_spread_over_kinds() -> None:
    chosen = spread(bundled_pairs(), 7)
    kinds = [pair.kind for pair in chosen]
    assert sorted(kinds.count(kind) for kind in set(kinds)) == [1, 1, 1, 2, 2]
    assert spread(bundled_pairs()[:3], 7) == bundled_pairs()[:3]


def test_neurons_are_chosen_on_one_half_and_measured_on_the_other() -> None:
    model = tiny("t5")
    model.module("decoder.2.mlp.hook_post").weight[:, 7] *= 30  # type: ignore[index]
    batch = random_batch(model, (15, 12, 19, 13), (13, 17, 12, 15))
    read = read_neurons(model, batch, 4)
    assert read["neurons.place"][0].tolist() == [2, 7]
    logits, cache = model.run_with_cache(batch)
    tokens = label_tokens(batch)
    readout = logit_difference(model, logits, tokens, runner_up(model, logits, tokens))
    direction = sublayer_directions(model, cache, readout)["decoder.2.mlp"]
    values = neuron_contributions(model, cache, 2, direction)[..., 7]
    means = [float(values[prompt, :length].mean()) for prompt, length in ((1, 17), (3, 15))]
    np.testing.assert_allclose(read["neurons.contribution"][:, 0], means, rtol=1e-4)
    said_again = collate(
        batch.source_texts[:1] * 4, batch.target_texts[:1] * 4, model.cfg, model.decoder_inputs, "given"
    )
    assert read_neurons(model, said_again, 4) == {}  # one sentence would choose, and none measure
    summary = neurons(read, [read_neurons(tiny("t5", seed=1), batch, 4)], 0)
    assert summary is not None
    assert summary.names[0] == "DL2N7"
    frame = neuron_frame(summary)
    assert frame["contribution"][0] == pytest.approx(np.mean(means), rel=1e-4)
    sentence = neuron_findings(summary)[0]
    assert f"DL2N7 contributes most: {number(float(np.mean(means)))}" in sentence
    assert "the largest in an untrained twin" in sentence
    assert read_neurons(model, batch, 0) == {}


@pytest.fixture(scope="module")
def example(tiny_t5: HookedEncoderDecoder, tiny_batch: Batch) -> Example:
    single = tiny_batch.select(0)
    with torch.no_grad():
        arrays = illustrate(one_pass(tiny_t5, single))
    pieces = single.source_texts[0].pieces
    return Example("p0", pieces, single.decoder_pieces(0), single.target_texts[0].pieces, arrays)


def test_a_prompt_shows_every_answer_with_numbers_that_add_up(example: Example) -> None:
    intro, sentences, components = prompt_blocks(example)
    assert isinstance(intro, Paragraph)
    assert isinstance(sentences, Card)
    assert isinstance(components, Card)
    strips = [part for part in sentences.parts if isinstance(part, TokenStrip)]
    np.testing.assert_array_equal([strip.values for strip in strips], example.arrays["sources"].sum((0, 1)))
    assert {tuple(strip.pieces) for strip in strips} == {example.source_pieces}
    assert len({strip.strongest for strip in strips}) == 1
    (table,) = components.parts
    assert isinstance(table, SmallTable)
    cells = [str(cell) for cell in table.rows[0][1:]]
    cells = [cell.replace("−", "-") for cell in cells]
    assert float(cells[-1]) == pytest.approx(float(example.arrays["value"][0]), abs=0.011)
    parts = [float(cell.split()[-1]) for cell in cells[:-1]]
    assert sum(parts) == pytest.approx(float(cells[-1]), abs=0.05)


def test_pairs_are_not_asked_of_prompts_that_are_no_translations(bundled: HookedEncoderDecoder) -> None:
    reviews = bundled.batch(["sentiment: I love it.", "sentiment: It was cold."], ["a", "b"])
    assert not translated(bundled, [reviews])
    assert translated(bundled, [reviews, bundled.batch(["translate English to French: Yes."], ["Oui."])])
    assert not translated(bundled, [bundled.batch(["translate English to Welsh: Yes."], ["Ie."])])
    summary = patching(patch(bundled, SETTINGS, asked=False), 0, bundled.cfg)
    assert isinstance(summary, NoPatching)
    (sentence,) = patching_findings(summary)
    assert sentence.startswith("Minimal pairs are not asked of this model")
    assert patching_blocks(summary) == patching_pages(summary) == ()
