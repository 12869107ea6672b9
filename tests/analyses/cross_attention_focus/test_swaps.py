"""Minimal pairs: only the exchanged token differs, the numbers are those of the definition, and a planted head is found."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from analyses.cross_attention_focus import FocusSettings, observe, summarize
from analyses.cross_attention_focus.measure.token_swaps import compare, exchanges, swapped
from analyses.cross_attention_focus.present.section import present
from analyses.cross_attention_focus.present.token_swaps import swap_figure, swap_sentences, swap_table
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.words import CONTENT, PREFIX
from tests.support.cross_focus import class_batch, evidence, planted, run_pass
from tests.support.models import random_batch

pytestmark = pytest.mark.slow


def test_one_token_of_the_category_is_exchanged_and_nothing_else() -> None:
    model = planted(["prefix", None, "content"])
    batch = class_batch(model, n_prompts=5)
    content = batch.input_ids[batch.source_categories == CONTENT].unique().tolist()
    swap = swapped(batch, dict.fromkeys(content, 60), CONTENT)
    assert swap.changed.sum(1).tolist() == [1] * 5
    assert (swap.batch.input_ids[swap.changed] == 60).all()
    assert torch.equal(swap.batch.input_ids[~swap.changed], batch.input_ids[~swap.changed])
    assert (swap.changed.int().argmax(1) == (batch.source_categories == CONTENT).int().argmax(1)).all()
    assert torch.equal(swap.batch.labels, batch.labels)
    assert not swapped(batch, dict.fromkeys(content, 60), PREFIX).changed.any()


def test_the_bundled_vocabulary_knows_the_languages_and_no_tokenizer_knows_nothing(
    bundled: HookedEncoderDecoder,
) -> None:
    assert bundled.tokenizer is not None
    german, french = bundled.tokenizer.convert_tokens_to_ids(["▁German", "▁French"])
    assert exchanges(bundled.tokenizer, "language") == {german: french, french: german}
    assert len(exchanges(bundled.tokenizer, "word")) >= 12
    assert exchanges(None, "language") == {}


def test_movement_agrees_with_plain_loops(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    run = run_pass(tiny_t5, batch)
    first = int(batch.input_ids[1, 0])
    others = {first: 7 if first != 7 else 8}
    swap = swapped(batch, others, PREFIX)
    got = compare(run, swap)
    with torch.no_grad():
        _, cache = tiny_t5.run_with_cache(swap.batch, "decoder.2.cross_attn.hook_pattern")
    before, after = run.cache["pattern", 2, "cross_attn"][1, 3], cache["pattern", 2, "cross_attn"][1, 3]
    n_target, n_source = int(batch.target_mask[1].sum()), int(batch.source_mask[1].sum())
    moved, gained = [], []
    for t in range(n_target):
        p, q = before[t, :n_source].tolist(), after[t, :n_source].tolist()
        middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
        kl = [sum(a * math.log(a / m) for a, m in zip(row, middle, strict=True)) for row in (p, q)]
        moved.append(sum(kl) / 2 / math.log(2))
        gained.append(q[0] - p[0])
    assert float(got["moved"][1, 2, 3]) == pytest.approx(np.mean(moved), rel=1e-3, abs=1e-7)
    assert float(got["start"][1, 2, 3]) == pytest.approx(moved[0], rel=1e-2, abs=1e-7)
    assert float(got["gained"][1, 2, 3]) == pytest.approx(np.mean(gained), rel=1e-3, abs=1e-7)
    untouched = ~swap.changed.any(1)
    assert untouched.any()
    assert got["moved"][untouched].isnan().all()


def test_a_batch_without_such_a_token_costs_no_pass_and_gives_no_numbers(tiny_t5: HookedEncoderDecoder) -> None:
    run = run_pass(tiny_t5, random_batch(tiny_t5))
    arrays = observe(run)
    assert np.isnan(arrays["swap.language.moved"]).all()
    assert arrays["swap.word.gained"].shape == (3, 3, 5)
    assert not [
        name for name in observe(dataclasses.replace(run, settings=FocusSettings(swaps=False))) if "swap" in name
    ]


def test_a_planted_reader_of_the_exchanged_class_moves_and_even_readers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    model = planted(["prefix", None, "content"])
    batch = class_batch(model)
    # The partner of every prefix token is a punctuation mark, which the reader of prefixes in layer 0 does not read.
    exchange = dict.fromkeys(range(3, 9), 50)
    monkeypatch.setattr(
        "analyses.cross_attention_focus.measure.token_swaps.exchanges",
        lambda tokenizer, kind: exchange if kind == "language" else {},
    )
    focus = summarize(evidence(model, batch))
    assert list(focus.swaps) == ["language"]
    moved = focus.swaps["language"]
    assert moved.n_sentences == 12
    assert (moved.moved.low[0] > 0.05).all()
    assert (moved.moved.high[1:] < 0.01).all()
    # One of three prefix tokens, read almost evenly, is lost.
    np.testing.assert_allclose(moved.gained.point[0], -1 / 3, atol=0.02)
    (sentence,) = swap_sentences(focus)
    assert "moves the heads of layer 0 by 0.1" in sentence or "moves the heads of layer 0 by 0.2" in sentence
    assert "most moved is XL0H" in sentence
    assert "changes by −0.3" in sentence
    table = swap_table(focus).frame
    assert table["head"].str.startswith("XL0").head(5).all()
    assert "untrained twins at most" in swap_figure(focus).alt
    assert "cross-focus-swaps" in [getattr(block, "name", "") for block in present(focus).blocks]
