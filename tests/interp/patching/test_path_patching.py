"""Path patching: only the path asked for carries the corruption."""

import pytest
import torch
from torch import Tensor

from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.interventions import patch
from interp.patching.path_patching import Receiver, path_patch
from interp.text.batch import Batch, collate
from tests.support.models import random_batch

Runs = tuple[Batch, ActivationCache, ActivationCache, Tensor]


@pytest.fixture(scope="module")
def runs(tiny_t5: HookedEncoderDecoder) -> Runs:
    """A clean batch, its run, the run of other sources and targets of the same lengths, and the clean logits."""
    batch, other = random_batch(tiny_t5), random_batch(tiny_t5, seed=9)
    other = collate(other.source_texts, other.target_texts, tiny_t5.cfg, tiny_t5.decoder_inputs, "given")
    with torch.no_grad():
        logits, clean = tiny_t5.run_with_cache(batch)
        _, corrupted = tiny_t5.run_with_cache(other)
    return batch, clean, corrupted, logits


def edited_run(model: HookedEncoderDecoder, batch: Batch, edits: list) -> tuple[Tensor, ActivationCache]:
    with torch.no_grad(), model.hooks(edits):
        return model.run_with_cache(batch)


def test_only_the_receiving_head_hears_the_sender(tiny_t5: HookedEncoderDecoder, runs: Runs) -> None:
    batch, clean, corrupted, logits = runs
    edits = path_patch(tiny_t5, batch, clean, corrupted, ["EL0H3"], ["XL1H2.k", "XL1H2.v"])
    got, cache = edited_run(tiny_t5, batch, edits)
    for layer in range(2):
        assert torch.equal(cache["z", layer, "encoder"], clean["z", layer, "encoder"])
    assert torch.equal(cache["z", 0, "cross_attn"], clean["z", 0, "cross_attn"])
    z, before = cache["z", 1, "cross_attn"], clean["z", 1, "cross_attn"]
    assert torch.equal(z[:, :, [0, 1, 3, 4]], before[:, :, [0, 1, 3, 4]])
    assert not torch.equal(z[:, :, 2], before[:, :, 2])
    assert not torch.equal(got, logits)


def test_the_strict_path_moves_the_receivers_input_by_the_senders_write_alone(
    tiny_t5: HookedEncoderDecoder, runs: Runs
) -> None:
    """The query of XL2 reads the clean stream plus (corrupted - clean) result of DL0H1, normed anew."""
    batch, clean, corrupted, _ = runs
    edits = path_patch(tiny_t5, batch, clean, corrupted, ["DL0H1"], ["XL2H4.q"], through="residual")
    _, cache = edited_run(tiny_t5, batch, edits)
    name = "decoder.0.attn.hook_result"
    stream = clean["decoder.2.hook_resid_mid"] + (corrupted[name] - clean[name])[:, :, 1]
    norm, attention = tiny_t5.module("decoder.2.ln2"), tiny_t5.module("decoder.2.cross_attn")
    wanted = attention.q(norm(stream)).unflatten(-1, (5, 4))[:, :, 4]
    torch.testing.assert_close(cache["q", 2, "cross_attn"][:, :, 4], wanted, atol=5e-6, rtol=1e-4)


def test_the_strict_path_to_the_logits_is_the_stream_plus_the_senders_change(
    tiny_t5: HookedEncoderDecoder, runs: Runs
) -> None:
    batch, clean, corrupted, _ = runs
    edits = path_patch(tiny_t5, batch, clean, corrupted, ["XL1H0"], "logits", through="residual")
    got, _ = edited_run(tiny_t5, batch, edits)
    name = "decoder.1.cross_attn.hook_result"
    stream = clean["decoder.2.hook_resid_post"] + (corrupted[name] - clean[name])[:, :, 0]
    with torch.no_grad():
        wanted = tiny_t5.hf.lm_head(tiny_t5.module("decoder.ln_final")(stream) * tiny_t5.cfg.logit_scale)
    torch.testing.assert_close(got, wanted, atol=5e-6, rtol=1e-4)


def test_through_mlps_differs_from_the_strict_path_where_an_mlp_lies_between(
    tiny_t5: HookedEncoderDecoder, runs: Runs
) -> None:
    batch, clean, corrupted, _ = runs

    def effect(sender: str, receiver: str, through: str) -> Tensor:
        edits = path_patch(tiny_t5, batch, clean, corrupted, [sender], [receiver], through=through)
        return edited_run(tiny_t5, batch, edits)[0]

    assert not torch.equal(effect("DL0H1", "XL1H0.q", "mlps"), effect("DL0H1", "XL1H0.q", "residual"))
    near = effect("DL1H1", "XL1H0.q", "mlps"), effect("DL1H1", "XL1H0.q", "residual")
    torch.testing.assert_close(*near, atol=1e-6, rtol=1e-6)


def test_no_path_leads_backwards(tiny_t5: HookedEncoderDecoder, runs: Runs) -> None:
    batch, clean, corrupted, logits = runs
    edits = path_patch(tiny_t5, batch, clean, corrupted, ["DL2H1"], ["XL0H0.q", "XL0H0.k"])
    torch.testing.assert_close(edited_run(tiny_t5, batch, edits)[0], logits, atol=1e-6, rtol=1e-6)


def test_every_head_to_the_logits_through_everything_is_plain_patching(
    tiny_t5: HookedEncoderDecoder, runs: Runs
) -> None:
    batch, clean, corrupted, _ = runs
    heads = [HeadId(kind, layer, head) for kind in ("decoder", "cross") for layer in range(3) for head in range(5)]
    edits = path_patch(tiny_t5, batch, clean, corrupted, heads, "logits")
    got, _ = edited_run(tiny_t5, batch, edits)
    wanted, _ = edited_run(tiny_t5, batch, patch(heads, corrupted))
    torch.testing.assert_close(got, wanted, atol=2e-6, rtol=1e-5)


def test_receivers_are_read_from_labels() -> None:
    assert Receiver.parse("XL2H1.q") == Receiver(HeadId("cross", 2, 1), "q")
    for wrong in ("XL2H1", "XL2H1.z", "X2.q"):
        with pytest.raises(InputError, match=r"no receiver; write a head and its input|is no head label"):
            Receiver.parse(wrong)
