"""Prompts by the hundred thousand: batches kept small, and made again whenever they are asked for.

A tokenized text takes some kilobytes, a hundred times its bytes. Of many prompts only what their texts are made of is kept,
compressed, a batch at a time; a batch that is made again is the same, token by token. Whoever goes over all batches holds one.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TypeVar, overload

import torch

from interp.axes import TokenIds
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch, TargetOrigin, collate
from interp.text.tokenized_text import Text

MOST_WHOLE = 2048
"""Prompts up to which batches are kept as they are: there they take some megabytes, and nothing needs to be made again."""

_Item = TypeVar("_Item")

_FIELDS = tuple(one.name for one in fields(Text))


class OnDemand(Sequence[_Item]):
    """A sequence whose items are made whenever they are asked for."""

    __slots__ = ()

    def made(self, place: int) -> _Item:
        """The one at a place."""
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> _Item: ...
    @overload
    def __getitem__(self, place: slice) -> list[_Item]: ...
    def __getitem__(self, place: int | slice) -> _Item | list[_Item]:
        if isinstance(place, slice):
            return [self.made(one) for one in range(*place.indices(len(self)))]
        return self.made(place)


@dataclass(frozen=True, slots=True, eq=False)
class KeptBatches(OnDemand[Batch]):
    """Batches, of which one at a time is in memory.

    Attributes:
        cfg: the model's facts.
        shift: the rule that makes decoder inputs from labels.
        device: where batches go.
        origin: of the targets.
        packed: every batch, compressed.
    """

    cfg: ModelConfig
    shift: Callable[..., TokenIds]
    device: torch.device
    origin: TargetOrigin
    packed: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, model: HookedEncoderDecoder, origin: TargetOrigin) -> "KeptBatches":
        """No batches yet.

        Args:
            model: whose batches they are.
            origin: of their targets.
        """
        return cls(model.cfg, model.batcher.shifted, model.device, origin)

    def append(self, batch: Batch) -> None:
        """Keep one more.

        Args:
            batch: the batch.
        """
        sides = [
            [[getattr(text, name) for name in _FIELDS] for text in texts]
            for texts in (batch.source_texts, batch.target_texts)
        ]
        self.packed.append(zlib.compress(json.dumps([*sides, batch.unfinished]).encode(), 1))

    def __len__(self) -> int:
        return len(self.packed)

    def made(self, place: int) -> Batch:
        """The one at a place."""
        sources, targets, unfinished = json.loads(zlib.decompress(self.packed[place]))
        shift = partial(self.shift, origin=self.origin)
        made = collate(
            [_text(values) for values in sources],
            [_text(values) for values in targets],
            self.cfg,
            shift,
            self.origin,
            tuple(unfinished),
        )
        return made.to(self.device)


def _text(values: Sequence[object]) -> Text:
    found = [tuple(value) if isinstance(value, list) else value for value in values]
    return Text(**dict(zip(_FIELDS, found, strict=True)))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Regrouped(OnDemand[Batch]):
    """The same prompts in batches of another size, each made when it is asked for.

    Attributes:
        rows: of all prompts.
        model: that reads them.
        size: prompts in a batch.
    """

    rows: "Rows"
    model: HookedEncoderDecoder
    size: int

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def made(self, place: int) -> Batch:
        """The one at a place."""
        start = range(len(self.rows))[:: self.size][place]
        return collated(self.model, [self.rows[at] for at in range(start, min(start + self.size, len(self.rows)))])


def collated(model: HookedEncoderDecoder, chosen: Sequence[tuple[Batch, int]]) -> Batch:
    """Some prompts as one batch.

    Args:
        model: that reads them.
        chosen: of every prompt a batch that holds it, and its row there.
    """
    origin = chosen[0][0].target_origin
    return collate(
        [batch.source_texts[row] for batch, row in chosen],
        [batch.target_texts[row] for batch, row in chosen],
        model.cfg,
        partial(model.decoder_inputs, origin=origin),
        origin,
        tuple(place for place, (batch, row) in enumerate(chosen) if row in batch.unfinished),
    ).to(model.device)


class Rows(OnDemand[tuple[Batch, int]]):
    """Every prompt's batch and its row there, the batch that was used last kept.

    Args:
        batches: all prompts, equally many in each batch but the last.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self._last = (0, batches[0])
        self._size = len(batches[0])
        self._count = (len(batches) - 1) * self._size + len(batches[-1])

    def __len__(self) -> int:
        return self._count

    def made(self, place: int) -> tuple[Batch, int]:
        """The one at a place."""
        number, row = divmod(range(len(self))[place], self._size)
        if self._last[0] != number:
            self._last = (number, self.batches[number])
        return self._last[1], row


class Texts(OnDemand[Text]):
    """The sources or targets of all prompts; going over them holds one batch.

    Args:
        batches: all prompts, equally many in each batch but the last.
        side: `source_texts` or `target_texts`.
    """

    def __init__(self, batches: Sequence[Batch], side: str) -> None:
        self._batches, self._side = batches, side

    def __len__(self) -> int:
        return len(Rows(self._batches))

    def __iter__(self) -> Iterator[Text]:
        for batch in self._batches:
            yield from getattr(batch, self._side)

    def made(self, place: int) -> Text:
        """The one at a place."""
        batch, row = Rows(self._batches)[place]
        text: Text = getattr(batch, self._side)[row]
        return text
