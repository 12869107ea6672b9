"""The builders themselves: dimensions that cannot be mistaken for each other, the same weights for the same name."""

import pytest
import torch

from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import FAMILIES, random_batch, tiny, tiny_hf


def test_every_dimension_of_the_tiny_t5_is_different(tiny_t5: HookedEncoderDecoder) -> None:
    cfg = tiny_t5.cfg
    sizes = [cfg.n_encoder_layers, cfg.n_decoder_layers, cfg.n_decoder_heads, cfg.d_decoder_head]
    sizes += [cfg.d_model, cfg.d_decoder_mlp, cfg.d_vocab]
    assert len(set(sizes)) == len(sizes)
    assert cfg.n_decoder_heads * cfg.d_decoder_head != cfg.d_model


@pytest.mark.parametrize("name", FAMILIES)
def test_same_name_same_weights_and_the_global_random_state_is_untouched(name: str) -> None:
    state = torch.random.get_rng_state()
    first, second = tiny_hf(name), tiny_hf(name)
    assert torch.equal(torch.random.get_rng_state(), state)
    for (key, one), (_, other) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert torch.equal(one, other), key
    assert any(
        not torch.equal(a, b) for a, b in zip(first.parameters(), tiny_hf(name, seed=1).parameters(), strict=True)
    )


@pytest.mark.parametrize(("name", "tied"), [("t5", True), ("v1.1", False), ("mt5", False), ("umt5", False)])
def test_tying_is_what_the_name_says(name: str, tied: bool) -> None:
    assert tiny(name).tied_embeddings is tied


def test_random_batch_pads_both_sides_from_lengths(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5, source_lengths=(15, 12, 19), target_lengths=(13, 17, 12))
    assert batch.attention_mask.sum(1).tolist() == [15, 12, 19]
    assert batch.decoder_attention_mask.sum(1).tolist() == [13, 17, 12]
    assert batch.labels[0, 12] == tiny_t5.cfg.eos_token_id
    assert batch.labels[0, 13:].eq(-100).all()
