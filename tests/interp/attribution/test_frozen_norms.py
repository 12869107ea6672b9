"""Logits of every family, biases included, are the sum of named components; T5's split is the one without biases."""

import pytest
import torch

from interp.attribution.frozen_norms import named_contributions, named_sources, unrolled_hooks
from interp.attribution.logit_readout import label_tokens, largest_logit, runner_up
from interp.attribution.residual_stream import component_labels, decoder_contributions
from interp.attribution.source_attribution import source_contributions
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import logit_directions
from tests.support.models import BART_FAMILIES, FAMILIES, random_batch, tiny

pytestmark = pytest.mark.slow

TOLERANCE = 2e-6


@pytest.fixture(scope="module", params=[*FAMILIES, *BART_FAMILIES])
def model(request: pytest.FixtureRequest) -> HookedEncoderDecoder:
    return tiny(request.param)


@pytest.mark.parametrize("against", ["nothing", "runner-up"])
def test_named_components_add_up_to_the_logit(model: HookedEncoderDecoder, against: str) -> None:
    batch = random_batch(model)
    logits, cache = model.run_with_cache(batch, unrolled_hooks(model))
    tokens = label_tokens(batch)
    foils = runner_up(logits, tokens) if against == "runner-up" else None
    found = named_contributions(model, cache, tokens, foils)
    expected = logits.gather(-1, tokens.unsqueeze(-1))[..., 0]
    if foils is not None:
        expected = expected - logits.gather(-1, foils.unsqueeze(-1))[..., 0]
    largest = largest_logit(logits, batch).unsqueeze(-1)
    gap = ((found.values.sum(-1) - expected) / largest)[batch.target_mask].abs().max()
    assert float(gap) <= TOLERANCE
    assert len(set(found.labels)) == len(found.labels) == found.values.shape[-1]
    biases = [label for label in found.labels if label.endswith("bias")]
    assert bool(biases) == model.cfg.biases
    for label in biases:
        if model.cfg.model_type != "m2m_100" or label != "unembedding bias":
            assert (found.of(label)[batch.target_mask] != 0).any(), label
    assert ("positions" in found.labels) == (model.cfg.positions != "relative")
    norms = [label for label in biases if " norm " in label and label[0] == "D"]
    assert len(norms) == (3 * model.cfg.n_decoder_layers if model.cfg.norm_place == "post" else 0)


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_a_bias_that_is_zero_contributes_nothing(name: str) -> None:
    """A named bias is the bias: with it set to zero in the weights its component is gone, and the sum still holds."""
    changed = tiny(name)
    module = changed.module("decoder.1.cross_attn.hook_result")
    assert isinstance(module.bias, torch.Tensor)
    module.bias.zero_()
    batch = random_batch(changed)
    logits, cache = changed.run_with_cache(batch, unrolled_hooks(changed))
    tokens = label_tokens(batch)
    found = named_contributions(changed, cache, tokens)
    assert (found.of("XL1 attention bias") == 0).all()
    expected = logits.gather(-1, tokens.unsqueeze(-1))[..., 0]
    largest = largest_logit(logits, batch).unsqueeze(-1)
    assert float(((found.values.sum(-1) - expected) / largest)[batch.target_mask].abs().max()) <= TOLERANCE


def test_cross_heads_split_over_source_tokens_and_encoder_components(model: HookedEncoderDecoder) -> None:
    batch = random_batch(model)
    logits, cache = model.run_with_cache(batch, [*unrolled_hooks(model), "decoder.*.cross_attn.hook_v"])
    found = named_contributions(model, cache, label_tokens(batch))
    sources = named_sources(model, cache, found)
    heads = torch.stack([found.of(label) for label in found.labels if label[:2] == "XL" and "H" in label]).sum(0)
    largest = largest_logit(logits, batch).max()
    valid = batch.target_mask
    gap = (sources.values.sum((-1, -2)) + sources.value_bias - heads)[valid].abs().max() / largest
    assert float(gap) <= TOLERANCE
    assert (sources.value_bias[valid] != 0).any() == model.cfg.biases
    by_token = sum(
        source_contributions(model, cache, "cross", layer, read).sum(1) for layer, read in enumerate(found.cross_reads)
    )
    assert isinstance(by_token, torch.Tensor)
    assert float((by_token.sum(-1) - heads)[valid].abs().max() / largest) <= TOLERANCE
    assert (sources.values[0, :, 15:] == 0).all(), "prompt 0 is padded on the source side"


@pytest.mark.parametrize("name", FAMILIES)
def test_without_biases_it_is_the_split_of_t5(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    _, cache = model.run_with_cache(batch)
    tokens = label_tokens(batch)
    found = named_contributions(model, cache, tokens)
    expected = decoder_contributions(model, cache, logit_directions(model, tokens))
    labels = component_labels(model.cfg.n_decoder_layers, model.cfg.n_heads)
    assert found.labels == labels
    assert torch.allclose(found.of("XL0H2"), expected.cross[..., 0, 2], atol=1e-5)
    assert torch.allclose(found.of("embedding"), expected.embedding, atol=1e-5)
