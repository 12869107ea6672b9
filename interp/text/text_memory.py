"""Texts that are tokenized once for a model and its twins, in whichever process these are: they all read the same sentences."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_Made = TypeVar("_Made")

_LANGUAGES = ("src_lang", "tgt_lang", "source_lang", "target_lang", "language", "task")


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    tokenizer: "PreTrainedTokenizerBase"
    fingerprint: str
    made: dict[Hashable, Any] = field(default_factory=dict)


_current: ContextVar[_Memory | None] = ContextVar("current", default=None)
_last: list[_Memory] = []
"""The memory of the last block: the next block goes on with it if its tokenizer says the same of every text."""


@contextmanager
def remembering(tokenizer: "PreTrainedTokenizerBase | None") -> Iterator[None]:
    """Tokenize no text twice while a `with` block runs, in which the tokenizer must stay as it is.

    Args:
        tokenizer: whose texts are remembered; nothing is of tokenizers that cannot be compared, those in Python.
    """
    memory = None
    if tokenizer is not None and tokenizer.is_fast:
        described = f"{type(tokenizer).__qualname__} {tokenizer.backend_tokenizer.to_str()}"
        fingerprint = sha256(described.encode()).hexdigest()
        made = _last[0].made if _last and _last[0].fingerprint == fingerprint else {}
        memory = _Memory(tokenizer, fingerprint, made)
        _last[:] = [memory]
    mark = _current.set(memory)
    try:
        yield
    finally:
        _current.reset(mark)


def remembered(tokenizer: "PreTrainedTokenizerBase", key: tuple[Hashable, ...], make: Callable[[], _Made]) -> _Made:
    """What was made of a text before, or else now.

    Args:
        tokenizer: whose text it is; it is made anew for others than that of the block.
        key: all that decides it, beside the tokenizer and its languages.
        make: makes it.
    """
    memory = _current.get()
    if memory is None or memory.tokenizer is not tokenizer:
        return make()
    whole = (*key, *(getattr(tokenizer, name, None) for name in _LANGUAGES))
    if whole not in memory.made:
        memory.made[whole] = make()
    made: _Made = memory.made[whole]
    return made
