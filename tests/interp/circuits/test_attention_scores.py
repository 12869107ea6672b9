"""Scores taken apart: complete in every family and kind of attention, and true where the writers are known."""

import pytest
import torch

from interp.attribution.logit_readout import FLOAT32_GAP
from interp.circuits.attention_scores import decompose_scores, score_hooks
from interp.compiled import corrupted_pairs
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.patching.minimal_pairs import pair_batch
from tests.support.compiled import compiled_model, planned
from tests.support.models import BART_FAMILIES, FAMILIES, WHISPER_FAMILIES, random_batch, tiny


@pytest.mark.parametrize("family", [*FAMILIES, *BART_FAMILIES, *WHISPER_FAMILIES])
def test_the_parts_add_up_to_the_scores(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model, (9, 6), (5, 7))
    last = model.cfg.n_encoder_layers - 1
    for head in (
        HeadId("encoder", last, 2),
        HeadId("decoder", 0, 1),
        HeadId("cross", model.cfg.n_decoder_layers - 1, 3),
    ):
        _, cache = model.run_with_cache(batch, score_hooks(model, head))
        found = decompose_scores(model, cache, str(head), 4, prompt=1)
        assert found.gap < FLOAT32_GAP
        seen = ~found.values.isnan().any(-1).any(-1)
        # All source tokens, or the query and what is before it.
        assert int(seen.sum()) == (5 if head.kind == "decoder" else int(batch.source_mask[1].sum()))
        assert found.values[seen].abs().amax((0, 1)).min() > 0 or head.layer == 0
        assert (found.position_bias.abs().max() > 0) == (family in FAMILIES and head.kind != "cross")
        assert found.contrast(1).shape == found.values.shape[1:]


@pytest.mark.parametrize("name", ["copy", "translate", "noisy-translate"])
def test_the_true_writers_are_named_in_every_row(name: str) -> None:
    """A cross head asks by the target's token and finds what the heads before wrote: that pair lifts the key it attends to."""
    plan, model = planned(name), compiled_model(name)
    batch = pair_batch(model, corrupted_pairs(plan, "encoder", 12)).clean
    head = HeadId("cross", 0, 0)
    _, cache = model.run_with_cache(batch, [*score_hooks(model, head), "decoder.0.cross_attn.hook_pattern"])
    writers = {edge.writer for edge in plan.edges() if edge.receiver == "XL0H0.k"}
    for prompt in range(len(batch)):
        for row in range(int(batch.decoder_attention_mask[prompt].sum())):
            found = decompose_scores(model, cache, head, row, prompt)
            lifted = found.contrast(int(cache["decoder.0.cross_attn.hook_pattern"][prompt, 0, row].argmax()))
            place = divmod(int(lifted.argmax()), lifted.shape[1])
            assert (found.query_parts[place[0]], found.key_parts[place[1]]) in {("embedding", one) for one in writers}


def test_heads_and_queries_that_are_not_there_are_refused() -> None:
    model = tiny("t5")
    batch = random_batch(model)
    with pytest.raises(InputError, match="no head EL0H9"):
        score_hooks(model, HeadId("encoder", 0, 9))
    _, cache = model.run_with_cache(batch, score_hooks(model, HeadId("encoder", 1, 0)))
    with pytest.raises(InputError, match="no query 40"):
        decompose_scores(model, cache, "EL1H0", 40)
    found = decompose_scores(model, cache, "EL1H0", 3)
    torch.testing.assert_close(found.contrast(1, 2), found.values[1] - found.values[2])
