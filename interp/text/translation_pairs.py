"""Translation pairs: which sentences a model is trained on or measured with.

A pair file is tab-separated text, one pair a line, gzipped where its name ends in `.gz`: corpus, target language, source with
its task prefix, target. The prefix is one that is known ("translate English to German: ", ">>deu<< "), else everything up to the
first colon and space, as T5 was taught its tasks (Raffel et al. 2020); a source for a model without tasks has none.
"""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from interp.errors import InputError, reason
from interp.input_files import open_regular, read_at_most
from interp.text.words import task_prefix

FORM = "corpus<TAB>language<TAB>source<TAB>target"
"""Of a line."""
_PREFIX_END = ": "


@dataclass(frozen=True, slots=True)
class TranslationPair:
    """One line of a pair file.

    Attributes:
        corpus: where the pair comes from, as named in the file, e.g. `tatoeba`.
        language: code of the target language, e.g. `de`.
        source: the source text with its task prefix, if the model reads one.
        target: the reference translation.
    """

    corpus: str
    language: str
    source: str
    target: str

    @property
    def prefix(self) -> str:
        """The task prefix, its colon and space included; empty where the source has none."""
        told = len(task_prefix(self.source)) or self.source.find(_PREFIX_END) + 1
        return self.source[: len(self.source) - len(self.source[told:].lstrip())] if told else ""

    @property
    def sentence(self) -> str:
        """The source without its prefix."""
        return self.source[len(self.prefix) :]


def read_pairs(path: Path) -> tuple[TranslationPair, ...]:
    """The pairs of a file.

    Args:
        path: the file.

    Raises:
        InputError: if the file is missing, is no UTF-8 text or no gzip, holds no pair, or has a line that is no pair; the message
            names the line.
    """
    try:
        lines = _lines(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no pair file {str(path)!r}. Give a file with lines {FORM}.") from error
    except (OSError, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            f"The pair file {str(path)!r} cannot be read ({reason(error)}). Give UTF-8 text, gzipped if its name ends in .gz."
        ) from error
    if not lines:
        raise InputError(f"The pair file {str(path)!r} holds no pairs. Give a file with lines {FORM}.")
    return tuple(_parse(line, path, number) for number, line in enumerate(lines, 1))


def _lines(path: Path) -> list[str]:
    with open_regular(path) as file:
        if path.suffix == ".gz":
            with gzip.open(file) as unpacked:
                content = read_at_most(unpacked)
        else:
            content = read_at_most(file)
    return content.decode("utf-8-sig").removesuffix("\n").split("\n") if content else []


def _parse(line: str, path: Path, number: int) -> TranslationPair:
    fields = line.removesuffix("\r").split("\t")
    where = f"Line {number} of {str(path)!r}"
    if len(fields) != 4:
        raise InputError(f"{where} has {len(fields)} tab-separated fields, but a pair has 4: {FORM}. Mend the line.")
    corpus, language, source, target = fields
    for name, value in (("corpus", corpus), ("language", language), ("source", source), ("target", target)):
        if not value.strip():
            raise InputError(f"{where} has an empty {name}; every field of {FORM} must be filled. Mend the line.")
    pair = TranslationPair(corpus, language, source, target)
    if not pair.sentence.strip():
        raise InputError(
            f"{where} has the source {source!r}, a prefix without a sentence, unlike 'translate English to German: Good "
            "morning.' Mend the line."
        )
    return pair
