"""Neurons: which of the decoder's write the answers, when they are active, and what their values say by themselves.

Neurons are chosen by their mean |contribution| to the logit difference on one half of the sample's sentences, and their
contributions are estimated on the other half. A value's reading of the vocabulary is set against random directions of its length
(`interp.attribution.neurons`; Geva et al. 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analyses.core.contract import Arrays
from analyses.core.keys import rows_by_key, sentence_keys
from analyses.logit_attribution.observe import row_weights
from interp.attribution.frozen_norms import held_scales, sublayer_directions
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.attribution.neurons import (
    active_share,
    neuron_contributions,
    project_values,
    random_projections,
    top_triggers,
)
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.statistics import Interval, bootstrap_mean
from interp.text.batch import Batch
from interp.text.pieces import pieces_of

TOKENS_SHOWN = 5
NULL_DIRECTIONS = 20
"""Random directions for every neuron shown."""
SEED = 0
"""Of the random directions; part of the definition."""


def read_neurons(model: HookedEncoderDecoder, batch: Batch, count: int) -> Arrays:
    """The neurons that contribute most on a sample of prompts.

    Args:
        model: the model or a control.
        batch: the sample; of fewer than two sentences nothing is read, for one chooses and another is measured.
        count: how many neurons; none for 0.

    Returns:
        `neurons.place` [neuron 2] (layer, index), `neurons.contribution` [sentence neuron] of those that did not choose them,
        `neurons.active` [prompt layer], `neurons.largest_z` and `neurons.kurtosis` [neuron], `neurons.null_z` and
        `neurons.null_kurtosis` [neuron draw]; and as texts `neurons.raised`, `neurons.lowered`, `neurons.triggers` [neuron].
        Layers with experts have none, for each expert has neurons of its own; their activity is that of the chosen expert.
    """
    layers = range(model.cfg.n_decoder_layers)
    alike = [layer for layer in layers if layer not in model.cfg.decoder_expert_layers]
    sentences = rows_by_key(sentence_keys(batch))
    if not count or not alike or len(sentences) < 2:
        return {}
    with torch.no_grad():
        scales = held_scales(model.cfg)
        logits, cache = model.run_with_cache(batch, [*(f"decoder.{layer}.mlp.hook_post" for layer in layers), *scales])
        tokens = label_tokens(batch)
        directions = sublayer_directions(
            model, cache, logit_difference(model, logits, tokens, runner_up(model, logits, tokens))
        )
        weights = row_weights(batch)
        means = [
            _mean_contributions(model, cache, layer, directions[f"decoder.{layer}.mlp"], weights) for layer in alike
        ]
        split = torch.stack(means, 1)
        by_sentence = torch.stack([split[torch.as_tensor(shared)].mean(0) for shared in sentences])
        best = by_sentence[::2].mean(0).abs().flatten().topk(min(count, by_sentence[0].numel())).indices
        width = model.cfg.d_decoder_mlp
        place = torch.stack([torch.tensor(alike, device=best.device)[best // width], best % width], 1)
        described = [_describe(model, cache, batch, int(layer), neuron) for layer, neuron in place]
        active = torch.stack([active_share(cache, batch, layer) for layer in layers], 1)
    arrays = {
        "place": place.cpu().numpy(),
        "contribution": by_sentence[1::2].flatten(1)[:, best].float().cpu().numpy(),
        "active": active.float().cpu().numpy(),
    }
    arrays |= {name: np.array([one[name] for one in described]) for name in described[0]}
    return {f"neurons.{name}": values for name, values in arrays.items()}


def _mean_contributions(
    model: HookedEncoderDecoder, cache: ActivationCache, layer: int, direction: Tensor, weights: Tensor
) -> Float[Tensor, "batch d_mlp"]:
    split = neuron_contributions(model, cache, layer, direction)
    means: Tensor = torch.einsum("btn,bt->bn", split, weights.to(direction.dtype))
    return means


def _describe(
    model: HookedEncoderDecoder, cache: ActivationCache, batch: Batch, layer: int, neuron: Tensor
) -> dict[str, object]:
    one = neuron.unsqueeze(0)
    own = project_values(model, layer, one, TOKENS_SHOWN)
    null = random_projections(model, layer, one.repeat(NULL_DIRECTIONS), SEED, TOKENS_SHOWN)
    found = top_triggers(cache, batch, layer, one, TOKENS_SHOWN)
    triggers = [
        f"{batch.target_texts[int(prompt)].pieces[int(row)]} ({float(activation):.2f})"
        for prompt, row, activation in zip(found.prompt[0], found.row[0], found.activation[0], strict=True)
    ]
    return {
        "largest_z": float(own.largest_z[0]),
        "kurtosis": float(own.kurtosis[0]),
        "null_z": null.largest_z.float().cpu().numpy(),
        "null_kurtosis": null.kurtosis.float().cpu().numpy(),
        "raised": "  ".join(pieces_of(model.tokenizer, own.raised[0].tolist())),
        "lowered": "  ".join(pieces_of(model.tokenizer, own.lowered[0].tolist())),
        "triggers": "  ".join(triggers),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """The neurons that contribute most to the answers.

    Attributes:
        names: `DL2N117`: decoder layer and neuron.
        contribution: mean contribution to the logit difference, on prompts that did not choose the neuron.
        twin_largest: largest |mean contribution| of a neuron that was chosen in the same way in the untrained twin; NaN without.
        raised: pieces that the value raises most.
        lowered: pieces that it lowers most.
        triggers: predicted pieces at the rows where the neuron is most active, with the activation.
        largest_z: largest |z-score| of the value's logits.
        null_z: of random directions of equal length.
        kurtosis: of the value's logits.
        null_kurtosis: of random directions.
        active: share of neurons of every layer that are not zero, mean over prompts.
    """

    names: tuple[str, ...]
    contribution: Interval
    twin_largest: float
    raised: tuple[str, ...]
    lowered: tuple[str, ...]
    triggers: tuple[str, ...]
    largest_z: Float[np.ndarray, " neuron"]
    null_z: Float[np.ndarray, "neuron draw"]
    kurtosis: Float[np.ndarray, " neuron"]
    null_kurtosis: Float[np.ndarray, "neuron draw"]
    active: Float[np.ndarray, " layer"]


def neurons(arrays: Arrays, twins: Sequence[Arrays], seed: int) -> Neurons | None:
    """From what was read to estimates; None if no neurons were asked for."""
    if "neurons.place" not in arrays:
        return None
    largest = [float(np.abs(twin["neurons.contribution"].mean(0)).max()) for twin in twins]
    raised, lowered, triggers = (tuple(map(str, arrays[f"neurons.{name}"])) for name in _TEXTS)
    return Neurons(
        names=tuple(f"DL{layer}N{neuron}" for layer, neuron in arrays["neurons.place"]),
        contribution=bootstrap_mean(arrays["neurons.contribution"], seed),
        twin_largest=max(largest, default=float("nan")),
        raised=raised,
        lowered=lowered,
        triggers=triggers,
        active=arrays["neurons.active"].mean(0),
        **{name: arrays[f"neurons.{name}"] for name in ("largest_z", "null_z", "kurtosis", "null_kurtosis")},
    )


_TEXTS = ("raised", "lowered", "triggers")
