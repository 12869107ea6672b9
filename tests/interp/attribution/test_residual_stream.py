"""The residual stream is the sum of its writers, and a logit the sum over them: exact identities, so the bars are rounding.

Bars: residual 1e-6 relative, logits 2e-6 of the largest |logit|, in float32, on every family, padded, on unequal depths.
"""

import pytest
import torch

from interp.attribution.residual_stream import component_labels, contribution_hooks, decoder_contributions, residual_gap
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import logit_directions
from interp.text.batch import IGNORED_LABEL
from tests.support.models import random_batch, tiny_hf


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_the_stream_is_the_sum_of_its_writers(tiny_model: HookedEncoderDecoder, stack: str) -> None:
    batch = random_batch(tiny_model, target_lengths=(33, 17, 12))
    _, cache = tiny_model.run_with_cache(batch)
    assert residual_gap(tiny_model, cache, stack).max() < 1e-6


def test_a_logit_is_the_sum_over_the_writers(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model, target_lengths=(33, 17, 12))
    logits, cache = tiny_model.run_with_cache(batch, names_filter=contribution_hooks())
    tokens = batch.labels.clamp_min(0)
    parts = decoder_contributions(tiny_model, cache, logit_directions(tiny_model, tokens))
    wanted = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    assert (parts.total() - wanted).abs().max() < 2e-6 * logits.abs().max()


def test_a_logit_difference_is_attributed_by_the_difference_of_directions(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    logits, cache = tiny_t5.run_with_cache(batch)
    first, second = torch.full_like(batch.labels, 7), torch.full_like(batch.labels, 9)
    directions = logit_directions(tiny_t5, first) - logit_directions(tiny_t5, second)
    parts = decoder_contributions(tiny_t5, cache, directions)
    assert (parts.total() - (logits[..., 7] - logits[..., 9])).abs().max() < 2e-6 * logits.abs().max()


def test_a_heads_contribution_is_what_removing_its_write_takes_under_the_frozen_norm(
    tiny_t5: HookedEncoderDecoder,
) -> None:
    """Zero a head of the last layer with the final scale and everything behind the head held: the logit falls by its part."""
    batch = random_batch(tiny_t5)
    tokens = torch.full_like(batch.labels, 11)
    clean, cache = tiny_t5.run_with_cache(batch)
    part = decoder_contributions(tiny_t5, cache, logit_directions(tiny_t5, tokens)).cross[..., 2, 3]

    def zero_head(z: torch.Tensor, hook: object) -> torch.Tensor:
        return z.clone().index_fill_(2, torch.tensor([3]), 0.0)

    def hold(name: str):
        return (name, lambda tensor, hook: cache[name])

    edits = [
        ("decoder.2.cross_attn.hook_z", zero_head),
        hold("decoder.2.hook_mlp_out"),
        hold("decoder.ln_final.hook_scale"),
    ]
    with torch.no_grad():
        ablated = tiny_t5.run_with_hooks(batch, edits)
    torch.testing.assert_close(clean[..., 11] - ablated[..., 11], part, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float64, 1e-7), (torch.bfloat16, 0.1)])
def test_other_types_have_the_gap_of_their_own_rounding(dtype: torch.dtype, bar: float) -> None:
    model = HookedEncoderDecoder(tiny_hf("v1.1").to(dtype))
    batch = random_batch(model)
    logits, cache = model.run_with_cache(batch)
    tokens = batch.labels.masked_fill(batch.labels == IGNORED_LABEL, 0)
    parts = decoder_contributions(model, cache, logit_directions(model, tokens))
    gap = (parts.total() - logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)).abs().max() / logits.abs().max()
    assert gap < bar


def test_component_labels_are_in_reading_order() -> None:
    labels = component_labels(2, 2)
    assert labels[:6] == ("embedding", "DL0H0", "DL0H1", "XL0H0", "XL0H1", "DL0MLP")
    assert len(labels) == 1 + 2 * (2 * 2 + 1)
