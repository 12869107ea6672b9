"""Languages of models that mark them with a token: which are there, which are meant, and the token that a text begins with.

mBART, mBART-50, M2M100 and NLLB put a code before (mBART: behind) every text, and their tokenizers fall back to English where
nobody said which. Here nothing is guessed: a language is what the caller named, what the tokenizer's own files name, or what the
checkpoint forces; otherwise texts are refused with the codes there are. T5 and Marian say it in the text itself. Whisper marks
targets alone, by tokens that its tokenizer puts before every text: language, task (transcribe, unless the tokenizer says
translate), no times.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from interp.errors import InputError, did_you_mean
from interp.text.function_words import language_name

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase

_CODE = re.compile(r"[a-z]{2,3}_([A-Z]{2}|[A-Z][a-z]{3})")
"""en_XX, eng_Latn: how fairseq's models name languages among their special tokens."""

_FALLBACKS = ("en_XX", "eng_Latn", "en")
"""What the host's tokenizers take for the source's language where their files name none."""


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a model's texts.

    Attributes:
        source: code of the sources' language; None where none is named, or the model marks none.
        target: the same of the targets.
        codes: code -> token, all there are; empty for models that mark no language.
        starts_with: the token that the decoder reads first, where that is a language (mBART); no other can then be written.
        of_sounds: whether sources are sounds, so that targets alone are marked.
    """

    source: str | None = None
    target: str | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    starts_with: int | None = None
    of_sounds: bool = False

    @property
    def first_token(self) -> int | None:
        """The token that every target begins with; None where nothing is marked there, or by more than a token."""
        unmarked = self.target is None or self.starts_with is not None or self.of_sounds
        return None if self.target is None or unmarked else self.codes[self.target]

    def named(self, source: str | None, target: str | None) -> "Languages":
        """The same with the languages that a caller names.

        Args:
            source: code of the sources' language; None leaves what there is.
            target: the same of the targets.

        Raises:
            InputError: if the model marks no languages, has not these, or cannot write this one.
        """
        for option, code in (("--source-lang", source), ("--target-lang", target)):
            if code is not None and not self.codes:
                raise InputError(
                    f"This model marks no languages, so {option} {code!r} says nothing to it; its texts say it themselves "
                    "(`translate English to German: ...` in T5, `>>deu<< ...` in Marian)."
                )
            if code is not None and code not in self.codes:
                raise InputError(
                    f"This model has no language {code!r}{did_you_mean(code, self.codes)}; {option} is one of {self._listed()}."
                )
        if source is not None and self.of_sounds:
            raise InputError(
                f"Sources of this model are sounds, which nothing marks, so --source-lang {source!r} says nothing to it; "
                "--target-lang names the language that is written."
            )
        if target is not None and self.starts_with not in (None, self.codes[target]):
            raise InputError(f"This model writes {self.target!r} alone, with which its decoder starts; got {target!r}.")
        return replace(self, source=source or self.source, target=target or self.target)

    def same_language(self, code: str | None) -> str | None:
        """This model's code for a language that another model's code names: `de`, `de_DE` and `deu_Latn` are one.

        Args:
            code: of the other model; None for a language that nobody named.

        Raises:
            InputError: if this model has no such language.
        """
        if code is None or code in self.codes:
            return code
        found = self.code_of(code)
        if found is None:
            raise InputError(f"The other model has no language {code!r}; it has {self._listed()}.")
        return found

    def code_of(self, language: str) -> str | None:
        """This model's code for a language; None where it marks none, or has not this one.

        Args:
            language: a name or a code, see `language_name`.
        """
        wanted = language_name(language)
        return next((code for code in self.codes if language_name(code) == wanted), None)

    @contextmanager
    def spoken(self, tokenizer: "PreTrainedTokenizerBase") -> Iterator[None]:
        """Lets a tokenizer mark texts with these languages; it keeps its own afterwards.

        Args:
            tokenizer: the model's tokenizer.

        Raises:
            InputError: if a language is not named.
        """
        if not self.codes:
            yield
            return
        sides = {"target": self.target} if self.of_sounds else {"source": self.source, "target": self.target}
        missing = [side for side, code in sides.items() if code is None]
        if missing:
            options = " and ".join(f"--{side}-lang ({side}_lang)" for side in missing)
            raise InputError(
                "This model marks the languages of its texts, and neither its tokenizer nor its settings say which they are; "
                f"give {options}: {self._listed()}."
            )
        if self.of_sounds:
            with _prefixed(tokenizer, self.target):
                yield
            return
        before = tokenizer.src_lang, tokenizer.tgt_lang
        tokenizer.tgt_lang, tokenizer.src_lang = self.target, self.source
        try:
            yield
        finally:
            tokenizer.tgt_lang, tokenizer.src_lang = before[1], before[0]

    def _listed(self) -> str:
        return ", ".join(self.codes)


@contextmanager
def _prefixed(tokenizer: "PreTrainedTokenizerBase", language: str | None) -> Iterator[None]:
    """Lets a speech model's tokenizer put a language and a task before texts."""
    before = tokenizer.language, tokenizer.task
    tokenizer.set_prefix_tokens(language, tokenizer.task or "transcribe")
    try:
        yield
    finally:
        tokenizer.language, tokenizer.task = before
        tokenizer.set_prefix_tokens()


def languages_of(
    tokenizer: "PreTrainedTokenizerBase | None", generation: "GenerationConfig | None", starts_with: int
) -> Languages:
    """The languages that a checkpoint names: its tokenizer's files, else what its settings force texts to begin with.

    Args:
        tokenizer: the model's tokenizer.
        generation: the host's settings of generation.
        starts_with: the token that the decoder reads first.
    """
    spoken = getattr(generation, "lang_to_id", None)
    if tokenizer is not None and isinstance(spoken, Mapping) and hasattr(tokenizer, "set_prefix_tokens"):
        codes = {name.strip("<|>"): int(token) for name, token in sorted(spoken.items())}
        said = None if tokenizer.language is None else tokenizer.prefix_tokens[1]
        own = next((code for code, token in codes.items() if token == said), None)
        return Languages(target=own, codes=codes, of_sounds=True)
    if tokenizer is None or not hasattr(tokenizer, "tgt_lang"):
        return Languages()
    codes = getattr(tokenizer, "lang_code_to_id", None) or {
        token: tokenizer.convert_tokens_to_ids(token)
        for token in tokenizer.all_special_tokens
        if _CODE.fullmatch(token)
    }
    code_of = {token: code for code, token in codes.items()}
    own = tokenizer.init_kwargs.get("src_lang")
    if own is None and tokenizer.src_lang not in _FALLBACKS:
        own = tokenizer.src_lang
    forced = getattr(generation, "forced_bos_token_id", None)
    target = tokenizer.tgt_lang or code_of.get(forced) or code_of.get(starts_with)
    return Languages(own, target, dict(sorted(codes.items())), starts_with if starts_with in code_of else None)
