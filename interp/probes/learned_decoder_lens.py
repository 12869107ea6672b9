"""A learned DecoderLens [ours, on Langedijk et al. 2023]: the whole decoder reads an early encoder stream behind an affine map.

    memory_l = norm(h_l + A_l h_l + b_l)

with the encoder's own final norm and the model's weights as they are; A_l and b_l are learned so that the decoder says what
it says to the true memory, minimizing KL(model || lens) over the rows of given targets. It begins as DecoderLens, and behind
the last layer it is the model. A map of single positions cannot mix positions: what it does not recover still needs the layers
that are left.

The store needs every token of both sides (`keep=("special", "forced")`), the encoder's stream at every depth, and the decoder's
after its last layer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from interp.activations import ActivationStore
from interp.activations.batches import row_numbers
from interp.attribution.lenses import decode, final_norm, read_out
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes.layer_maps import LayerMaps, LensComparison, LensKind, stream_hooks
from interp.probes.lens_fitting import compare_lens, divergence, fit_lens

_NEEDED = ("forced", "special")


class _Prompts:
    """Whole prompts of a store, put together again from its rows."""

    kind: LensKind = "decoder lens"

    def __init__(self, model: HookedEncoderDecoder, store: ActivationStore, prompts: np.ndarray | None) -> None:
        self.model, self.store = model, store
        self.hooks = stream_hooks(model, self.kind, store)
        self.last = f"decoder.{model.cfg.n_decoder_layers - 1}.hook_resid_post"
        if self.last not in store.hooks or not set(_NEEDED) <= set(store.manifest.recipe.keep):
            raise InputError(
                f"A learned decoder lens needs whole prompts: write the store with {self.last} too, and with --keep special "
                "--keep forced."
            )
        self.source = store.index("source", ["prompt", "category"])
        self.target = store.index("target", ["prompt", "reads", "category"])
        every = np.unique(self.source["prompt"].to_numpy())
        count = int(every.max(initial=-1)) + 1  # some have no rows
        self.chosen = every if prompts is None else row_numbers(prompts, count, "Prompts")

    def parts(self, size: int, seed: int | None) -> Iterator[np.ndarray]:
        """See `LensRows`."""
        order = self.chosen if seed is None else np.random.default_rng(seed).permutation(self.chosen)
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def by_depth(self, lens: LayerMaps, part: np.ndarray) -> Iterator[Tensor]:
        """See `LensRows`."""
        streams, fields, last = self.batch(part)
        rows = fields["decoder_attention_mask"].bool()
        with torch.no_grad():
            final = read_out(self.model, last)
        for depth, stream in enumerate(streams[:-1]):
            memory = final_norm(self.model, lens(stream, depth), "encoder")
            yield divergence(final, decode(self.model, fields, memory))[rows]

    def prompts(self, part: np.ndarray) -> np.ndarray:
        """See `LensRows`."""
        return np.repeat(part, [len(_rows(self.target, int(prompt))) for prompt in part])

    def batch(self, prompts: Sequence[int] | np.ndarray) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """Encoder streams by depth, [batch source d_model]; the decoder's inputs; its last stream, [batch target d_model]."""
        places = [_rows(self.source, int(prompt)) for prompt in prompts]
        answers = [_rows(self.target, int(prompt)) for prompt in prompts]
        streams = [self._padded(hook, places) for hook in self.hooks]
        reads = self.target["reads"].to_numpy()
        ids = pad_sequence([torch.tensor(reads[rows], dtype=torch.long) for rows in answers], batch_first=True)
        fields = {"attention_mask": _mask(places), "decoder_input_ids": ids, "decoder_attention_mask": _mask(answers)}
        return (
            streams,
            {name: value.to(self.model.device) for name, value in fields.items()},
            self._padded(self.last, answers),
        )

    def _padded(self, hook: str, places: Sequence[np.ndarray]) -> Tensor:
        rows = [self.store.take(hook, one).to(self.model.device, self.model.dtype) for one in places]
        return pad_sequence(rows, batch_first=True)


def _rows(index: object, prompt: int) -> np.ndarray:
    numbers = index["prompt"].to_numpy()  # type: ignore[index]
    first, behind = np.searchsorted(numbers, [prompt, prompt + 1])
    rows = np.arange(first, behind)
    return rows[index["category"].to_numpy()[rows] != "pad"]  # type: ignore[index]


def _mask(places: Sequence[np.ndarray]) -> Tensor:
    return pad_sequence([torch.ones(len(rows), dtype=torch.long) for rows in places], batch_first=True)


def fit_decoder_lens(
    model: HookedEncoderDecoder,
    store: ActivationStore,
    prompts: np.ndarray | None = None,
    epochs: int = 5,
    batch: int = 16,
    rate: float = 1e-3,
    seed: int = 0,
) -> LayerMaps:
    """A learned DecoderLens, on Langedijk et al. 2023.

    Args:
        model: the model, whose weights stay as they are.
        store: of whole prompts.
        prompts: numbers of those to learn from; all by default.
        epochs: how often each is seen.
        batch: prompts of a step.
        rate: of learning (Adam).
        seed: of the order.

    Raises:
        InputError: if the store lacks a stream or tokens, was written with other weights, or a number is below 1.
    """
    return fit_lens(_Prompts(model, store, prompts), epochs, batch, rate, seed)


def compare_decoder_lens(
    model: HookedEncoderDecoder,
    store: ActivationStore,
    lens: LayerMaps,
    prompts: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 2_000,
) -> LensComparison:
    """KL from the model of the learned and of the plain DecoderLens at every depth, on prompts that the lens has not seen.

    Args:
        model: the model.
        store: of whole prompts.
        lens: of `fit_decoder_lens`.
        prompts: numbers of those to judge by; all by default.
        seed: of the resamples.
        resamples: of the sentences.

    Raises:
        InputError: as for `fit_decoder_lens`, or if the lens is none of these.
    """
    return compare_lens(lens, _Prompts(model, store, prompts), seed, resamples)
