"""Tokens: texts in, one padded `Batch` out, with masks on both sides and a meaning for every source token.

Padding masks are always built, from lengths, never from the padding id (T5's decoder starts with that id). Nothing is cut:
a text longer than the model was made for is refused.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interp.axes import TokenIds
from interp.errors import InputError
from interp.families import ModelConfig
from interp.words import CATEGORIES, CONTENT, EOS, NO_WORD, PAD, SENTINEL, Span, Words, categorise, task_prefix

IGNORED_LABEL = -100
"""Label of padded target positions, as in transformers' loss."""

_SENTINEL = re.compile(r"<extra_id_\d+>")

HF_FIELDS = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask", "labels")


@dataclass(frozen=True, slots=True)
class Text:
    """One tokenised text, unpadded.

    Attributes:
        text: what was tokenised.
        ids: token ids, end of sentence included.
        pieces: the tokenizer's pieces.
        words: the words of the text.
        word_of_token: index into `words` for every token, or -1.
        category_of_token: index into `CATEGORIES` for every token.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    words: tuple[str, ...]
    word_of_token: tuple[int, ...]
    category_of_token: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Prompts ready for a forward pass; the five tensors carry Hugging Face's names, so `model.hf(**batch)` works.

    Row t of the decoder reads `decoder_input_ids[:, t]` and predicts `labels[:, t]`.

    Attributes:
        input_ids: source token ids, padded on the right.
        attention_mask: 1 at source tokens, 0 at padding.
        decoder_input_ids: start token, then the target shifted right.
        decoder_attention_mask: 1 at rows that predict a label, 0 at padding.
        labels: target token ids, -100 at padding.
        source_categories: index into `interp.words.CATEGORIES` for every source position, padding included.
        source_texts: the sources, tokenised, unpadded.
        target_texts: the targets, tokenised, unpadded.
        target_origin: `given` by the caller or `generated` greedily by this model.
        unfinished: indices of prompts whose generated target met the length limit before its end of sentence.
    """

    input_ids: Int[Tensor, "batch source"]
    attention_mask: Int[Tensor, "batch source"]
    decoder_input_ids: Int[Tensor, "batch target"]
    decoder_attention_mask: Int[Tensor, "batch target"]
    labels: Int[Tensor, "batch target"]
    source_categories: Int[Tensor, "batch source"]
    source_texts: tuple[Text, ...]
    target_texts: tuple[Text, ...]
    target_origin: Literal["given", "generated"]
    unfinished: tuple[int, ...] = ()

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    def keys(self) -> tuple[str, ...]:
        """Hugging Face's field names, so that a batch unpacks into the host's forward."""
        return HF_FIELDS

    def __getitem__(self, name: str) -> TokenIds:
        if name not in HF_FIELDS:
            raise KeyError(f"A batch has no field {name!r}; its tensors are {', '.join(HF_FIELDS)}.")
        tensor: TokenIds = getattr(self, name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(HF_FIELDS)

    @property
    def source_mask(self) -> Tensor:
        """True at source tokens, False at padding: [batch source]."""
        return self.attention_mask.bool()

    @property
    def target_mask(self) -> Tensor:
        """True at decoder rows that predict a label, False at padding: [batch target]."""
        return self.decoder_attention_mask.bool()

    def decoder_pieces(self, index: int) -> tuple[str, ...]:
        """The decoder's input tokens of one prompt: the start token, then its target without the last."""
        return ("<start>", *self.target_texts[index].pieces[:-1])

    def select(self, index: int) -> "Batch":
        """One prompt as a batch of its own, without the padding that its neighbours needed."""
        source, target = len(self.source_texts[index].ids), len(self.target_texts[index].ids)
        widths = dict.fromkeys(("input_ids", "attention_mask", "source_categories"), source)
        widths |= dict.fromkeys(("decoder_input_ids", "decoder_attention_mask", "labels"), target)
        return replace(
            self,
            **{name: getattr(self, name)[index : index + 1, :width] for name, width in widths.items()},
            source_texts=(self.source_texts[index],),
            target_texts=(self.target_texts[index],),
            unfinished=(0,) if index in self.unfinished else (),
        )

    def to(self, device: str | torch.device) -> "Batch":
        """The same batch with its tensors on another device."""
        moved = {name: getattr(self, name).to(device) for name in (*HF_FIELDS, "source_categories")}
        return replace(self, **moved)


def tokenise(text: str, tokenizer: PreTrainedTokenizerBase, eos_token_id: int, prefix: str | None = None) -> Text:
    """Tokenise one text and say what every token is.

    Args:
        text: the text; a source starts with its task prefix.
        tokenizer: the model's tokenizer.
        eos_token_id: the token that ends a text.
        prefix: the task prefix, if it is not one that `task_prefix` knows; "" for a text without.

    Raises:
        InputError: if the text is empty or does not start with the given prefix.
    """
    if not text.strip():
        raise InputError("An empty text has nothing to analyse; give at least one word.")
    if prefix is not None and not text.startswith(prefix):
        raise InputError(
            f"The text {text[:60]!r} does not start with its prefix {prefix!r}; give the text with its prefix."
        )
    ids, spans = _ids_and_spans(text, tokenizer)
    return _describe(text, ids, spans, tokenizer, eos_token_id, len(task_prefix(text) if prefix is None else prefix))


def _describe(
    text: str,
    ids: Sequence[int],
    spans: Sequence[Span],
    tokenizer: PreTrainedTokenizerBase,
    eos_token_id: int,
    prefix_length: int,
) -> Text:
    pieces = tuple(tokenizer.convert_ids_to_tokens(list(ids)))
    words = Words.of(text)
    special = {index: EOS for index, token in enumerate(ids) if token == eos_token_id}
    special |= {index: SENTINEL for index, piece in enumerate(pieces) if _SENTINEL.fullmatch(piece)}
    category = categorise(words, spans, prefix_length)
    word = words.index(spans)
    return Text(
        text=text,
        ids=tuple(ids),
        pieces=pieces,
        words=words.texts,
        word_of_token=tuple(NO_WORD if index in special else word[index] for index in range(len(ids))),
        category_of_token=tuple(special.get(index, category[index]) for index in range(len(ids))),
    )


def _ids_and_spans(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[Span]]:
    if tokenizer.is_fast:
        encoded = tokenizer(text, return_offsets_mapping=True, truncation=False)
        return list(encoded.input_ids), [(start, end) for start, end in encoded.offset_mapping]
    ids = list(tokenizer(text, truncation=False).input_ids)
    return ids, _byte_spans(text, tokenizer.convert_ids_to_tokens(ids))


def _byte_spans(text: str, pieces: Sequence[str]) -> list[Span]:
    """Character ranges of byte tokens (ByT5), which come from a tokenizer that keeps no offsets."""
    character_of_byte = [index for index, character in enumerate(text) for _ in character.encode()]
    character_of_byte.append(len(text))
    spans: list[Span] = []
    byte = 0
    for piece in pieces:
        length = 1 if len(piece) == 1 else len(piece.encode())
        if byte + length > len(character_of_byte) - 1:
            spans.append((len(text), len(text)))
            continue
        start = character_of_byte[byte]
        byte += length
        spans.append((start, max(character_of_byte[byte], start + 1)))
    return spans


def describe_generated(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, eos_token_id: int) -> Text:
    """A `Text` from generated ids; words are found in the decoded text, piece by piece."""
    text = ""
    spans: list[Span] = []
    for count in range(1, len(ids) + 1):
        decoded: str = tokenizer.decode(list(ids[:count]), skip_special_tokens=True)
        start = len(text) + (len(decoded[len(text) :]) - len(decoded[len(text) :].lstrip()))
        spans.append((min(start, len(decoded)), len(decoded)))
        text = decoded
    return _describe(text, ids, spans, tokenizer, eos_token_id, 0)


def describe_ids(ids: Sequence[int], eos_token_id: int) -> Text:
    """A `Text` from ids alone, for models without a tokenizer: every token is a word, written as its number."""
    pieces = tuple(str(token) for token in ids)
    return Text(
        text=" ".join(pieces),
        ids=tuple(ids),
        pieces=pieces,
        words=pieces,
        word_of_token=tuple(NO_WORD if token == eos_token_id else index for index, token in enumerate(ids)),
        category_of_token=tuple(EOS if token == eos_token_id else CONTENT for token in ids),
    )


def collate(
    sources: Sequence[Text],
    targets: Sequence[Text],
    config: ModelConfig,
    shift: Callable[[TokenIds], TokenIds],
    target_origin: Literal["given", "generated"],
    unfinished: tuple[int, ...] = (),
) -> Batch:
    """Pad tokenised texts into a batch.

    Args:
        sources: tokenised sources.
        targets: their tokenised targets.
        config: the model's facts.
        shift: the host's own rule that makes decoder inputs from labels.
        target_origin: `given` or `generated`.
        unfinished: indices of generated targets that were stopped by the length limit.
    """
    input_ids, attention_mask = _pad([text.ids for text in sources], config.pad_token_id)
    labels, target_mask = _pad([text.ids for text in targets], IGNORED_LABEL)
    categories, _ = _pad([text.category_of_token for text in sources], PAD)
    return Batch(
        input_ids=input_ids,
        attention_mask=attention_mask,
        decoder_input_ids=shift(labels),
        decoder_attention_mask=target_mask,
        labels=labels,
        source_categories=categories,
        source_texts=tuple(sources),
        target_texts=tuple(targets),
        target_origin=target_origin,
        unfinished=unfinished,
    )


def _pad(rows: Sequence[Sequence[int]], value: int) -> tuple[TokenIds, TokenIds]:
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), value, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[index, : len(row)] = 1
    return ids, mask


def check_lengths(texts: Sequence[Text], limit: int, what: Literal["source", "target"]) -> None:
    """Refuse texts that are longer than the model was made for.

    Raises:
        InputError: naming the first such text, its length and the limit.
    """
    for index, text in enumerate(texts):
        if len(text.ids) > limit:
            raise InputError(
                f"The {what} of prompt {index + 1} has {len(text.ids)} tokens and the model was made for at most {limit}; "
                f"shorten or split it (it begins {text.text[:50]!r})."
            )


def category_counts(batch: Batch) -> Int[Tensor, "batch category"]:
    """How many source tokens of each category every prompt has, padding included."""
    one_hot = torch.nn.functional.one_hot(batch.source_categories, len(CATEGORIES))
    return one_hot.sum(1)
