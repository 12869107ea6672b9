"""Which examples a step sees: token ids, batched by length.

A batch holds examples of nearly equal lengths on both sides, so that only a few positions are padding, and at most a given
number of padded tokens. Tasks are mixed in every batch: their targets differ in length (a label is one token), so that batches of
like lengths alone would be of one task each, and every step would pull the model towards another. The order of batches is a
function of (seed, epoch) alone, so that a resumed run sees the batches an uninterrupted one would have seen.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

PAD = 0


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of one training example, each side ended by `</s>`."""

    source: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A padded batch.

    Attributes:
        source: ids of the sources, shape (batch, source), padded with 0.
        source_mask: True at tokens, same shape.
        target: ids of the targets, shape (batch, target), padded with 0.
        target_mask: True at tokens, same shape.
    """

    source: torch.Tensor
    source_mask: torch.Tensor
    target: torch.Tensor
    target_mask: torch.Tensor


def epoch_batches(
    tasks: Sequence[Sequence[Example]], tokens: int, seed: int, epoch: int
) -> Iterator[tuple[Example, ...]]:
    """One pass over the examples of all tasks, batched by length and shuffled by (seed, epoch).

    Args:
        tasks: the examples of each task.
        tokens: padded tokens, both sides together, that no batch may exceed; a longer single example stands alone.
        seed: the run's seed.
        epoch: number of the pass.
    """
    draw = random.Random(f"{seed}-{epoch}")
    examples = [example for task in tasks for example in task]
    order = _by_length(tasks, draw)
    batches: list[list[int]] = []
    source = target = 0
    for index in order:
        example = examples[index]
        wider = max(source, len(example.source)), max(target, len(example.target))
        if not batches or sum(wider) * (len(batches[-1]) + 1) > tokens:
            batches.append([])
            wider = len(example.source), len(example.target)
        source, target = wider
        batches[-1].append(index)
    draw.shuffle(batches)
    for batch in batches:
        yield tuple(examples[index] for index in batch)


def _by_length(tasks: Sequence[Sequence[Example]], draw: random.Random) -> list[int]:
    """Indices by length of source, and there by the place that the length of the target has among those of the same task."""
    examples = [(task, example) for task, some in enumerate(tasks) for example in some]
    order = list(range(len(examples)))
    draw.shuffle(order)
    alike: dict[tuple[int, int], list[int]] = {}
    for index in order:
        task, example = examples[index]
        # The jitter lets sentences of neighboring lengths meet in other batches every epoch.
        alike.setdefault((len(example.source) + draw.randint(0, 1), task), []).append(index)
    places: list[tuple[int, float, int]] = []
    for (length, _), indices in alike.items():
        indices.sort(key=lambda index: len(examples[index][1].target))
        places += [(length, (rank + 0.5) / len(indices), index) for rank, index in enumerate(indices)]
    places.sort(key=lambda place: place[:2])
    return [index for _, _, index in places]


def collate(examples: Sequence[Example], device: torch.device) -> Batch:
    """One padded batch of `examples` on `device`."""
    source, source_mask = _padded([example.source for example in examples])
    target, target_mask = _padded([example.target for example in examples])
    return Batch(source.to(device), source_mask.to(device), target.to(device), target_mask.to(device))


def _padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(ids.shape[1]) < lengths[:, None]
