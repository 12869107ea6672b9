"""Word links between a source and a target: gold ones, those a pattern implies, and how far apart they are.

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|),  S within P        Och and Ney 2003, summed over prompts before dividing

Links of a pattern: weights to a word are summed over its pieces, from a word averaged over its pieces, and the target word
is linked to the strongest source word (Kobayashi et al. 2020). The row of a target piece is the one that predicts it
(`output`) or the one that reads it, one later (`input`; Chen et al. 2020). If prefix or end of sentence is stronger than
every word, there is no link. Words are those of `interp.text.words`, counted from 0 after the task prefix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.prompts import Prompt
from interp.statistics import merge_ties
from interp.text.tokenized_text import Text
from interp.text.word_links import Gold, read_link
from interp.text.words import NO_WORD, PREFIX

Step = Literal["output", "input"]
STEPS: tuple[Step, ...] = ("output", "input")


def gold_links(text: str) -> Gold:
    """Read the links of one prompt, such as `0-0 1-2 2p1`: source, `-` for sure or `p` for possible, target; counted from 0.

    Raises:
        InputError: if a part is no link, or there is no sure link.
    """
    sure, possible = set(), set()
    for part in text.split():
        found = read_link(part)
        if found is None:
            raise InputError(f"{part!r} is no word link; write 0-2 (sure) or 0p2 (possible), source first, from 0.")
        possible.add(found[:2])
        if found[2]:
            sure.add(found[:2])
    if not sure:
        raise InputError(f"The links {text!r} hold no sure link; give at least one, such as 0-0.")
    return Gold(frozenset(sure), frozenset(possible))


def links_by_source(prompts: Sequence[Prompt], text: str) -> dict[str, str]:
    """Source -> its line of a gold file, one line a prompt; empty lines are prompts without links.

    Raises:
        InputError: if there is not one line for each prompt, a line is no links, or equal sources have different ones.
    """
    lines = text.splitlines()
    if len(lines) != len(prompts):
        raise InputError(
            f"The gold file has {len(lines)} lines for {len(prompts)} prompts; give one line for each prompt."
        )
    found: dict[str, str] = {}
    for prompt, line in zip(prompts, lines, strict=True):
        if line.strip():
            gold_links(line)
            if found.setdefault(prompt.source, line) != line:
                raise InputError(
                    f"Prompt {prompt.id} has the source of another one and other gold links; give equal ones."
                )
    return found


def counts(found: set[tuple[int, int]], gold: Gold) -> tuple[int, int]:
    """|A & S| + |A & P| and |A| + |S|: AER is 1 minus the ratio of their sums over prompts."""
    return len(found & gold.sure) + len(found & gold.possible), len(found) + len(gold.sure)


@dataclass(frozen=True, slots=True, eq=False)
class WordGrid:
    """Which pieces of a prompt make which words.

    Attributes:
        source: word of every source piece, counted after the prefix; -1 for prefix and end of sentence.
        target: word of every target piece (label); -1 for end of sentence.
    """

    source: Int[np.ndarray, " source"]
    target: Int[np.ndarray, " target"]

    @classmethod
    def of(cls, source: Text, target: Text) -> "WordGrid":
        """The grid of one prompt."""
        return cls(_words(source), _words(target))

    @property
    def size(self) -> tuple[int, int]:
        """Number of source and of target words."""
        return int(self.source.max(initial=-1)) + 1, int(self.target.max(initial=-1)) + 1

    def links(self, pattern: Float[np.ndarray, "*heads row source"], step: Step) -> np.ndarray:
        """For every head the source word of every target word, -1 where there is no link: [*heads word].

        Args:
            pattern: cross-attention of one prompt without padding.
            step: whether a target piece is looked up in the row that predicts it or in the row that reads it.
        """
        rows = np.arange(len(self.target)) + (step == "input")
        usable = (self.target >= 0) & (rows < pattern.shape[-2])
        targets = np.zeros((self.size[1], pattern.shape[-2]))
        targets[self.target[usable], rows[usable]] = 1.0
        targets /= np.maximum(targets.sum(-1, keepdims=True), 1.0)
        words = np.eye(max(self.size[0], 1))[self.source] * (self.source >= 0)[:, None]  # a prefix alone has no word
        special = np.eye(len(self.source))[:, self.source < 0]
        mean = np.einsum("wr,...rs->...ws", targets, pattern)
        to_words, to_special = mean @ words, (mean @ special).max(-1, initial=0.0)
        strongest = merge_ties(to_words).argmax(-1)
        linked = (to_words.max(-1) > to_special) & (targets.sum(-1) > 0)
        return np.where(linked, strongest, -1)


def _words(text: Text) -> Int[np.ndarray, " piece"]:
    inside = [
        word if word != NO_WORD and category != PREFIX else -1
        for word, category in zip(text.word_of_token, text.category_of_token, strict=True)
    ]
    first = min((word for word in inside if word >= 0), default=0)
    return np.array([word - first if word >= 0 else -1 for word in inside], dtype=np.int64)


def diagonal_links(size: tuple[int, int]) -> set[tuple[int, int]]:
    """Every target word linked to the source word at the same share of the text: the baseline that needs no attention."""
    source, target = size
    return {(round(word * (source - 1) / max(target - 1, 1)), word) for word in range(target)}


def as_pairs(links: Int[np.ndarray, " word"]) -> set[tuple[int, int]]:
    """(source word, target word) of every target word that is linked."""
    return {(int(source), target) for target, source in enumerate(links) if source >= 0}
