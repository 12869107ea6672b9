"""Batching: texts become batches, and so does what a model wrote.

Every text is tokenized by the tokenizer's own rules for its side, refused if it is longer than the model was made for, and
padded with masks on both sides. Nothing is guessed: how the decoder's inputs follow from labels is the family's own rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from transformers import PreTrainedTokenizerBase

from interp.audio.recordings import GivenSound
from interp.audio.sound_reader import EXTRACTOR_SETTINGS, SoundReader
from interp.axes import TokenIds
from interp.errors import InputError, is_count
from interp.families.config import ModelConfig
from interp.families.table import DecoderInputs
from interp.model.generation import Hypothesis
from interp.model.host_generation import Written
from interp.text.batch import Batch, TargetOrigin, collate, shift_right
from interp.text.languages import Languages
from interp.text.tokenized_text import GivenText, Text, describe_generated, numbered, tokenize_all
from interp.text.words import NO_WORD


@dataclass(frozen=True, slots=True)
class Batcher:
    """Makes the batches of one model.

    Attributes:
        tokenizer: the model's, or None.
        cfg: its facts.
        decoder_inputs: its family's rule.
        max_length: most tokens a side may have.
        forced_first: the token that its settings force every text to begin with; None where there is none.
        sounds: what reads sounds, in models whose sources these are; None without its feature extractor.
    """

    tokenizer: PreTrainedTokenizerBase | None
    cfg: ModelConfig
    decoder_inputs: DecoderInputs
    max_length: int
    forced_first: int | None = None
    sounds: SoundReader | None = None

    def given(
        self,
        sources: Sequence[GivenText],
        targets: Sequence[GivenText] | None,
        prefixes: Sequence[str] | None,
        device: torch.device,
        languages: Languages,
    ) -> Batch:
        """The batch of given texts; without targets, one whose targets only stand in for those that will be written.

        Args:
            sources: source texts with their task prefixes, each whole or as its words.
            targets: as many target texts, or None.
            prefixes: the task prefix of every source, where it is not one T5 was trained with.
            device: where the tensors go.
            languages: of the texts.

        Raises:
            InputError: if a text is empty or too long, the numbers of texts differ, a language is not named, or there is no
                tokenizer.
        """
        self._check_tokens()
        if self.tokenizer is None:
            raise InputError("This model was wrapped without a tokenizer; pass one, or build the batch by hand.")
        if not sources:
            raise InputError("A batch needs at least one source text; got none.")
        if targets is not None and len(targets) != len(sources):
            raise InputError(f"Got {len(sources)} sources and {len(targets)} targets; give one for each source.")
        eos = self.cfg.eos_token_id
        with languages.spoken(self.tokenizer):
            read = tokenize_all(sources, self.tokenizer, eos, self.max_length, "source", prefixes)
            if targets is None:
                return self._collate(read, read).to(device)
            written = tokenize_all(targets, self.tokenizer, eos, self.max_length, "target", [""] * len(targets))
        first = self.forced_first if languages.first_token is None else languages.first_token
        marked = [replace(text, forced=(0,)) if text.ids[0] == first else text for text in written]
        return self._collate(read, marked).to(device)

    def of_sounds(
        self,
        sounds: Sequence[GivenSound],
        targets: Sequence[GivenText] | None,
        device: torch.device,
        languages: Languages,
        rate: int | None = None,
    ) -> Batch:
        """The batch of sounds; without targets, one whose targets only stand in for those that will be written.

        Args:
            sounds: paths of WAV files, or samples.
            targets: what is said in each, or None.
            device: where the tensors go.
            languages: of the targets.
            rate: samples a second of arrays; the model's by default.

        Raises:
            InputError: if the model reads no sounds, one cannot be read, or a target is empty or too long.
        """
        if self.cfg.source != "audio":
            raise InputError(
                f"This model reads texts (source={self.cfg.source!r}); sounds are for Whisper and its like. Give texts."
            )
        if self.sounds is None:
            raise InputError(
                "This model was wrapped without a feature extractor, which makes spectrograms of sounds; load it from a folder "
                f"with {EXTRACTOR_SETTINGS}, or pass `feature_extractor`."
            )
        if not sounds:
            raise InputError("A batch needs at least one sound; got none.")
        if targets is not None and len(targets) != len(sounds):
            raise InputError(f"Got {len(sounds)} sounds and {len(targets)} targets; give one for each sound.")
        read, features = self.sounds.read(sounds, rate)
        stand_in = numbered([self.cfg.eos_token_id], self.cfg.eos_token_id)
        written = [stand_in] * len(read) if targets is None else self._said(targets, languages)
        return collate(read, written, self.cfg, self.shifted, "given", input_features=features).to(device)

    def _said(self, targets: Sequence[GivenText], languages: Languages) -> list[Text]:
        """Targets of sounds: behind the start token, which the decoder reads anyway, what the tokenizer puts first is forced."""
        if self.tokenizer is None:
            raise InputError("This model was wrapped without a tokenizer; pass one, or leave out the targets.")
        with languages.spoken(self.tokenizer):
            read = tokenize_all(
                targets, self.tokenizer, self.cfg.eos_token_id, self.max_length, "target", [""] * len(targets)
            )
        opening = len(self.opening(languages))
        return [replace(_without_first(text), forced=tuple(range(opening))) for text in read]

    def opening(self, languages: Languages) -> list[int]:
        """The tokens that every target of a sound begins with, behind the start token: language, task, no times.

        Args:
            languages: of the targets.

        Raises:
            InputError: if the language is not named.
        """
        if self.tokenizer is None or not hasattr(self.tokenizer, "prefix_tokens"):
            return []
        with languages.spoken(self.tokenizer):
            return list(self.tokenizer.prefix_tokens)[1:]

    def _check_tokens(self) -> None:
        if self.cfg.source != "tokens":
            raise InputError(
                f"This model reads sounds (source={self.cfg.source!r}), no texts; give `audio` (--audio): WAV files or samples."
            )

    def of_ids(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]] | None,
        device: torch.device,
        label: Callable[[int], str],
    ) -> Batch:
        """The batch of token ids, each called by its label; without targets, one whose targets only stand in.

        Args:
            sources: ids of every source, its end of sentence included if the model was made for one.
            targets: the same of every target, or None.
            device: where the tensors go.
            label: what a token is called.

        Raises:
            InputError: if a row is empty, too long, has padding or a token that the model has not, or the numbers of rows differ.
        """
        self._check_tokens()
        if not sources:
            raise InputError("A batch needs at least one row of ids; got none.")
        if targets is not None and len(targets) != len(sources):
            raise InputError(f"Got {len(sources)} rows of ids and {len(targets)} of targets; give one for each.")
        for side, rows in (("source", sources), ("target", targets or ())):
            for number, row in enumerate(rows, start=1):
                self._check_ids(f"The {side} of prompt {number}", row)
        eos = self.cfg.eos_token_id
        read = [numbered([int(token) for token in row], eos, label) for row in sources]
        written = read if targets is None else [numbered([int(token) for token in row], eos, label) for row in targets]
        return self._collate(read, written).to(device)

    def _check_ids(self, what: str, row: Sequence[int]) -> None:
        if not 0 < len(row) <= self.max_length:
            raise InputError(
                f"{what} has {len(row)} ids; from 1 to {self.max_length} (max_length of `load`) make a prompt."
            )
        for token in row:
            if not 0 <= int(token) < self.cfg.d_vocab or int(token) == self.cfg.pad_token_id:
                raise InputError(
                    f"{what} has the id {int(token)}; ids are from 0 to {self.cfg.d_vocab - 1}, without {self.cfg.pad_token_id}, "
                    "which is padding."
                )

    def begun(self, texts: Sequence[str], languages: Languages) -> list[list[int]]:
        """The tokens of texts that are to be gone on with: without what ends a text.

        Args:
            texts: how targets begin.
            languages: of the texts.

        Raises:
            InputError: as for `given`.
        """
        if self.tokenizer is None:
            raise InputError("This model was wrapped without a tokenizer, so targets cannot be begun with a text.")
        with languages.spoken(self.tokenizer):
            found = tokenize_all(
                texts, self.tokenizer, self.cfg.eos_token_id, self.max_length, "target", [""] * len(texts)
            )
        eos, first = self.cfg.eos_token_id, int(self.cfg.source == "audio")
        return [
            list(text.ids[first : text.ids.index(eos, 1)]) if eos in text.ids[1:] else list(text.ids[first:])
            for text in found
        ]

    def written(self, inputs: Batch, written: Written) -> Batch:
        """The batch of what was written; generation puts the start token first in every family.

        Args:
            inputs: the batch whose sources were read.
            written: what the host wrote.
        """
        targets = [
            replace(describe_generated(ids, self.tokenizer, self.cfg.eos_token_id), forced=forced)
            for ids, forced in zip(written.tokens, written.forced, strict=True)
        ]
        shift = partial(self.shifted, origin="generated")
        made = collate(
            inputs.source_texts, targets, self.cfg, shift, "generated", written.unfinished, inputs.input_features
        )
        return made.to(inputs.input_ids.device)

    def hypotheses(self, written: Written) -> tuple[tuple[Hypothesis, ...], ...]:
        """Of every prompt the texts that beam search kept, best first.

        Args:
            written: what the host wrote.
        """
        eos = self.cfg.eos_token_id
        return tuple(
            tuple(Hypothesis(describe_generated(ids, self.tokenizer, eos), score) for ids, score in kept)
            for kept in written.others
        )

    def limit(self, batch: Batch, asked: int | None) -> int:
        """Most tokens to generate: what was asked for, or twice the longest source plus 20, within `max_length`.

        Args:
            batch: the sources.
            asked: what was asked for, or None.

        Raises:
            InputError: if what was asked for is no whole number from 1.
        """
        if asked is not None and not is_count(asked):
            raise InputError(f"The most tokens to write (max_new_tokens) are a whole number from 1; got {asked!r}.")
        return min(2 * batch.input_ids.shape[1] + 20 if asked is None else int(asked), self.max_length)

    def shifted(self, labels: TokenIds, origin: TargetOrigin = "given") -> TokenIds:
        """What the decoder reads to predict labels; see `HookedEncoderDecoder.decoder_inputs`.

        Args:
            labels: token ids, -100 at padding.
            origin: whether they were given or generated.
        """
        return shift_right(labels, self.cfg, self.decoder_inputs if origin == "given" else "start")

    def with_ends(self, batch: Batch) -> Batch:
        """The batch with an end of sentence behind every target whose last token is one of a word, so that a row reads it.

        Tokenizers such as Blenderbot-small's put none there.

        Args:
            batch: of texts that are given.
        """
        targets = [_ended(text, self.cfg.eos_token_id) for text in batch.target_texts]
        device = batch.input_ids.device
        return batch if targets == list(batch.target_texts) else self._collate(batch.source_texts, targets).to(device)

    def _collate(self, sources: Sequence[Text], targets: Sequence[Text]) -> Batch:
        return collate(sources, targets, self.cfg, self.shifted, "given")


def _ended(text: Text, eos_token_id: int) -> Text:
    """The text with an end of sentence, where it ends with a token of a word."""
    if text.word_of_token[-1] == NO_WORD:
        return text
    end = numbered([eos_token_id], eos_token_id)
    per_token = ("ids", "pieces", "word_of_token", "category_of_token")
    return replace(text, **{name: getattr(text, name) + getattr(end, name) for name in per_token})


def _without_first(text: Text) -> Text:
    """The same text without its first token."""
    per_token = ("ids", "pieces", "word_of_token", "category_of_token")
    return replace(text, **{name: getattr(text, name)[1:] for name in per_token})
