"""Words timed by cross-attention: planted patterns are found, the path is the host's and by hand, errors and controls by hand."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers.models.whisper.generation_whisper import _dynamic_time_warping, _median_filter

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.speech import TimedWord, alignment_heads, read_times, timing_error, word_times
from interp.speech.times_of_words import first_frames, token_starts
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny

STARTS = (0, 7, 9, 18, 21, 30, 33)
"""Frames at which the tokens of a sound of 38 frames begin, the last of which ends it."""


def blocks(starts: tuple[int, ...], n_frames: int, noise: float = 0.0) -> np.ndarray:
    """Rows that listen to their own frames."""
    stops = (*starts[1:], n_frames)
    rows = np.full((len(starts), n_frames), 0.02)
    for row, (start, stop) in zip(rows, zip(starts, stops, strict=True), strict=True):
        row[start:stop] = 1.0
    rows += noise * np.random.default_rng(0).random(rows.shape)
    return rows / rows.sum(1, keepdims=True)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_blocks_are_found_where_they_were_put(noise: float) -> None:
    found = token_starts(np.stack([blocks(STARTS, 38, noise), blocks(STARTS, 38, noise / 2)]))
    assert np.abs(found - STARTS).max() <= 2, "a median over 7 frames moves edges of blocks as short as 2"
    assert np.abs(token_starts(blocks((0, 10, 20), 38)[None]) - (0, 10, 20)).max() == 0


def test_the_path_is_the_cheapest_of_all_and_the_hosts() -> None:
    generator = np.random.default_rng(0)
    for n_rows, n_frames in ((3, 5), (4, 4), (5, 3), (1, 6), (4, 1)):
        cost = generator.normal(size=(n_rows, n_frames))
        text, time = _dynamic_time_warping(cost)
        jumps = np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)
        found = first_frames(cost)
        assert found.tolist() == time[jumps].tolist()
        assert path_cost(cost, found) == pytest.approx(
            min(path_cost(cost, one) for one in all_starts(n_rows, n_frames))
        )


def all_starts(n_rows: int, n_frames: int) -> list[np.ndarray]:
    """Every way in which rows may begin, one behind the other; the first begins at the first frame."""
    later = itertools.combinations_with_replacement(range(n_frames), n_rows - 1)
    return [np.array([0, *one]) for one in later]


def path_cost(cost: np.ndarray, starts: np.ndarray) -> float:
    """The cheapest path whose rows begin there: a row lasts until the next begins, or one frame less, a step aside."""
    ends = [*starts[1:], cost.shape[1] - 1]
    total = 0.0
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        last = row == len(starts) - 1
        spans = [cost[row, start : end + 1].sum()]
        if not last and end > start:
            spans.append(cost[row, start:end].sum())
        total += min(spans)
    return total


def test_the_whole_procedure_is_the_hosts() -> None:
    generator = np.random.default_rng(1)
    weights = generator.dirichlet(np.full(41, 0.3), size=(3, 9)).astype(np.float32)
    given = torch.tensor(weights)[None]
    std, mean = torch.std(given, dim=-2, keepdim=True, unbiased=False), torch.mean(given, dim=-2, keepdim=True)
    matrix = _median_filter((given - mean) / std, 7).mean(dim=1)[0]
    text, time = _dynamic_time_warping(-matrix.double().numpy())
    jumps = np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)
    assert token_starts(weights).tolist() == time[jumps].tolist()


def test_a_frame_that_all_rows_read_alike_says_nothing() -> None:
    rows = np.full((1, 3, 12), 1 / 12)
    found = token_starts(rows)
    assert np.isfinite(found).all()
    assert token_starts(rows[:, :1]).tolist() == [0]


def planted(model: HookedEncoderDecoder, batch: Batch) -> tuple[TimedWord, ...]:
    """Times of a target whose rows listen to blocks, by heads that are made to."""
    text = batch.target_texts[0]
    rows = torch.full((*batch.decoder_input_ids.shape, 50), 1 / 50)
    rows[0, : len(text.ids), :38] = torch.tensor(blocks(STARTS, 38), dtype=torch.float32)
    rows[0, : len(text.ids), 38:] = 0.0

    def listen(pattern: Tensor, hook: HookPoint) -> Tensor:
        edited = pattern.clone()
        edited[:, 3] = rows
        return edited

    with torch.no_grad(), model.hooks([("decoder.1.cross_attn.hook_pattern", listen)]):
        _, cache = model.run_with_cache(batch, "decoder.*.cross_attn.hook_pattern")
    return word_times(model, batch, cache, heads=["XL1H3"])


def test_words_are_said_when_their_first_token_is_and_until_the_next_token() -> None:
    """Seven tokens, two a word, the last ends the text: 0 and 9, 18, 30 begin words and 33 the end."""
    model = tiny("whisper")
    batch = random_batch(model, source_lengths=(15, 9), target_lengths=(7, 4))
    found = planted(model, batch)
    assert [one.word for one in found] == list(batch.target_texts[0].words)
    assert len(found) == 3
    wanted = [(0, 9), (9, 21), (21, 33)]
    for one, (start, end) in zip(found, wanted, strict=True):
        assert one.start == pytest.approx(start * 0.02, abs=0.041)
        assert one.end == pytest.approx(end * 0.02, abs=0.041)


def test_marks_and_forced_tokens_are_no_words() -> None:
    model = tiny("whisper")
    batch = random_batch(model, source_lengths=(15, 9), target_lengths=(7, 4))
    text = batch.target_texts[0]
    marked = replace(text, forced=(0, 1), words=("mark", "!", *text.words[2:]))
    batch = replace(batch, target_texts=(marked, batch.target_texts[1]))
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, "decoder.*.cross_attn.hook_pattern")
    assert [one.word for one in word_times(model, batch, cache)] == [text.words[2]]


def test_heads_are_the_checkpoints_or_those_of_later_layers() -> None:
    model = tiny("whisper")
    assert {one.layer for one in alignment_heads(model)} == {1, 2}
    assert len(alignment_heads(model)) == 20
    model.hf.generation_config.alignment_heads = [[0, 1], [2, 9]]
    assert alignment_heads(model) == (HeadId("cross", 0, 1), HeadId("cross", 2, 9))
    model.hf.generation_config.alignment_heads = [[3, 0]]
    with pytest.raises(InputError, match="names XL3H0 among its alignment_heads"):
        alignment_heads(model)


def test_errors_and_controls_are_what_a_hand_computes() -> None:
    """Speech in frames 0 to 12 and 26 to 38 of 38: three words spread evenly begin at 0, 0.2533 and 0.5067 s."""
    batch = random_batch(tiny("whisper"), source_lengths=(15, 9), target_lengths=(7, 4))
    speech = batch.source_categories[0].eq(7).nonzero()
    assert (int(speech.min()), int(speech.max())) == (0, 37)
    found = [TimedWord("A", 0.1, 0.2), TimedWord("cat,", 0.2, 0.3), TimedWord("sleeps", 0.6, 0.7)]
    given = [TimedWord("a", 0.0, 0.2), TimedWord("Cat", 0.25, 0.3), TimedWord("sleeps", 0.5, 0.7)]
    judged = timing_error(found, given, batch, 0.02)
    assert judged.error == pytest.approx((0.1 + 0.05 + 0.1) / 3)
    assert judged.even == pytest.approx((0 + abs(0.76 / 3 - 0.25) + abs(2 * 0.76 / 3 - 0.5)) / 3)
    every = [np.abs(np.array(order) - (0.0, 0.25, 0.5)).mean() for order in itertools.permutations((0.1, 0.2, 0.6))]
    assert judged.shuffled == pytest.approx(np.mean(every))
    assert judged.to_frame()["error (s)"].tolist() == pytest.approx([0.1, 0.05, 0.1])


def test_times_of_other_words_are_refused() -> None:
    batch = random_batch(tiny("whisper"))
    found = [TimedWord("a", 0.0, 1.0), TimedWord("cat", 1.0, 2.0)]
    for given, message in (
        (
            [TimedWord("a", 0.0, 1.0), TimedWord("dog", 1.0, 2.0)],
            "Word 2 of the given times is 'dog' and of the target 'cat'",
        ),
        ([TimedWord("a", 0.0, 1.0)], "Word 2 of the given times is 'nothing' and of the target 'cat'"),
    ):
        with pytest.raises(InputError, match=message):
            timing_error(found, given, batch, 0.02)
    with pytest.raises(InputError, match="has no word"):
        timing_error([], [], batch, 0.02)


def test_times_are_read_from_a_label_track(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("0.00\t0.25\tthe\n\n0.25\t0.5\tcat\n", encoding="utf-8")
    assert read_times(path) == (TimedWord("the", 0.0, 0.25), TimedWord("cat", 0.25, 0.5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no times"),
        ("0.5\t0.25\tthe", "Line 1 of 'labels.txt' is"),
        ("nan\t0.25\tthe", "with start not behind end"),
        ("0 1 the", "start<TAB>end<TAB>word"),
        ("0\t1\t!", "no line for marks"),
        ("0\t1", "Line 1"),
    ],
)
def test_lines_that_are_no_times_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_times(tmp_path / "labels.txt")


def test_times_need_sounds() -> None:
    model = tiny("t5")
    batch = random_batch(model)
    _, cache = model.run_with_cache(batch)
    with pytest.raises(InputError, match="Times are those of sounds; this model has source='tokens'"):
        word_times(model, batch, cache)
