"""The tuned lens (Belrose et al. 2023) of the decoder: the logit lens behind an affine map for every depth.

lens_l(h) = unembed(norm(h + A_l h + b_l)), with the model's own norm and unembedding; A_l and b_l are learned so that it says
what the model will say, minimizing KL(model || lens) over the rows of a store. It needs the streams of
`lens_hooks(model, "decoder")` and nothing else: the last of them gives what the model says.
"""

import numpy as np
import torch
from torch import Tensor

from interp.activations import ActivationStore
from interp.attribution.lenses import read_out
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes.layer_maps import (
    LayerMaps,
    LensComparison,
    compared,
    divergence,
    new_maps,
    steps_with,
    stream_hooks,
)


def fit_tuned_lens(
    model: HookedEncoderDecoder,
    store: ActivationStore,
    rows: np.ndarray | None = None,
    epochs: int = 5,
    batch: int = 256,
    rate: float = 1e-3,
    seed: int = 0,
) -> LayerMaps:
    """A tuned lens (Belrose et al. 2023) of the decoder.

    Args:
        model: the model, whose weights stay as they are.
        store: with the decoder's stream at every depth.
        rows: numbers of the rows to learn from; all by default.
        epochs: how often each is seen.
        batch: rows of a step.
        rate: of learning (Adam).
        seed: of the order.

    Raises:
        InputError: if the store lacks a stream or was written with other weights, or a number is below 1.
    """
    if min(epochs, batch) < 1:
        raise InputError(f"Epochs and rows of a step are 1 or more; got {epochs} and {batch}.")
    hooks = stream_hooks(model, "decoder", store)
    lens = new_maps(model, "tuned lens", "decoder")
    optimizer = steps_with(lens, rate)
    for epoch in range(epochs):
        for found in store.batches(batch, seed + epoch, hooks, rows):
            optimizer.zero_grad()
            torch.stack([
                part.mean() for part in _by_depth(model, lens, _streams(model, found, hooks))
            ]).sum().backward()
            optimizer.step()
    return lens


def compare_tuned_lens(
    model: HookedEncoderDecoder,
    store: ActivationStore,
    lens: LayerMaps,
    rows: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 2_000,
) -> LensComparison:
    """KL from the model of the tuned and of the plain logit lens at every depth, on rows that the lens has not seen.

    Args:
        model: the model.
        store: with the decoder's stream at every depth.
        lens: of `fit_tuned_lens`.
        rows: numbers of the rows to judge by; all by default.
        seed: of the resamples.
        resamples: of the prompts.

    Raises:
        InputError: as for `fit_tuned_lens`.
    """
    hooks = stream_hooks(model, "decoder", store)
    plain = new_maps(model, "tuned lens", "decoder")
    prompts = store.index("target", ["prompt"])["prompt"].to_numpy()
    chosen, kl = [], []
    with torch.no_grad():
        for numbers, found in store.batches(256, None, hooks, rows, numbered=True):
            streams = _streams(model, found, hooks)
            both = [torch.stack(_by_depth(model, one, streams), -1).cpu().numpy() for one in (lens, plain)]
            chosen.append(prompts[numbers])
            kl.append(np.stack(both))
    values, places = np.concatenate(kl, 1), np.unique(np.concatenate(chosen), return_inverse=True)[1]
    counts = np.bincount(places)
    sums = np.zeros((2, len(counts), values.shape[-1]))
    for one, total in zip(values, sums, strict=True):
        np.add.at(total, places, one)
    learned, untrained = sums / counts[:, None]
    return compared(learned, untrained, seed, resamples)


def _streams(model: HookedEncoderDecoder, found: dict[str, Tensor], hooks: list[str]) -> list[Tensor]:
    """The streams by depth, [1 row d_model]: to a lens rows are positions of one text."""
    return [found[hook].to(model.device, model.dtype).unsqueeze(0) for hook in hooks]


def _by_depth(model: HookedEncoderDecoder, lens: LayerMaps, streams: list[Tensor]) -> list[Tensor]:
    """KL of every row, for every depth but the last."""
    with torch.no_grad():
        final = read_out(model, streams[-1])
    read = (read_out(model, lens(stream, depth)) for depth, stream in enumerate(streams[:-1]))
    return [divergence(final, logits).squeeze(0) for logits in read]
