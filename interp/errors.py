"""The one exception that means "the input is at fault", and the guess at what a misspelt name was meant to be.

The command line turns the exception into one sentence and exit code 2.
"""

import difflib
import operator
from collections.abc import Iterable
from numbers import Integral


class InputError(ValueError):
    """A user-facing error: the message says what was wrong, what was got, what is allowed, and what to do."""


def is_count(value: object) -> bool:
    """Whether a value is a whole number of at least 1; a truth value is none.

    Args:
        value: any.
    """
    return is_whole(value) and int(value) >= 1  # type: ignore[call-overload]


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; a truth value is none.

    Args:
        value: any.
    """
    return not isinstance(value, bool) and isinstance(value, Integral)


def place_of(value: object, count: int) -> int | None:
    """The place that a whole number names among `count`, from 0; None if it names none, as a truth value, a fraction or -1.

    Args:
        value: any.
        count: how many places there are.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        place = operator.index(value)
    except TypeError:  # a tensor of fractions
        return None
    return place if 0 <= place < count else None


def nearest(name: str, known: Iterable[str], most: int = 1) -> tuple[str, ...]:
    """The known names that look most like a name, best first; capitals, hyphens and underscores count as equal.

    Args:
        name: what was written.
        known: what exists.
        most: how many are offered at most.
    """

    def plain(text: str) -> str:
        return text.casefold().replace("-", "_")

    names = {plain(candidate): candidate for candidate in known}
    return tuple(names[match] for match in difflib.get_close_matches(plain(name), names, n=most, cutoff=0.5))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` with a space in front, or nothing where no known name is near.

    Args:
        name: what was written.
        known: what exists.
    """
    near = nearest(name, known)
    return f" (did you mean {near[0]!r}?)" if near else ""


def reason(error: Exception) -> str:
    """Why a file could not be read or written, as a clause that does not name it again.

    Args:
        error: what was raised.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    return str(error)
