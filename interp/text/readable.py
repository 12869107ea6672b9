"""Ids as the text that a reader sees: what a model wrote, without the tokens that only begin, end or fill a text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from interp.text.languages import languages_of
from interp.text.words import PREFIX, SENTINEL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FIXED = ("bos", "eos", "unk", "pad", "sep", "cls", "mask")
"""Special tokens that carry no content."""


def readable(ids: Sequence[int], special: Mapping[int, int], tokenizer: "PreTrainedTokenizerBase") -> str:
    """The text of ids; sentinels, special tokens that somebody added and the unknown token are what the model says.

    Args:
        ids: the ids.
        special: place -> category of the tokens that are no piece of text.
        tokenizer: the model's tokenizer.
    """
    added = _added(tokenizer) if PREFIX in special.values() else set()
    told = {place for place, kind in special.items() if kind == SENTINEL or (kind == PREFIX and ids[place] in added)}
    silent = {ids[place] for place in special.keys() - told}
    spoken = [token for token in ids if token not in silent]
    text: str = tokenizer.decode(spoken, skip_special_tokens=not told and tokenizer.unk_token_id not in spoken)
    return text


def _added(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Special tokens with content: none of those that the class names, no language, no mark of a speech model."""
    if hasattr(tokenizer, "set_prefix_tokens"):
        return set()
    fixed = {getattr(tokenizer, f"{name}_token_id", None) for name in _FIXED}
    return set(tokenizer.all_special_ids) - fixed - set(languages_of(tokenizer, None, -1).codes.values())
