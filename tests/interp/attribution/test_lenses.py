"""Lenses: each ends at the model itself, and the two decoder curves are different things."""

import pytest
import torch
from torch import Tensor

from interp.attribution.direct_logit_attribution import decomposition_hooks
from interp.attribution.lenses import (
    accumulated_attribution,
    decoder_lens,
    decoder_lens_texts,
    encoder_outputs,
    lens_hooks,
    logit_lens,
    read_out,
    streams,
)
from interp.attribution.logit_readout import label_tokens, token_logit
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch


class Run:
    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model, self.batch = model, random_batch(model)
        hooks = (*lens_hooks(model, "encoder"), *lens_hooks(model, "decoder"), *decomposition_hooks(model.cfg))
        self.logits, self.cache = model.run_with_cache(self.batch, hooks)
        self.tokens = label_tokens(self.batch)
        self.chosen = self.logits.gather(-1, self.tokens[..., None])[..., 0]
        self.scale = float(self.logits.abs().max())

    def relative(self, first: Tensor, second: Tensor) -> float:
        return float(((first - second) * self.batch.target_mask).abs().max()) / self.scale


@pytest.fixture(scope="module")
def run(tiny_model: HookedEncoderDecoder) -> Run:
    return Run(tiny_model)


def test_logit_lens_ends_at_the_model(run: Run) -> None:
    *earlier, last = streams(run.model, run.cache, "decoder")
    assert len(earlier) == run.model.cfg.n_decoder_layers
    assert torch.allclose(read_out(run.model, last), run.logits, atol=1e-6 * run.scale)
    trajectory = logit_lens(run.model, run.cache, run.tokens)
    assert run.relative(trajectory.logit[:, -1], run.chosen) <= 1e-6
    expected = run.logits.log_softmax(-1).gather(-1, run.tokens[..., None])[..., 0]
    assert torch.allclose(trajectory.log_probability[:, -1], expected, atol=1e-5)
    assert torch.equal(trajectory.rank[:, -1], (run.logits > run.chosen[..., None]).sum(-1))


def test_a_second_norm_would_show(run: Run) -> None:
    """Reading Hugging Face's normed last hidden state as if it were the stream gives other logits (a bug of other tools)."""
    normed = run.model.module("decoder.ln_final")(list(streams(run.model, run.cache, "decoder"))[-1])
    assert float((read_out(run.model, normed) - run.logits).abs().max()) > 1e-2 * run.scale


def test_accumulated_attribution_is_the_stream_read_under_the_last_norm(run: Run) -> None:
    readout = token_logit(run.model, run.logits, run.tokens)
    curve = accumulated_attribution(run.model, run.cache, readout)
    read = readout.directions / run.cache["decoder.ln_final.hook_scale"]
    for depth, stream in enumerate(streams(run.model, run.cache, "decoder")):
        assert run.relative(curve[:, depth], (stream * read).sum(-1)) <= 2e-6
    assert run.relative(curve[:, -1], run.chosen) <= 2e-6


def test_the_two_decoder_curves_differ_before_the_end(run: Run) -> None:
    lens = logit_lens(run.model, run.cache, run.tokens).logit
    curve = accumulated_attribution(run.model, run.cache, token_logit(run.model, run.logits, run.tokens))
    assert run.relative(lens[:, 0], curve[:, 0]) > 1e-2
    assert run.relative(lens[:, -1], curve[:, -1]) <= 2e-6


def test_decoder_lens_ends_at_the_model(run: Run) -> None:
    trajectory = decoder_lens(run.model, run.batch, run.cache, run.tokens)
    assert trajectory.logit.shape[1] == run.model.cfg.n_encoder_layers + 1
    assert torch.equal(trajectory.logit[:, -1] * run.batch.target_mask, run.chosen * run.batch.target_mask)
    assert run.relative(trajectory.logit[:, 0], run.chosen) > 1e-2


def test_decoder_lens_reads_the_memory_of_the_host(run: Run) -> None:
    last = list(encoder_outputs(run.model, run.cache))[-1]
    host = run.model.hf.get_encoder()(run.batch.input_ids, run.batch.attention_mask).last_hidden_state
    assert torch.equal(last, host)


def test_decoder_lens_writes_what_the_model_writes(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(["translate English to German: The dog sleeps.", "translate English to French: A man sits."])
    _, cache = bundled.run_with_cache(batch, lens_hooks(bundled, "encoder"))
    depths = decoder_lens_texts(bundled, batch, cache)
    assert len(depths) == bundled.cfg.n_encoder_layers + 1
    assert [text.text for text in depths[-1]] == [text.text for text in batch.target_texts]
    assert [text.text for text in depths[0]] != [text.text for text in depths[-1]]


@pytest.mark.slow
def test_the_bundled_model_decides_late(bundled: HookedEncoderDecoder) -> None:
    """The rank of the label falls from thousands at the embedding to the first choice at the end."""
    batch = bundled.batch(["translate English to German: The old man sits on a wooden chair in the garden."])
    _, cache = bundled.run_with_cache(batch, lens_hooks(bundled, "decoder"))
    rank = logit_lens(bundled, cache, label_tokens(batch)).rank[0].float().mean(-1)
    assert rank[0] > 100 > rank[-1]
    assert rank[-1] < 0.5
