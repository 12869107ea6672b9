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
from interp.attribution.lenses import decode, final_norm, read_out
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

_NEEDED = ("forced", "special")


class _Prompts:
    """Whole prompts of a store, put together again from its rows."""

    def __init__(self, model: HookedEncoderDecoder, store: ActivationStore) -> None:
        self.model, self.store = model, store
        self.hooks = stream_hooks(model, "encoder", store)
        self.last = f"decoder.{model.cfg.n_decoder_layers - 1}.hook_resid_post"
        if self.last not in store.hooks or not set(_NEEDED) <= set(store.manifest.recipe.keep):
            raise InputError(
                f"A learned decoder lens needs whole prompts: write the store with {self.last} too, and with --keep special "
                "--keep forced."
            )
        self.source = store.index("source", ["prompt", "category"])
        self.target = store.index("target", ["prompt", "reads", "category"])

    def numbers(self) -> np.ndarray:
        """Of all prompts."""
        return np.unique(self.source["prompt"].to_numpy())

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
    if min(epochs, batch) < 1:
        raise InputError(f"Epochs and prompts of a step are 1 or more; got {epochs} and {batch}.")
    read, random = _Prompts(model, store), np.random.default_rng(seed)
    chosen = read.numbers() if prompts is None else np.asarray(prompts)
    lens = new_maps(model, "decoder lens", "encoder")
    optimizer = steps_with(lens, rate)
    for _ in range(epochs):
        order = random.permutation(chosen)
        for start in range(0, len(order), batch):
            optimizer.zero_grad()
            for kl, mask in _by_depth(read, lens, order[start : start + batch]):
                kl[mask].mean().backward()  # depth by depth, so that one pass of the decoder is held at a time
            optimizer.step()
    return lens


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
        resamples: of the prompts.

    Raises:
        InputError: as for `fit_decoder_lens`.
    """
    read = _Prompts(model, store)
    plain = new_maps(model, "decoder lens", "encoder")
    chosen = read.numbers() if prompts is None else np.asarray(prompts)
    found: list[list[np.ndarray]] = [[], []]
    with torch.no_grad():
        for start in range(0, len(chosen), 16):
            for one, kept in zip((lens, plain), found, strict=True):
                depths = [
                    (kl * mask).sum(1) / mask.sum(1) for kl, mask in _by_depth(read, one, chosen[start : start + 16])
                ]
                kept.append(torch.stack(depths, 1).cpu().double().numpy())
    return compared(np.concatenate(found[0]), np.concatenate(found[1]), seed, resamples)


def _by_depth(read: _Prompts, lens: LayerMaps, prompts: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
    """KL of every decoder row and the mask of rows, for every depth but the last."""
    streams, fields, last = read.batch(prompts)
    with torch.no_grad():
        final = read_out(read.model, last)
    for depth, stream in enumerate(streams[:-1]):
        memory = final_norm(read.model, lens(stream, depth), "encoder")
        yield divergence(final, decode(read.model, fields, memory)), fields["decoder_attention_mask"].bool()
