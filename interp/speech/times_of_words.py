"""When words are said, by cross-attention: dynamic time warping through the heads that follow the sound.

The procedure is that of Whisper's own word times (Radford et al. 2023; their released code): of the alignment heads, the rows
that predict tokens of the text and its end over the frames of the sound, padding left out,

    1. standardized over rows, frame by frame     a frame that every row listens to says nothing
    2. a median over 7 neighboring frames
    3. mean over heads
    4. the monotone path of tokens over frames with the largest sum (dynamic time warping; Sakoe and Chiba 1978)

A token begins at the first frame of the path that is its own, a word with its first token; it ends where the next token begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.speech.focus import seconds_a_frame
from interp.text.batch import Batch
from interp.text.tokenized_text import Text
from interp.text.words import NO_WORD, PADDING

MEDIAN_WIDTH = 7


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and when it is said, in seconds."""

    word: str
    start: float
    end: float


def alignment_heads(model: HookedEncoderDecoder) -> tuple[HeadId, ...]:
    """The heads that follow the sound: those that the checkpoint names, else all of the later half of the decoder's layers.

    Args:
        model: a model that reads sounds.

    Raises:
        InputError: if the checkpoint names heads that it has not.
    """
    cfg = model.cfg
    named = getattr(model.hf.generation_config, "alignment_heads", None)
    if named is None:
        late = range(cfg.n_decoder_layers // 2, cfg.n_decoder_layers)
        return tuple(HeadId("cross", layer, head) for layer in late for head in range(cfg.n_decoder_heads))
    heads = tuple(HeadId("cross", int(layer), int(head)) for layer, head in named)
    for one in heads:
        if not (0 <= one.layer < cfg.n_decoder_layers and 0 <= one.head < cfg.n_decoder_heads):
            raise InputError(
                f"The checkpoint names {one} among its alignment_heads and has no such head; check its files."
            )
    return heads


@torch.no_grad()
def word_times(
    model: HookedEncoderDecoder,
    batch: Batch,
    cache: ActivationCache,
    prompt: int = 0,
    heads: Iterable[HeadId | str] | None = None,
) -> tuple[TimedWord, ...]:
    """When the words of a target are said; marks are no words.

    Args:
        model: a model that reads sounds.
        batch: sounds with targets.
        cache: with the patterns of cross-attention (`FOCUS_HOOKS`).
        prompt: which of the sounds.
        heads: heads that are followed, or their labels; those of `alignment_heads` by default.

    Raises:
        InputError: if the model reads no sounds, or no head is given.
    """
    seconds, text = seconds_a_frame(model), batch.target_texts[prompt]
    given = alignment_heads(model) if heads is None else heads
    chosen = [HeadId.parse(one) if isinstance(one, str) else one for one in given]
    if not chosen:
        raise InputError("Times are found by cross heads; give at least one, such as XL3H1.")
    rows = [row for row in range(len(text.ids)) if row not in text.forced]
    n_frames = int((batch.source_categories[prompt] != PADDING).sum())
    patterns = [cache[one.hook_name("pattern")][prompt, one.head, rows, :n_frames].float() for one in chosen]
    starts = token_starts(torch.stack(patterns).cpu().numpy())
    return _words(text, rows, [*(starts * seconds).tolist(), n_frames * seconds])


def token_starts(patterns: Float[np.ndarray, "head target source"]) -> Int[np.ndarray, " target"]:
    """The frame at which every row begins, by the path through the rows of some heads.

    Args:
        patterns: rows of the text over the frames of the sound.
    """
    deviation = patterns.std(1, keepdims=True)
    centered = patterns - patterns.mean(1, keepdims=True)
    standard = np.divide(centered, deviation, out=np.zeros_like(centered), where=deviation > 0)
    return first_frames(-_median(standard).mean(0, dtype=float))


def _median(values: Float[np.ndarray, "head target source"]) -> Float[np.ndarray, "head target source"]:
    """Medians over neighboring frames, mirrored at the ends; of sounds of three frames or fewer the values themselves."""
    reach = MEDIAN_WIDTH // 2
    if values.shape[-1] <= reach:
        return values
    padded = np.pad(values, ((0, 0), (0, 0), (reach, reach)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_WIDTH, -1)
    return np.asarray(np.median(windows, -1))


def first_frames(cost: Float[np.ndarray, "target source"]) -> Int[np.ndarray, " target"]:
    """The first frame of every row on the cheapest path from the first row and frame to the last, one step at a time.

    Args:
        cost: of every row and frame.
    """
    n_rows, n_frames = cost.shape
    total = np.full((n_rows + 1, n_frames + 1), np.inf)
    total[0, 0] = 0.0
    came = np.zeros((n_rows + 1, n_frames + 1), np.int8)
    came[0, 1:], came[1:, 0] = 2, 1
    for diagonal in range(2, n_rows + n_frames + 1):  # entries of one antidiagonal do not need each other
        row = np.arange(max(1, diagonal - n_frames), min(n_rows, diagonal - 1) + 1)
        frame = diagonal - row
        both, up, left = total[row - 1, frame - 1], total[row - 1, frame], total[row, frame - 1]
        step = np.where((both < up) & (both < left), 0, np.where((up < both) & (up < left), 1, 2))
        came[row, frame] = step
        total[row, frame] = cost[row - 1, frame - 1] + np.choose(step, [both, up, left])
    starts = np.zeros(n_rows, np.int64)
    row, frame = n_rows, n_frames
    while row > 0:
        starts[row - 1] = frame - 1
        step = came[row, frame]
        row, frame = row - (step != 2), frame - (step != 1)
    return starts


def _words(text: Text, rows: Sequence[int], times: Sequence[float]) -> tuple[TimedWord, ...]:
    """Words of the rows' tokens; time i is when the token of row i begins, and the last when the sound ends."""
    found: dict[int, tuple[float, float]] = {}
    for place, row in enumerate(rows):
        word = text.word_of_token[row]
        if word != NO_WORD and any(character.isalnum() for character in text.words[word]):
            start = found.get(word, (times[place], 0.0))[0]
            found[word] = (start, times[place + 1])
    return tuple(TimedWord(text.words[word], *when) for word, when in found.items())
