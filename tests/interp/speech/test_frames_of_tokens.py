"""Focus over time and attribution to frames: by loops, by hand, and adding up to what the decomposition says."""

import math

import numpy as np
import pytest
import torch

from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.attribution.source_attribution import encoder_attribution
from interp.audio import spans_of
from interp.errors import InputError
from interp.speech import by_span, frame_contributions, time_focus
from interp.text.words import EVERY_CATEGORY, PADDING, SILENCE, SPEECH
from tests.support.models import random_batch, tiny


def test_focus_is_the_mean_and_the_deviation_of_time() -> None:
    model = tiny("whisper")
    batch = random_batch(model)
    with torch.no_grad():
        _, cache = model.run_with_cache(batch)
    found = time_focus(model, batch, cache, prompt=1)
    pattern = cache["pattern", 2, "cross_attn"][1, 4, 5].tolist()
    middles = [0.01 + 0.02 * place for place in range(50)]
    center = sum(share * time for share, time in zip(pattern, middles, strict=True))
    spread = math.sqrt(sum(share * (time - center) ** 2 for share, time in zip(pattern, middles, strict=True)))
    assert found.center[2, 4, 5] == pytest.approx(center, rel=1e-5)
    assert found.spread[2, 4, 5] == pytest.approx(spread, rel=1e-4)
    of_speech = sum(
        share for share, kind in zip(pattern, batch.source_categories[1].tolist(), strict=True) if kind == SPEECH
    )
    assert found.shares[0, 2, 4, 5] == pytest.approx(of_speech, rel=1e-5)
    np.testing.assert_allclose(found.shares.sum(0), 1, atol=1e-6)
    assert found.center.shape == (3, 10, 17), "rows that predict a token of this sound, padding left out"
    assert found.base.sum() == pytest.approx(1)
    frame, heads = found.to_frame(), found.to_heads()
    assert frame["center (s)"][5] == pytest.approx(found.center[:, :, 5].mean())
    assert heads["speech"][24] == pytest.approx(found.shares[0, 2, 4].mean())
    assert heads["head"][24] == "XL2H4"


def test_focus_needs_a_sound() -> None:
    model = tiny("bart")
    batch = random_batch(model)
    _, cache = model.run_with_cache(batch)
    with pytest.raises(InputError, match="this model has source='tokens'"):
        time_focus(model, batch, cache)


def test_frames_add_up_to_heads_and_to_the_encoders_parts() -> None:
    model = tiny("whisper")
    batch = random_batch(model)
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, [*decomposition_hooks(model.cfg), "decoder.*.cross_attn.hook_v"])
        tokens = label_tokens(batch)
        found = decompose(model, cache, logit_difference(model, logits, tokens, runner_up(model, logits, tokens)))
        frames = frame_contributions(model, cache, found)
        largest = found.values.abs().max()
        labels = [one.label for one in found.components]
        for layer in range(3):
            for head in range(10):
                wanted = found.values[..., labels.index(f"XL{layer}H{head}")]
                assert (frames[:, layer, head].sum(-1) - wanted).abs().max() < 1e-5 * largest
        split = encoder_attribution(model, cache, found)
    over_heads = frames.sum((1, 2))
    bias = split[..., -1]
    assert (split.sum(-1) - over_heads).abs().max() < 2e-5 * largest
    assert bias.abs().max() > 0, "the bias of the values is in the frames too"


def test_spans_are_of_one_category_short_and_cover_every_frame() -> None:
    categories = [SPEECH] * 23 + [SILENCE] * 4 + [SPEECH] * 3 + [PADDING] * 40
    spans = spans_of(categories, 0.02)
    assert [(one.start, one.stop) for one in spans] == [(0, 10), (10, 20), (20, 23), (23, 27), (27, 30), (30, 70)]
    assert [one.label for one in spans[:2]] == ["0.00-0.20s", "0.20-0.40s"]
    assert [EVERY_CATEGORY[one.category] for one in spans[-3:]] == ["silence", "speech", "padding"]
    assert [one.stop - one.start for one in spans_of([SPEECH] * 3, 0.02, 0.001)] == [1, 1, 1]
    values = torch.arange(70.0).expand(2, 70)
    grouped = by_span(values, spans)
    assert grouped.shape == (2, 6)
    assert grouped[0, 3] == 23 + 24 + 25 + 26
    assert grouped.sum() == values.sum()
