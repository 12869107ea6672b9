"""The tuned lens (Belrose et al. 2023) of the decoder: the logit lens behind an affine map for every depth.

lens_l(h) = unembed(norm(h + A_l h + b_l)), with the model's own norm and unembedding; A_l and b_l are learned so that it says
what the model will say, minimizing KL(model || lens) over the rows of a store. It needs the streams of
`lens_hooks(model, "decoder")` and nothing else: the last of them gives what the model says.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from interp.activations import ActivationStore
from interp.attribution.lenses import read_out
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes.layer_maps import LayerMaps, LensComparison, LensKind, stream_hooks
from interp.probes.lens_fitting import compare_lens, divergence, fit_lens


class _Rows:
    """Target rows of a store with the decoder's stream at every depth."""

    kind: LensKind = "tuned lens"

    def __init__(self, model: HookedEncoderDecoder, store: ActivationStore, rows: np.ndarray | None) -> None:
        self.model, self.store, self.rows = model, store, rows
        self.hooks = stream_hooks(model, self.kind, store)
        self._prompt_of = store.index("target", ["prompt"])["prompt"].to_numpy()

    def parts(self, size: int, seed: int | None) -> Iterable[tuple[np.ndarray, dict[str, Tensor]]]:
        """See `LensRows`."""
        return self.store.batches(size, seed, self.hooks, self.rows, numbered=True)

    def by_depth(self, lens: LayerMaps, part: tuple[np.ndarray, dict[str, Tensor]]) -> Iterator[Tensor]:
        """See `LensRows`."""
        # [1 row d_model]: to a lens rows are positions of one text.
        streams = [part[1][hook].to(self.model.device, self.model.dtype).unsqueeze(0) for hook in self.hooks]
        with torch.no_grad():
            final = read_out(self.model, streams[-1])
        for depth, stream in enumerate(streams[:-1]):
            yield divergence(final, read_out(self.model, lens(stream, depth))).squeeze(0)

    def prompts(self, part: tuple[np.ndarray, dict[str, Tensor]]) -> np.ndarray:
        """See `LensRows`."""
        return np.asarray(self._prompt_of[part[0]])


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
    return fit_lens(_Rows(model, store, rows), epochs, batch, rate, seed)


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
        resamples: of the sentences.

    Raises:
        InputError: as for `fit_tuned_lens`, or if the lens is none of these.
    """
    return compare_lens(lens, _Rows(model, store, rows), seed, resamples)
