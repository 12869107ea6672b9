"""The untrained twin: same architecture, new weights, logits of the size of a fresh model, global randomness untouched."""

import pytest
import torch

from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from tests.support.models import random_batch


def test_the_twin_has_the_same_shape_and_other_weights(tiny_model: HookedEncoderDecoder) -> None:
    twin = untrained_twin(tiny_model, seed=3)
    assert twin.cfg == tiny_model.cfg
    assert twin.tied_embeddings is tiny_model.tied_embeddings
    own = dict(tiny_model.hf.named_parameters())
    different = [name for name, weight in twin.hf.named_parameters() if not torch.equal(weight, own[name])]
    assert len(different) == len(own)
    assert not any(weight.requires_grad for weight in twin.hf.parameters())
    assert not twin.hf.training


def test_its_logits_have_standard_deviation_about_one(tiny_model: HookedEncoderDecoder) -> None:
    logits = untrained_twin(tiny_model, seed=0)(random_batch(tiny_model))
    assert 0.5 < float(logits.std()) < 2.0


@pytest.mark.slow
def test_the_twin_of_the_bundled_model_is_not_saturated(bundled: HookedEncoderDecoder) -> None:
    twin = untrained_twin(bundled, seed=0)
    logits = twin(bundled.batch(["translate English to German: The dog is running."], ["Der Hund rennt."]))
    assert 0.5 < float(logits.std()) < 2.0
    assert twin.tokenizer is bundled.tokenizer
    assert twin.max_length == bundled.max_length


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_gives_one_twin_and_leaves_the_global_random_state(tiny_t5: HookedEncoderDecoder, seed: int) -> None:
    state = torch.random.get_rng_state()
    first, second = untrained_twin(tiny_t5, seed), untrained_twin(tiny_t5, seed)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.hf.parameters(), second.hf.parameters(), strict=True))
    other = untrained_twin(tiny_t5, seed + 1)
    assert not torch.equal(first.hf.shared.weight, other.hf.shared.weight)
