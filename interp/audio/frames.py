"""Frames: the positions of an encoder that reads sounds, each with a time and a category.

Of a frame with mean square e of its samples, where the loudest frame of the sound has e_max:

    speech     e > 1e-6 (-60 dB of full scale) and e > 1e-4 e_max (40 dB below the loudest frame)
    silence    any other frame that begins before the sound ends
    padding    frames behind the end of the sound, which the model reads as silence

A loud noise is speech by this rule: it hears loudness, not words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from interp.text.tokenized_text import Text
from interp.text.words import NO_WORD, PADDING, SILENCE, SPEECH

FLOOR = 1e-6
"""Mean square below which nothing is speech."""
BELOW_LOUDEST = 1e-4
"""Share of the loudest frame's mean square below which a frame is silent."""

LONGEST_SPAN = 0.2
"""Seconds of a group of frames."""


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """Frames of one category, one behind the other.

    Attributes:
        start: the first.
        stop: the one behind the last.
        category: index into `EVERY_CATEGORY`.
        label: its times.
    """

    start: int
    stop: int
    category: int
    label: str


def spans_of(categories: Sequence[int], seconds: float, longest: float = LONGEST_SPAN) -> tuple[FrameSpan, ...]:
    """Frames in groups: a new one begins where the category changes, and where one would be too long; padding is one group.

    Args:
        categories: of the frames.
        seconds: that a frame lasts.
        longest: seconds of a group.
    """
    most, starts = max(round(longest / seconds), 1), [0]
    for place, (before, category) in enumerate(pairwise(categories), 1):
        if category != before or (place - starts[-1] >= most and category != PADDING):
            starts.append(place)
    return tuple(
        FrameSpan(start, stop, categories[start], f"{start * seconds:.2f}-{stop * seconds:.2f}s")
        for start, stop in zip(starts, [*starts[1:], len(categories)], strict=True)
    )


def energies(samples: Float[np.ndarray, " sample"], width: int, n_frames: int) -> Float[np.ndarray, " frame"]:
    """Mean square of the samples of every frame, 0 behind the end of the sound.

    Args:
        samples: of a sound.
        width: samples a frame.
        n_frames: frames that the model reads.
    """
    padded = np.zeros(n_frames * width)
    padded[: len(samples)] = samples
    return np.asarray(np.square(padded).reshape(n_frames, width).mean(1))


def categories_of_frames(samples: Float[np.ndarray, " sample"], width: int, n_frames: int) -> Int[np.ndarray, " frame"]:
    """Category of every frame: an index into `interp.text.words.EVERY_CATEGORY`.

    Args:
        samples: of a sound.
        width: samples a frame.
        n_frames: frames that the model reads.
    """
    energy = energies(samples, width, n_frames)
    loud = (energy > FLOOR) & (energy > BELOW_LOUDEST * energy.max())
    behind = np.arange(n_frames) * width >= len(samples)
    return np.where(behind, PADDING, np.where(loud, SPEECH, SILENCE))


def as_text(name: str, categories: Int[np.ndarray, " frame"], seconds: float) -> Text:
    """A sound in the place of a source text: no words, every frame called by the time at which it begins.

    Args:
        name: of the sound.
        categories: of its frames.
        seconds: that a frame lasts.
    """
    places = range(len(categories))
    return Text(
        text=name,
        ids=tuple(places),
        pieces=tuple(f"{place * seconds:.2f}s" for place in places),
        words=(),
        word_of_token=(NO_WORD,) * len(categories),
        category_of_token=tuple(categories.tolist()),
    )
