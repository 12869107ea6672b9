"""Fitting a lens, and comparing it with the untrained one: one loop, whatever the lens reads."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from interp.activations import ActivationStore, sentences_of
from interp.axes import Logits
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes.layer_maps import LayerMaps, LensComparison, LensKind, new_maps
from interp.statistics.intervals import bootstrap_mean

_JUDGED = {"tuned lens": 256, "decoder lens": 16}
"""Rows or prompts that are judged at once."""


@runtime_checkable
class LensRows(Protocol):
    """Decoder rows that a lens learns from, or is judged by, some at a time.

    Attributes:
        kind: of the lens.
        model: that it reads.
        store: where they lie.
    """

    kind: LensKind
    model: HookedEncoderDecoder
    store: ActivationStore

    def parts(self, size: int, seed: int | None) -> Iterable[Any]:
        """All rows once, in parts.

        Args:
            size: rows or prompts of a part.
            seed: of the order; None for that of the store.
        """

    def by_depth(self, lens: LayerMaps, part: Any) -> Iterator[Tensor]:
        """KL(model || lens) of every row of a part, for every depth but the last.

        Args:
            lens: the lens.
            part: the part.
        """

    def prompts(self, part: Any) -> np.ndarray:
        """The number of the prompt of each of these rows.

        Args:
            part: the part.
        """


def fit_lens(rows: LensRows, epochs: int, size: int, rate: float, seed: int) -> LayerMaps:
    """A lens that minimizes KL(model || lens), the model's weights as they are.

    Adam has a decay that pulls the maps to nothing, hence the lens to the untrained one.

    Args:
        rows: to learn from.
        epochs: how often each is seen.
        size: rows or prompts of a step.
        rate: of learning.
        seed: of the order.

    Raises:
        InputError: if a number is below 1, or there are no rows.
    """
    if min(epochs, size) < 1:
        raise InputError(f"Epochs and the size of a step are 1 or more; got {epochs} and {size}.")
    lens = new_maps(rows.model, rows.kind)
    optimizer = torch.optim.Adam(lens.parameters(), lr=rate, weight_decay=1e-5, amsgrad=True)
    for epoch in range(epochs):
        for part in _some(rows.parts(size, seed + epoch)):
            optimizer.zero_grad()
            for kl in rows.by_depth(lens, part):
                kl.mean().backward()  # depth by depth, so that one readout is held at a time
            optimizer.step()
    return lens


def compare_lens(lens: LayerMaps, rows: LensRows, seed: int, resamples: int) -> LensComparison:
    """KL from the model of a learned and of the untrained lens at every depth, means over sentences (`sentences_of`).

    Args:
        lens: the learned one.
        rows: that it has not seen.
        seed: of the resamples.
        resamples: of the sentences.

    Raises:
        InputError: if the lens is of another kind or model, or there are no rows.
    """
    if lens.kind != rows.kind:
        raise InputError(f"This is a {lens.kind}, to be compared with its like; a {rows.kind} is asked for.")
    plain, prompts, kl = new_maps(rows.model, rows.kind), [], []
    if lens.weights != plain.weights:
        raise InputError(
            "The lens was learned for other weights than this model's; load that model, or fit a lens for this one."
        )
    with torch.no_grad():
        for part in _some(rows.parts(_JUDGED[rows.kind], None)):
            both = [torch.stack(list(rows.by_depth(one, part)), -1) for one in (lens, plain)]
            prompts.append(rows.prompts(part))
            kl.append(torch.stack(both).cpu().double().numpy())
    numbers, places = np.unique(np.concatenate(prompts), return_inverse=True)
    by_prompt = _means(np.concatenate(kl, 1), places)
    learned, untrained = _means(by_prompt, np.unique(sentences_of(rows.store)[numbers], return_inverse=True)[1])
    return LensComparison(*(bootstrap_mean(one, seed, resamples) for one in (learned, untrained, untrained - learned)))


def _some(parts: Iterable[Any]) -> Iterator[Any]:
    """The parts, of which there must be one."""
    found = iter(parts)
    first = next(found, None)
    if first is None:
        raise InputError("There are no rows for the lens; choose at least one that the store has.")
    return chain((first,), found)


def _means(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Means [lens group depth] of values [lens one depth] over the ones of every group."""
    counts = np.bincount(places)
    sums = np.zeros((len(values), len(counts), values.shape[-1]))
    for one, total in zip(values, sums, strict=True):
        np.add.at(total, places, one)
    return np.asarray(sums / counts[:, None])


def divergence(final: Logits, lens: Logits) -> Tensor:
    """KL(model || lens) in nats, [...] without the axis of the vocabulary.

    Args:
        final: the model's logits.
        lens: the lens's.
    """
    own, read = final.float().log_softmax(-1), lens.float().log_softmax(-1)
    return (own.exp() * (own - read)).sum(-1)
