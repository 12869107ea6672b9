"""Batches: tokenized texts in, one padded `Batch` out, with masks on both sides and a meaning for every source token.

Padding masks are always built, from lengths, never from the padding id (T5's decoder starts with that id).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from interp.axes import TokenIds
from interp.families.config import ModelConfig
from interp.report import notebook_html
from interp.report.numbers import counted
from interp.text.tokenized_text import Text
from interp.text.words import CATEGORIES, EVERY_CATEGORY, PAD

IGNORED_LABEL = -100
"""Label of padded target positions, as in transformers' loss."""

PROMPTS_SHOWN = 8
"""Prompts that a batch or a generation shows in a notebook."""

HF_FIELDS = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask", "labels")
_AUDIO_FIELDS = ("input_features", "decoder_input_ids", "decoder_attention_mask", "labels")
"""The host masks no frame of a sound, so it is given no source mask."""

TargetOrigin = Literal["given", "generated"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Prompts ready for a forward pass; the tensors carry Hugging Face's names, so `model.hf(**batch)` works.

    Row t of the decoder reads `decoder_input_ids[:, t]` and predicts `labels[:, t]`.

    Attributes:
        input_ids: source token ids, padded on the right; of a sound the numbers of its frames.
        attention_mask: 1 at source tokens, 0 at padding; 1 at every frame of a sound, which the model reads to the last.
        decoder_input_ids: start token, then the target shifted right.
        decoder_attention_mask: 1 at rows that predict a label, 0 at padding.
        labels: target token ids, -100 at padding.
        source_categories: index into `interp.text.words.EVERY_CATEGORY` for every source position, padding included.
        source_texts: the sources, tokenized, unpadded.
        target_texts: the targets, tokenized, unpadded.
        target_origin: `given` by the caller or `generated` greedily by this model.
        unfinished: indices of prompts whose generated target met the length limit before its end of sentence.
        input_features: log-mel spectrograms, two columns a frame, where sources are sounds; else None.
    """

    input_ids: Int[Tensor, "batch source"]
    attention_mask: Int[Tensor, "batch source"]
    decoder_input_ids: Int[Tensor, "batch target"]
    decoder_attention_mask: Int[Tensor, "batch target"]
    labels: Int[Tensor, "batch target"]
    source_categories: Int[Tensor, "batch source"]
    source_texts: tuple[Text, ...]
    target_texts: tuple[Text, ...]
    target_origin: TargetOrigin
    unfinished: tuple[int, ...] = ()
    input_features: Float[Tensor, "batch mel column"] | None = None

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    def _repr_html_(self) -> str:
        shown = min(len(self), PROMPTS_SHOWN)
        rows: list[tuple[str, str]] = []
        for source, target in zip(self.source_texts[:shown], self.target_texts[:shown], strict=True):
            notes = [EVERY_CATEGORY[category] for category in source.category_of_token]
            shown_source = source.text if self.is_audio else notebook_html.tokens(source.pieces, notes)
            rows += [
                ("source", shown_source),
                ("target", notebook_html.tokens(target.pieces)),
            ]
        left_out = len(self) - shown
        rows += [("and", f"{left_out} more")] if left_out else []
        return notebook_html.lines([(f"{counted(len(self), 'prompt')},", f"targets {self.target_origin}"), *rows])

    def keys(self) -> tuple[str, ...]:
        """Hugging Face's field names, so that a batch unpacks into the host's forward."""
        return _AUDIO_FIELDS if self.is_audio else HF_FIELDS

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.keys():
            raise KeyError(f"A batch has no field {name!r}; its tensors are {', '.join(self.keys())}.")
        tensor: Tensor = getattr(self, name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    @property
    def is_audio(self) -> bool:
        """Whether the sources are sounds."""
        return self.input_features is not None

    @property
    def source_fields(self) -> dict[str, Tensor]:
        """What the host's encoder reads, by its own names."""
        if self.input_features is not None:
            return {"input_features": self.input_features}
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}

    @property
    def source_identities(self) -> list[tuple[int, ...] | bytes]:
        """What tells sources apart: of texts their tokens, of sounds their spectrograms."""
        if self.input_features is not None:
            return [sha256(row.float().cpu().numpy().tobytes()).digest() for row in self.input_features]
        return [tuple(ids[mask].tolist()) for ids, mask in zip(self.input_ids, self.source_mask, strict=True)]

    @property
    def tensors(self) -> dict[str, Any]:
        """All tensors, by name; those of prompts come first on every axis 0."""
        names = (*HF_FIELDS, "source_categories", *(["input_features"] if self.is_audio else []))
        return {name: getattr(self, name) for name in names}

    @property
    def source_mask(self) -> Tensor:
        """True at source tokens, False at padding: [batch source]."""
        return self.attention_mask.bool()

    @property
    def target_mask(self) -> Tensor:
        """True at decoder rows that predict a label, False at padding: [batch target]."""
        return self.decoder_attention_mask.bool()

    @property
    def forced_mask(self) -> Tensor:
        """True at decoder rows whose label is no choice of the model (`Text.forced`): [batch target]."""
        mask = torch.zeros_like(self.target_mask)
        for row, text in enumerate(self.target_texts):
            mask[row, list(text.forced)] = True
        return mask

    @property
    def chosen_mask(self) -> Tensor:
        """True at decoder rows that are averaged, those whose label is a choice (all of a prompt without any): [batch target]."""
        chosen = self.target_mask & ~self.forced_mask
        return torch.where(chosen.any(1, keepdim=True), chosen, self.target_mask)

    def decoder_pieces(self, index: int) -> tuple[str, ...]:
        """The decoder's input tokens of one prompt: the start token, then its target without the last.

        Args:
            index: the prompt.
        """
        return ("<start>", *self.target_texts[index].pieces[:-1])

    def select(self, index: int) -> "Batch":
        """One prompt as a batch of its own, without the padding that its neighbors needed.

        Args:
            index: the prompt.
        """
        source, target = len(self.source_texts[index].ids), len(self.target_texts[index].ids)
        widths = dict.fromkeys(("input_ids", "attention_mask", "source_categories"), source)
        widths |= dict.fromkeys(("decoder_input_ids", "decoder_attention_mask", "labels"), target)
        return replace(
            self,
            **{name: tensor[index : index + 1, : widths.get(name)] for name, tensor in self.tensors.items()},
            source_texts=(self.source_texts[index],),
            target_texts=(self.target_texts[index],),
            unfinished=(0,) if index in self.unfinished else (),
        )

    def prompts(self, chosen: Bool[Tensor, " batch"]) -> "Batch":
        """Some of the prompts, padded as they are.

        Args:
            chosen: True at those that are kept.
        """
        places = chosen.nonzero()[:, 0].tolist()
        return replace(
            self,
            **{name: tensor[chosen] for name, tensor in self.tensors.items()},
            source_texts=tuple(self.source_texts[place] for place in places),
            target_texts=tuple(self.target_texts[place] for place in places),
            unfinished=tuple(now for now, place in enumerate(places) if place in self.unfinished),
        )

    def to(self, device: str | torch.device) -> "Batch":
        """The same batch with its tensors on another device.

        Args:
            device: where to.
        """
        return replace(self, **{name: tensor.to(device) for name, tensor in self.tensors.items()})


def collate(
    sources: Sequence[Text],
    targets: Sequence[Text],
    config: ModelConfig,
    shift: Callable[[TokenIds], TokenIds],
    target_origin: TargetOrigin,
    unfinished: tuple[int, ...] = (),
    input_features: Tensor | None = None,
) -> Batch:
    """The padded batch of tokenized texts.

    Args:
        sources: tokenized sources.
        targets: their tokenized targets.
        config: the model's facts.
        shift: the host's own rule that makes decoder inputs from labels.
        target_origin: `given` or `generated`.
        unfinished: indices of generated targets that were stopped by the length limit.
        input_features: spectrograms of the sources, where they are sounds.
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
        input_features=input_features,
    )


def shift_right(labels: TokenIds, config: ModelConfig, first: Literal["start", "last"]) -> TokenIds:
    """The decoder inputs that predict labels.

    Args:
        labels: -100 at padding.
        config: the model's facts.
        first: put the start token first, or (mBART, whose texts end with their language) the last label.
    """
    filled = labels.masked_fill(labels == IGNORED_LABEL, config.pad_token_id)
    start = torch.full_like(labels[:, :1], config.decoder_start_token_id)
    if first == "last":
        start = filled.gather(1, filled.ne(config.pad_token_id).sum(1, keepdim=True) - 1)
    return torch.cat([start, filled[:, :-1]], 1)


def _pad(rows: Sequence[Sequence[int]], value: int) -> tuple[TokenIds, TokenIds]:
    ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)
    mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
    return ids, mask


def category_counts(batch: Batch) -> Int[Tensor, "batch category"]:
    """How many source tokens of each category every prompt has, padding included.

    Args:
        batch: the prompts.
    """
    return torch.nn.functional.one_hot(batch.source_categories, len(CATEGORIES)).sum(1)
