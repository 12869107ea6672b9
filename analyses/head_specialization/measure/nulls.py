"""Would a head have its role with other weights of the same kind, or on texts in another order? Two controls beside the twins.

permuted    the trained model, the entries of every attention matrix permuted within their head, those of the feed-forward
            matrices within the matrix; embeddings, gains, biases and position biases stay. In T5 heads of equal index share one
            position bias in all layers, so entries never leave their head (Adebayo et al. 2018).
shuffled    the trained model on the same tokens in random order: prefix, end of sentence and start token stay in place,
            categories move with their tokens. What survives is position or the sink; what vanishes was order.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from analyses.core.arrays import joined
from analyses.core.contract import Arrays, Observed, Pass
from analyses.core.memory_use import use_once
from analyses.head_specialization.arrays import EXAMINED, OBSERVED, SENTENCE, of_null
from analyses.head_specialization.measure.observe import hooks_on, observe
from analyses.head_specialization.measure.repeats import examine_repeats
from analyses.head_specialization.settings import HeadSettings, Null
from interp.axes import ATTENTION_KINDS, Stack
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.placement import copy_in_memory, placed, spread_of
from interp.model.weights import attention_weights
from interp.text.batch import Batch
from interp.text.words import EOS, PAD, PREFIX

_STACKS: tuple[Stack, ...] = ("encoder", "decoder")
_SEQUENCES = 8


def observe_nulls(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: HeadSettings) -> Arrays:
    """What the controls give, array names as in `observe` and `examine` behind those of control and function."""
    # Links are words of a text in its own order.
    plain = settings.model_copy(
        update={"links": {}, "similarity": "none", "samples": min(_SEQUENCES, settings.samples)}
    )
    found: dict[str, np.ndarray] = {}
    if "permuted" in settings.nulls:
        found |= use_once(
            lambda: permuted_model(model, settings.probe_seed),
            lambda other: (
                _named("permuted/observe", _observed(other, batches, plain))
                | _named("permuted/examine", examine_repeats(other, plain))
            ),
        )
    if "shuffled" in settings.nulls:
        generator = torch.Generator().manual_seed(settings.probe_seed)
        mixed = [shuffled_batch(batch, generator) for batch in batches]
        found |= _named("shuffled/observe", _observed(model, mixed, plain))
    return found


def _named(place: str, arrays: Arrays) -> dict[str, np.ndarray]:
    return {f"{place}/{name}": values for name, values in arrays.items()}


def read_null(experiment: Arrays, null: Null) -> Observed | None:
    """One control as a model under observation, or None if it was not run."""
    prompts, weights = (
        {spec.name: experiment[name] for spec in specs if (name := of_null(null, spec).name) in experiment}
        for specs in ([*SENTENCE, *(spec for of_kind in OBSERVED.values() for spec in of_kind)], EXAMINED)
    )
    return Observed(prompts, weights) if prompts else None


def _observed(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: HeadSettings) -> dict[str, np.ndarray]:
    return joined([_observed_batch(model, batch, settings) for batch in batches])


@torch.no_grad()
def _observed_batch(model: HookedEncoderDecoder, batch: Batch, settings: HeadSettings) -> Arrays:
    """One batch; of its pass nothing is left when the next begins."""
    logits, cache = model.run_with_cache(batch, names_filter=list(hooks_on(model.cfg)))
    return observe(Pass(model, batch, logits, cache, settings))


def permuted_model(model: HookedEncoderDecoder, seed: int) -> HookedEncoderDecoder:
    """A copy of the model with permuted weights; see the module's docstring."""
    host = copy_in_memory(model.hf)
    other = HookedEncoderDecoder(host, model.tokenizer, model.max_length)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for kind in ATTENTION_KINDS:
            for layer in range(other.cfg.layers_of(kind)):
                weights = attention_weights(other, kind, layer, shared=True)
                for matrix in (weights.W_Q, weights.W_K, weights.W_V, weights.W_O):
                    for head in matrix:
                        _permute(head, generator)
        for stack in _STACKS:
            for layer in range(other.cfg.n_layers(stack)):
                experts = range(other.cfg.n_experts) if layer in other.cfg.expert_layers(stack) else (None,)
                for matrix in (one for expert in experts for one in _feed_forward(other, stack, layer, expert)):
                    _permute(matrix, generator)
    return HookedEncoderDecoder(
        placed(host, spread_of(model.hf), model.device, model.dtype), model.tokenizer, model.max_length
    )


def _feed_forward(model: HookedEncoderDecoder, stack: Stack, layer: int, expert: int | None) -> list[Tensor]:
    """The matrices of one feed-forward layer, or of an expert in it, in forward order."""
    own = mlp_weights(model, stack, layer, expert)
    read = (own.W_in,) if own.W_gate is None else (own.W_gate, own.W_in)
    return [matrix.t() for matrix in (*read, own.W_out)]


def _permute(matrix: Tensor, generator: Generator) -> None:
    """Entries in random order, in place."""
    order = torch.randperm(matrix.numel(), generator=generator).to(matrix.device)
    matrix.copy_(matrix.reshape(-1)[order].reshape(matrix.shape))


def shuffled_batch(batch: Batch, generator: Generator) -> Batch:
    """The same tokens in random order; see the module's docstring."""
    fixed = torch.isin(batch.source_categories, torch.tensor([PREFIX, EOS, PAD], device=batch.source_categories.device))
    source = _orders(batch.source_mask & ~fixed, generator)
    rows = batch.target_mask.clone()
    rows[:, 0] = False
    return replace(
        batch,
        input_ids=batch.input_ids.gather(1, source),
        source_categories=batch.source_categories.gather(1, source),
        decoder_input_ids=batch.decoder_input_ids.gather(1, _orders(rows, generator)),
    )


def _orders(movable: Tensor, generator: Generator) -> Tensor:
    """For every position the one whose token it gets: movable ones are shuffled among themselves."""
    order = torch.arange(movable.shape[1], device=movable.device).repeat(len(movable), 1)
    for row, moves in zip(order, movable, strict=True):
        places = moves.nonzero()[:, 0]
        row[places] = places[torch.randperm(len(places), generator=generator).to(places.device)]
    return order
