"""How far found times of words are from given ones, and how far times would be that know nothing of the words.

    error        mean |found start - given start| over words, in seconds
    even         the same of words spread evenly over the speech of the sound: what knowing its length alone gives
    shuffled     the same of the found times in random order, its expectation: mean over all pairs of a found and a given start

Times are worth something if their error is well below that of an even spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp.errors import InputError, reason
from interp.input_files import read_regular
from interp.report.framed import Framed
from interp.speech.times_of_words import TimedWord
from interp.text.batch import Batch
from interp.text.words import SPEECH

GivenWord = TimedWord
"""A word with the times that somebody gave it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimingError(Framed):
    """Found times of words beside given ones.

    Attributes:
        words: the words.
        found: when they begin, in seconds, as found.
        given: the same as given.
        error: mean distance of the two, in seconds.
        even: that of words spread evenly over the speech.
        shuffled: that of the found times in random order.
    """

    words: tuple[str, ...]
    found: Float[np.ndarray, " word"]
    given: Float[np.ndarray, " word"]
    error: float
    even: float
    shuffled: float

    def to_frame(self) -> pd.DataFrame:
        """One row a word."""
        error = np.abs(self.found - self.given)
        columns = {"found (s)": self.found, "given (s)": self.given, "error (s)": error}
        return pd.DataFrame({"word": self.words, **columns})


def timing_error(
    found: Sequence[TimedWord], given: Sequence[GivenWord], batch: Batch, seconds: float, prompt: int = 0
) -> TimingError:
    """How far found times are from given ones.

    Args:
        found: the words of a target, with the times that were found.
        given: the same words, with the true ones.
        batch: the sounds, whose frames say where speech begins and ends.
        seconds: that a frame lasts.
        prompt: which of the sounds.

    Raises:
        InputError: if there are no words, or they are not the same.
    """
    if not found:
        raise InputError("The target has no word, so nothing can be timed; give a target with words.")
    ours, theirs = ([_letters(one.word) for one in words] for words in (found, given))
    if ours != theirs:
        place = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        words = [side[place].word if place < len(side) else "nothing" for side in (given, found)]
        raise InputError(
            f"Word {place + 1} of the given times is {words[0]!r} and of the target {words[1]!r}; times are compared word by "
            "word, so give the target that was timed (--target)."
        )
    starts, true = (np.array([one.start for one in words]) for words in (found, given))
    spoken = (batch.source_categories[prompt] == SPEECH).nonzero()[:, 0].cpu().numpy()
    first, last = (0, 0) if not len(spoken) else (spoken[0], spoken[-1] + 1)
    even = seconds * (first + (last - first) * np.arange(len(true)) / len(true))
    return TimingError(
        words=tuple(one.word for one in found),
        found=starts,
        given=true,
        error=float(np.abs(starts - true).mean()),
        even=float(np.abs(even - true).mean()),
        shuffled=float(np.abs(starts[:, None] - true).mean()),
    )


def _letters(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())


def read_times(path: Path) -> tuple[GivenWord, ...]:
    """Words and their times from a file: a line each with start, end and word, tabs in between, as label tracks are exported.

    Args:
        path: of the file.

    Raises:
        InputError: if it cannot be read, or a line is none of these.
    """
    try:
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The times {str(path)!r} cannot be read ({reason(error)}); give UTF-8 text.") from error
    found = [_word(line, number, path.name) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{path.name!r} holds no times; a line is `start<TAB>end<TAB>word`, in seconds.")
    return tuple(found)


def _word(line: str, number: int, name: str) -> GivenWord:
    parts = line.split("\t")
    try:
        start, end = float(parts[0]), float(parts[1])
        word = parts[2].strip()
    except (ValueError, IndexError):
        start, end, word = 0.0, -1.0, ""
    if not (isfinite(start) and isfinite(end) and 0 <= start <= end and _letters(word)):
        raise InputError(
            f"Line {number} of {name!r} is {line[:60]!r}; a line is `start<TAB>end<TAB>word`, in seconds, with start not behind "
            "end, and no line for marks."
        )
    return GivenWord(word, start, end)
