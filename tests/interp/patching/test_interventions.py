"""Interventions: each does what its definition says, checked by hand or against another way to compute it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from interp.attribution.direct_logit_attribution import decompose
from interp.attribution.logit_readout import token_logit
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.interventions import knock_out, patch, zero
from interp.text.batch import Batch, collate
from interp.text.token_sets import every, first, last
from tests.support.array_types import unchecked
from tests.support.models import random_batch

HEADS = ["EL1H2", "DL0H4", "XL2H1"]


def run(model: HookedEncoderDecoder, batch: Batch, edits: list) -> tuple[Tensor, dict[str, Tensor]]:
    with torch.no_grad(), model.hooks(edits):
        logits, cache = model.run_with_cache(batch)
    return logits, dict(cache)


@pytest.mark.parametrize("label", HEADS)
def test_zeroing_a_head_removes_its_write_and_leaves_its_neighbors(tiny_t5: HookedEncoderDecoder, label: str) -> None:
    batch = random_batch(tiny_t5)
    name, head = HeadId.parse(label).hook_name("z"), HeadId.parse(label).head
    _, clean = run(tiny_t5, batch, [])
    logits, edited = run(tiny_t5, batch, zero([label]))
    assert edited[name][:, :, head].eq(0).all()
    others = [h for h in range(5) if h != head]
    assert torch.equal(edited[name][:, :, others], clean[name][:, :, others])
    out = name.replace("attn.hook_z", "hook_attn_out").replace("cross_hook_attn_out", "hook_cross_attn_out")
    lost = tiny_t5.compute_result(name.replace("hook_z", "hook_result"), clean[name])[:, :, head]
    torch.testing.assert_close(edited[out], clean[out] - lost, atol=2e-6, rtol=1e-5)
    assert not torch.equal(logits, clean["unembed.hook_out"])


def test_zeroing_equals_pruning_the_heads_rows_of_the_output_matrix(tiny_t5: HookedEncoderDecoder) -> None:
    import copy

    batch = random_batch(tiny_t5)
    pruned = HookedEncoderDecoder(copy.deepcopy(tiny_t5.hf))
    pruned.module("decoder.2.cross_attn").o.weight.data[:, 4:8] = 0
    with torch.no_grad():
        torch.testing.assert_close(tiny_t5.run_with_hooks(batch, zero(["XL2H1"])), pruned(batch), atol=2e-6, rtol=1e-5)


def test_an_edit_at_some_positions_leaves_the_others(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    at = last(batch, "target")
    _, clean = run(tiny_t5, batch, [])
    _, edited = run(tiny_t5, batch, zero(["DL1H0", "decoder.2.hook_mlp_out"], at))
    z = edited["decoder.1.attn.hook_z"]
    assert z[at][:, 0].eq(0).all()
    assert torch.equal(z[~at], clean["decoder.1.attn.hook_z"][~at])
    assert edited["decoder.2.hook_mlp_out"][at].eq(0).all()
    assert not edited["decoder.2.hook_mlp_out"][~at].eq(0).all(-1).any()


def test_patching_nothing_or_itself_changes_nothing(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    logits, cache = tiny_t5.run_with_cache(batch)
    assert torch.equal(tiny_t5.run_with_hooks(batch, patch([], cache)), logits)
    every_z = [name for name in tiny_t5.hook_points() if name.endswith("hook_z")]
    assert torch.equal(tiny_t5.run_with_hooks(batch, patch(every_z, cache)), logits)


def test_all_cross_heads_of_another_source_give_the_logits_of_that_source(tiny_t5: HookedEncoderDecoder) -> None:
    """The encoder speaks to the decoder through cross-attention alone (methods J.5)."""
    batch, other = with_other_sources(tiny_t5)
    wanted, cache = tiny_t5.run_with_cache(other)
    heads = [HeadId("cross", layer, head) for layer in range(3) for head in range(5)]
    with torch.no_grad():
        got = tiny_t5.run_with_hooks(batch, patch(heads, cache))
        memory = patch(["encoder.ln_final.hook_normalized"], cache)
        assert torch.equal(tiny_t5.run_with_hooks(batch, memory), wanted)
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-6)


def with_other_sources(model: HookedEncoderDecoder) -> tuple[Batch, Batch]:
    """Two batches of the same lengths and the same targets, with different sources."""
    batch, drawn = random_batch(model), random_batch(model, seed=5)
    return batch, collate(drawn.source_texts, batch.target_texts, model.cfg, model.decoder_inputs, "given")


def test_patching_from_a_run_of_another_shape_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5, source_lengths=(4, 4, 4)))
    with pytest.raises(InputError, match=r"Cannot patch encoder\.0\.attn\.hook_z: .* need the same number of tokens"):
        tiny_t5.run_with_hooks(random_batch(tiny_t5), patch(["EL0H0"], cache))


def test_a_head_that_does_not_exist_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match=r"decoder\.2\.cross_attn\.hook_z has heads 0 to 4; got head 9"):
        tiny_t5.run_with_hooks(random_batch(tiny_t5), zero(["XL2H9"]))
    with pytest.raises(KeyError, match=r"decoder\.7\.cross_attn\.hook_z"):
        tiny_t5.run_with_hooks(random_batch(tiny_t5), zero(["XL7H0"]))


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_knocked_out_attention_equals_masked_scores(tiny_t5: HookedEncoderDecoder, kind: str) -> None:
    batch = random_batch(tiny_t5)
    queries = last(batch, "source" if kind == "encoder" else "target")
    keys = first(batch, "target" if kind == "decoder" else "source")
    points = {"encoder": "encoder.*.attn.hook_attn_scores", "decoder": "decoder.*.attn.hook_attn_scores"}
    point = points.get(kind, "decoder.*.cross_attn.hook_attn_scores")
    cut = queries[:, None, :, None] & keys[:, None, None, :]
    depth = 2 if kind == "encoder" else 3
    with torch.no_grad():
        got = tiny_t5.run_with_hooks(batch, knock_out(kind, range(depth), queries, keys))
        wanted = tiny_t5.run_with_hooks(batch, [(point, lambda s, hook: s.masked_fill(cut, -torch.inf))])
        clean = tiny_t5(batch)
    torch.testing.assert_close(got, wanted, atol=5e-6, rtol=1e-5)
    assert (got - clean).abs().max() > 1e-4


def test_knock_out_of_one_head_without_renormalizing(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    edits = knock_out("cross", [1], every(batch, "target"), last(batch, "source"), [3], remaining="unchanged")
    _, clean = run(tiny_t5, batch, [])
    _, edited = run(tiny_t5, batch, edits)
    name = "decoder.1.cross_attn.hook_pattern"
    before, after = clean[name], edited[name]
    assert torch.equal(after[:, [0, 1, 2, 4]], before[:, [0, 1, 2, 4]])
    row = int(batch.source_mask[0].sum()) - 1
    assert after[0, 3, :5, row].eq(0).all()
    torch.testing.assert_close(after[0, 3, 0].sum(), 1 - before[0, 3, 0, row])


def test_a_row_with_nothing_left_becomes_zero_and_not_nan(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    edits = knock_out("cross", [0], every(batch, "target"), every(batch, "source"))
    logits, edited = run(tiny_t5, batch, edits)
    assert edited["decoder.0.cross_attn.hook_z"][batch.target_mask].eq(0).all()
    assert logits.isfinite().all()


def test_edits_add_up(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    with torch.no_grad():
        both = tiny_t5.run_with_hooks(batch, zero(["XL2H1"]) + zero(["XL2H3", "DL0H0"]))
        at_once = tiny_t5.run_with_hooks(batch, zero(["XL2H1", "XL2H3", "DL0H0"]))
    assert torch.equal(both, at_once)


def test_zeroing_with_everything_else_held_is_minus_the_attribution(tiny_t5: HookedEncoderDecoder) -> None:
    """methods J.6: with downstream writers and the final scale frozen, the effect is the direct logit attribution."""
    batch = random_batch(tiny_t5)
    tokens = torch.full_like(batch.labels, 8)
    logits, cache = tiny_t5.run_with_cache(batch)
    part = decompose(tiny_t5, cache, token_logit(tiny_t5, logits, tokens)).of("DL1H2")
    later = ["decoder.1.cross_attn.hook_z", "decoder.2.attn.hook_z", "decoder.2.cross_attn.hook_z"]
    held = [*later, "decoder.1.hook_mlp_out", "decoder.2.hook_mlp_out", "decoder.ln_final.hook_scale"]
    with torch.no_grad():
        ablated = tiny_t5.run_with_hooks(batch, zero(["DL1H2"]) + patch(held, cache))
    torch.testing.assert_close(logits[..., 8] - ablated[..., 8], part, atol=1e-5, rtol=1e-4)


def test_one_head_stands_for_a_list_of_one(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    for head in ("XL2H1", HeadId("cross", 2, 1)):
        with unchecked():
            edits = zero(head)
        assert torch.equal(run(tiny_t5, batch, edits)[0], run(tiny_t5, batch, zero(["XL2H1"]))[0])


@pytest.mark.parametrize("wrong", [3, None, ("z", 2, "cross_attn")])
def test_what_is_no_target_is_refused(wrong: Any) -> None:
    with unchecked(), pytest.raises(InputError, match="is no head label"):
        zero([wrong])


@pytest.mark.parametrize("wrong", [3, [True], torch.ones(3, 17), torch.ones(3, 17).long()])
def test_positions_are_truth_values(tiny_t5: HookedEncoderDecoder, wrong: Any) -> None:
    batch = random_batch(tiny_t5)
    with unchecked(), pytest.raises(InputError, match=r"truth values, \[batch pos\]"):
        run(tiny_t5, batch, zero(["XL2H1"], at=wrong))
    with unchecked(), pytest.raises(InputError, match=r"truth values, \[batch pos\]"):
        run(tiny_t5, batch, knock_out("decoder", [0], None, wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "cros"},
        {"remaining": "kept"},
        {"layers": 0},
        {"heads": 1},
        {"heads": ["0"]},
        {"heads": [True]},
        {"heads": [1.0]},
    ],
)
def test_a_knock_out_that_is_none_is_refused(tiny_t5: HookedEncoderDecoder, wrong: dict[str, Any]) -> None:
    batch = random_batch(tiny_t5)
    given = {"kind": "decoder", "layers": [0], "queries": None, "keys": last(batch, "target"), **wrong}
    with unchecked(), pytest.raises(InputError, match=r"A knock-out is of|are given as a list|has heads 0 to 4"):
        run(tiny_t5, batch, knock_out(**given))
