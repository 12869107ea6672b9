"""What is a prompt, and what is a set of them?

A prompt is one source text (with its task prefix) and, where the user has one, one target text. Everything the analyses report is
averaged over prompts, so the prompt, not the token, is the unit of evidence; its id ties a number in a table back to a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from interp.errors import InputError
from interp.text.words import Words, task_prefix


class PromptError(InputError):
    """Prompts could not be read; the message says where, what was found, what is allowed and what to do."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One source text and, if known, its target.

    Attributes:
        id: name of the prompt, unique in its set.
        source: encoder text, task prefix included, exactly as read.
        target: decoder text for teacher forcing, or None where the model is to generate it.
        fields: further columns of the file (such as language), text only; treat as read-only.
    """

    id: str
    source: str
    target: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def prefix(self) -> str:
        """The task prefix of the source: the one its field `prefix` names, else one that T5 was trained with, else none."""
        return self.fields["prefix"] if "prefix" in self.fields else task_prefix(self.source)

    @property
    def given(self) -> tuple[str | list[str], str | list[str] | None]:
        """Source and target as the model's batches take them: as lists of words where the file gave the words of the text.

        The words are those of the fields `source_words` (behind the prefix) and `target_words`, separated by spaces.
        """
        source = _as_words(self.source, self.prefix, self.fields.get("source_words"))
        return source, None if self.target is None else _as_words(self.target, "", self.fields.get("target_words"))

    @property
    def sentence(self) -> str:
        """The source without its task prefix."""
        return self.source.removeprefix(self.prefix).strip()

    def behind(self, prefix: str | None) -> "Prompt":
        """The prompt with a task prefix, where it names none of its own.

        Args:
            prefix: what its source starts with; None leaves the prompt as it is.

        Raises:
            PromptError: if the source does not start with it, or words are given that do not spell what is behind it.
        """
        if prefix is None or "prefix" in self.fields:
            self._check_words()
            return self
        if not self.source.startswith(prefix):
            raise PromptError(
                f"The source of prompt {self.id} ({self.source[:50]!r}) does not start with the prefix {prefix!r}; give "
                "sources with their prefix, or name each prompt's own in a field 'prefix'."
            )
        found = replace(self, fields={"prefix": prefix, **self.fields})
        found._check_words()
        return found

    def _check_words(self) -> None:
        """Refuse given words of another text, which would be passed over: known is the prefix only here."""
        if not {"source_words", "target_words"} & self.fields.keys():
            return
        start = len(self.prefix) if self.source.startswith(self.prefix) else 0
        for key, text, begin, given in (
            ("source_words", self.source, start, self.given[0]),
            ("target_words", self.target, 0, self.given[1]),
        ):
            if not self.fields.get(key) or text is None or isinstance(given, list):
                continue
            try:
                Words.spelled(text, self.fields[key].split(), begin)
            except InputError as error:
                raise PromptError(f"Prompt {self.id}, {key!r}: {error}") from None


def _as_words(text: str, prefix: str, words: str | None) -> str | list[str]:
    """The words of a text, if they spell it: gold words may also undo what the text has joined."""
    given = [*prefix.split(), *(words or "").split()]
    return given if words and Words.joined(given)[0] == text else text


@dataclass(frozen=True)
class PromptSet:
    """Prompts in file order, with the fingerprint of the bytes they were read from.

    Attributes:
        name: name of the bundled set, file name without its folder, or "stdin".
        prompts: at least one prompt; either all of them have a target or none has.
        sha256: hexadecimal SHA-256 of all bytes read, also those of prompts beyond a limit.
    """

    name: str
    prompts: tuple[Prompt, ...]
    sha256: str

    def __len__(self) -> int:
        """Number of prompts."""
        return len(self.prompts)

    def behind(self, prefix: str | None) -> "PromptSet":
        """The set with a task prefix for every prompt that names none of its own.

        Args:
            prefix: as for `Prompt.behind`.
        """
        return replace(self, prompts=tuple(prompt.behind(prefix) for prompt in self.prompts))

    @property
    def sources(self) -> list[str]:
        """Source texts, one a prompt."""
        return [prompt.source for prompt in self.prompts]

    @property
    def targets(self) -> list[str] | None:
        """Target texts, one a prompt, or None where the set has no targets."""
        targets = [prompt.target for prompt in self.prompts if prompt.target is not None]
        return targets if len(targets) == len(self.prompts) else None
