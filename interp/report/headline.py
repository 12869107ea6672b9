"""What does a section say in a glance, and what in five sentences?

A plain sentence has one number with its interval in brackets, names such as `XL2H4` aside, and no p-value. What stands behind it
(controls, tests, exact rules) is opened by whoever asks. Terminal, notebook and page print the same ones.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

Sureness = Literal["beyond all controls", "within the controls", "not judged"]
"""How a number stands to its controls; without controls, or where nothing was measured, it is not judged."""

MARKS: dict[Sureness, str] = {"beyond all controls": "●", "within the controls": "◐", "not judged": "○"}

_MOST_WORDS = 20
_P_VALUE = re.compile(r"\bp\s*[=<>]")


def judge(estimate: Any, holds: bool = True) -> Sureness:
    """How sure a single estimate is: whether its whole interval lies outside whatever one more control may have.

    Fewer than two controls do not tell what one more may have.

    Args:
        estimate: with `low`, `high` and `control_bounds`, one number each, as `interp.statistics.Estimate` has them.
        holds: whether what else is asked of it, such as a test, holds.
    """
    low, high, least, most = map(float, (estimate.low, estimate.high, *estimate.control_bounds))
    if not all(map(math.isfinite, (low, high, least, most))):
        return "not judged"
    return "beyond all controls" if holds and (low > most or high < least) else "within the controls"


@dataclass(frozen=True, slots=True)
class Headline:
    """What a section says at a glance.

    Attributes:
        sentence: at most 20 words with at most one number.
        sureness: how it stands to its controls.
        figure: name of the section's main figure; empty where it has none.

    Raises:
        ValueError: if the sentence is longer, or has a p-value.
    """

    sentence: str
    sureness: Sureness
    figure: str = ""

    def __post_init__(self) -> None:
        _check_plain(self.sentence)
        words = len(self.sentence.split())
        if words > _MOST_WORDS:
            raise ValueError(f"A headline has at most {_MOST_WORDS} words, got {words}: {self.sentence!r}.")

    @property
    def mark(self) -> str:
        """The first word of its sureness, for styles."""
        return self.sureness.split()[0]

    def __str__(self) -> str:
        return f"{MARKS[self.sureness]} {self.sentence} ({self.sureness})"


@dataclass(frozen=True, slots=True)
class Finding:
    """One of the few sentences that a section begins with.

    Attributes:
        sentence: plain, with at most one number and its interval.
        behind: what stands behind it, such as controls and tests, in full sentences.

    Raises:
        ValueError: if the sentence is empty, or has a p-value.
    """

    sentence: str
    behind: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_plain(self.sentence)


def _check_plain(sentence: str) -> None:
    if not sentence.strip() or _P_VALUE.search(sentence):
        raise ValueError(f"A plain sentence says something, and nothing of p-values; got {sentence!r}.")
