"""Gold parses: CoNLL-U sentences, and how far a fixed offset alone goes for every relation.

Relations are taken without their subtypes (`nsubj:pass` counts as `nsubj`); roots and punctuation do not count in accuracies
over all words. The baseline of a relation is the most frequent distance of head and dependent (Voita et al. 2019; Clark et
al. 2019).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from interp.errors import InputError, reason
from interp.input_files import read_regular
from interp.text.words import Span

Direction = Literal["dependent to head", "head to dependent"]
DIRECTIONS: tuple[Direction, ...] = ("dependent to head", "head to dependent")


@dataclass(frozen=True, slots=True)
class Parse:
    """One parsed sentence.

    Attributes:
        text: the sentence as it is written.
        spans: half-open character range of every word; the words of a contraction share the range of what is written.
        heads: index of every word's head; -1 for the root.
        relations: relation of every word to its head, without subtype.
    """

    text: str
    spans: tuple[Span, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]

    def pairs(self, direction: Direction) -> list[tuple[str, int, int]]:
        """(relation, word that attends, word it should attend to) for every word but the root."""
        found = [
            (relation, word, head)
            for word, (head, relation) in enumerate(zip(self.heads, self.relations, strict=True))
            if head >= 0
        ]
        if direction == "dependent to head":
            return found
        return [(relation, head, word) for relation, word, head in found]


@dataclass(frozen=True, slots=True)
class OffsetBaseline:
    """The best fixed offset of one relation and direction.

    Attributes:
        offset: distance, in words, from the attending word to the other one.
        accuracy: share of the relation's pairs at that distance.
        count: number of pairs.
    """

    offset: int
    accuracy: float
    count: int


def read_conllu(path: str | Path) -> tuple[Parse, ...]:
    """Read a CoNLL-U file.

    Raises:
        InputError: if there is no such file, the `conllu` package is missing, or the file holds no parsed sentence.
    """
    try:
        return parse_conllu(read_regular(Path(path)).decode("utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"There is no CoNLL-U file {str(path)!r} ({error.strerror}); give the path of a file with gold parses."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is no text in UTF-8 ({reason(error)}); give a CoNLL-U file.") from error
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from error


@lru_cache(maxsize=4)
def parse_conllu(text: str) -> tuple[Parse, ...]:
    """The parsed sentences of a CoNLL-U file, each text once, so that no head is chosen and judged on the same one.

    Raises:
        InputError: if the `conllu` package is missing, or the text holds no parsed sentence.
    """
    try:
        conllu: Any = import_module("conllu")
    except ModuleNotFoundError as error:
        raise InputError("Reading CoNLL-U needs the package `conllu`; install it with `pip install conllu`.") from error
    try:
        first: dict[str, Parse] = {}
        for parse in map(_parse, conllu.parse(text)):
            first.setdefault(parse.text, parse)
    except (conllu.exceptions.ParseException, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"The text is no CoNLL-U with heads and relations ({type(error).__name__}: {error})."
        ) from error
    if not first:
        raise InputError("The text holds no sentence; give CoNLL-U with gold parses.")
    return tuple(first.values())


def as_conllu(parses: Sequence[Parse]) -> str:
    """The same sentences as CoNLL-U text with nothing but words, heads and relations, for settings that carry them."""
    return "\n".join(_sentence(parse) for parse in parses)


def _sentence(parse: Parse) -> str:
    lines = []
    for number, (span, head, relation) in enumerate(zip(parse.spans, parse.heads, parse.relations, strict=True), 1):
        inside = [place for place, other in enumerate(parse.spans, 1) if other == span]
        form = parse.text[slice(*span)]
        spaced = "_" if parse.text[span[1] : span[1] + 1] == " " else "SpaceAfter=No"
        if len(inside) > 1 and number == inside[0]:
            lines.append("\t".join((f"{inside[0]}-{inside[-1]}", form, *("_",) * 7, spaced)))
        lines.append("\t".join((str(number), form, *("_",) * 4, str(head + 1), relation, "_", spaced)))
    return "\n".join(lines) + "\n"


def _parse(sentence: Any) -> Parse:
    """Lay the written tokens side by side and give every word the range of what is written for it."""
    text, covered = "", 0
    spans: dict[int, Span] = {}
    words = [token for token in sentence if isinstance(token["id"], int)]
    for token in sentence:
        number = token["id"]
        contraction = isinstance(number, tuple) and number[1] == "-"
        if not contraction and (not isinstance(number, int) or number <= covered):
            continue  # an empty node, or a word inside a contraction
        span = (len(text), len(text) + len(token["form"]))
        last = number[2] if contraction else number
        spans |= dict.fromkeys(range(number[0] if contraction else number, last + 1), span)
        covered = last
        text += token["form"] + ("" if (token["misc"] or {}).get("SpaceAfter") == "No" else " ")
    place = {token["id"]: index for index, token in enumerate(words)}
    for token in words:
        head = token["head"]
        if head == token["id"] or (head != 0 and head not in place):
            raise InputError(
                f"Word {token['id']} ({token['form']!r}) of the sentence {text.strip()[:60]!r} has the head {head}; a head is "
                f"another word of its sentence, 1 to {len(words)}, or 0 for the root."
            )
    return Parse(
        text=text.rstrip(),
        spans=tuple(spans[token["id"]] for token in words),
        heads=tuple(place.get(token["head"], -1) for token in words),
        relations=tuple(token["deprel"].split(":")[0] for token in words),
    )


def offset_baselines(parses: Sequence[Parse], direction: Direction = "dependent to head") -> dict[str, OffsetBaseline]:
    """The best fixed offset of every relation, on these sentences."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for parse in parses:
        for relation, word, other in parse.pairs(direction):
            counts[relation][other - word] += 1
    return {relation: _most_frequent(counter) for relation, counter in sorted(counts.items())}


def offset_accuracy(parses: Sequence[Parse], offset: int) -> float:
    """Share of all words but roots and punctuation whose head stands at one offset."""
    pairs = [pair for parse in parses for pair in parse.pairs("dependent to head") if pair[0] != "punct"]
    if not pairs:
        raise InputError("The parses hold no word with a head; give sentences with gold parses.")
    return sum(head - word == offset for _, word, head in pairs) / len(pairs)


def _most_frequent(counter: Counter[int]) -> OffsetBaseline:
    offset = min(counter, key=lambda candidate: (-counter[candidate], abs(candidate), candidate))
    return OffsetBaseline(offset, counter[offset] / counter.total(), counter.total())
