"""Neurons: planted values are read back, the null is a null, triggers are real rows."""

import pytest
import torch

from interp.attribution.frozen_norms import sublayer_directions
from interp.attribution.logit_readout import label_tokens, token_logit
from interp.attribution.neurons import (
    active_share,
    neuron_contributions,
    project_values,
    random_projections,
    top_triggers,
    values,
)
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import bundled as bundled_prompts
from tests.support.models import random_batch, tiny


def test_values_are_what_the_layer_writes(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    _, cache = tiny_model.run_with_cache(batch, ["decoder.0.mlp.hook_post", "decoder.0.hook_mlp_out"])
    written = cache["decoder.0.mlp.hook_post"] @ values(tiny_model, 0)
    assert torch.allclose(written, cache["decoder.0.hook_mlp_out"], atol=1e-5)


def test_projection_is_the_read_out_of_the_value(tiny_model: HookedEncoderDecoder) -> None:
    neurons = torch.tensor([3, 17])
    found = project_values(tiny_model, 0, neurons, top=4)
    directions = tiny_model.logit_directions(torch.arange(tiny_model.cfg.d_vocab))
    logits = values(tiny_model, 0)[neurons] @ directions.t()
    assert torch.equal(found.raised[:, 0], logits.argmax(-1))
    assert torch.equal(found.lowered[:, 0], logits.argmin(-1))
    assert torch.allclose(found.raised_logit[:, 0], logits.amax(-1), atol=1e-5)
    assert torch.allclose(found.lowered_logit[:, 0], logits.amin(-1), atol=1e-5)
    assert (found.raised_logit.diff(dim=-1) <= 0).all()
    assert (found.lowered_logit.diff(dim=-1) >= 0).all()


def test_a_planted_value_names_its_token_and_stands_out_from_the_null() -> None:
    model = tiny("v1.1", d_model=48)
    # Rows of the unembedding are nearly orthogonal, so a value along one of them raises one token.
    row = model.logit_directions(torch.tensor(30))
    model.module("decoder.1.mlp.hook_post").weight[:, 7] = row / row.norm() * 3  # type: ignore[index]
    neurons = torch.tensor([7])
    found = project_values(model, 1, neurons, top=3)
    assert found.raised[0, 0] == 30
    null = random_projections(model, 1, torch.full((200,), 7), seed=0)
    assert float(found.largest_z) > float(null.largest_z.quantile(0.99))
    assert float(found.kurtosis) > float(null.kurtosis.quantile(0.95))


def test_the_null_keeps_lengths_and_span() -> None:
    model = tiny("t5", d_ff=5)  # five values span five of 24 dimensions
    neurons = torch.arange(5)
    one, same, other = (random_projections(model, 0, neurons, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.raised, same.raised)
    assert not torch.equal(one.raised_logit, other.raised_logit)
    own = project_values(model, 0, neurons, top=61).raised_logit
    assert one.raised_logit.shape == (5, 10)
    assert own.isfinite().all()


@pytest.mark.parametrize("name", ["t5", "v1.1"])
def test_triggers_are_the_most_active_real_rows(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    _, cache = model.run_with_cache(batch, ["decoder.2.mlp.hook_post"])
    neurons = torch.tensor([0, 9])
    found = top_triggers(cache, batch, 2, neurons, top=5)
    post = cache["decoder.2.mlp.hook_post"]
    for index, neuron in enumerate(neurons.tolist()):
        real = post[..., neuron][batch.target_mask].abs()
        assert float(found.activation[index].abs()[0]) == pytest.approx(float(real.max()))
        for prompt, row, activation in zip(found.prompt[index], found.row[index], found.activation[index], strict=True):
            assert batch.target_mask[prompt, row]
            assert post[prompt, row, neuron] == activation
    assert top_triggers(cache, batch, 2, neurons, top=1000).row.shape == (2, 42)


def test_active_share(tiny_t5: HookedEncoderDecoder, bundled: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    _, cache = tiny_t5.run_with_cache(batch, ["decoder.0.mlp.hook_post"])
    share = active_share(cache, batch, 0)
    expected = (cache["decoder.0.mlp.hook_post"][1, :17] > 0).float().mean()
    assert float(share[1]) == pytest.approx(float(expected), abs=1e-6)
    real = bundled.batch("translate English to German: The dog sleeps.", "Der Hund schläft.")
    _, cache = bundled.run_with_cache(real, ["decoder.3.mlp.hook_post"])
    assert 0 < float(active_share(cache, real, 3)) < 0.5


def test_the_most_helpful_neurons_of_the_bundled_model_name_the_answer(bundled: HookedEncoderDecoder) -> None:
    """Of the ten neurons of the last layer that raise a label most, one names it among what its value raises: in most rows,
    and far more often than of ten neurons drawn by chance."""
    batch = bundled.batch([prompt.source for prompt in bundled_prompts("translation", 8).prompts])
    logits, cache = bundled.run_with_cache(batch, ["decoder.3.mlp.hook_post", "decoder.ln_final.hook_scale"])
    labels = label_tokens(batch)
    directions = sublayer_directions(bundled, cache, token_logit(bundled, logits, labels))
    effects = neuron_contributions(bundled, cache, 3, directions["decoder.3.mlp"])

    def name_it(neurons: torch.Tensor, label: torch.Tensor) -> bool:
        return bool((project_values(bundled, 3, neurons, top=20).raised == label).any())

    rows = (labels >= 0).nonzero().tolist()
    best = sum(name_it(effects[prompt, row].topk(10).indices, labels[prompt, row]) for prompt, row in rows)
    drawn = sum(name_it(torch.randperm(effects.shape[-1])[:10], labels[prompt, row]) for prompt, row in rows)
    assert best > len(rows) / 2
    assert best > 2 * drawn
