"""Which cross-attention heads translate the word that they read?

What a head would write if it read a source word alone, on its direct way to the logits,

    (x_s W_V + b_V) W_O diag(g_F) W_U^T        x_s: encoder output, mean over the pieces of the word

(in T5; other families have more norms on that way, whose scales change no order: `unscaled_logits`) has the first piece of the
aligned word among its five largest logits (as for copying heads, Wang et al. 2022); beside it the same for the words of other
pairs, and for the word's own first piece [ours]. Words are those of `parallel`, the first two pairs of every sentence.

The causal check: a head that translates, taken away, costs the translations of the words that it reads more than those of others.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analyses.core.contract import Arrays
from analyses.head_specialization.measure.copy_hits import TOP
from analyses.head_specialization.measure.parallel import Pair, Parallel, by_sentence, n_sentences, parallels
from interp.attribution.frozen_norms import unscaled_logits
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import encoder_memory
from interp.model.weights import attention_weights, projection_bias, unembedding, unembedding_bias
from interp.patching.partial_forward import record_pass
from interp.statistics import mean_over_prompts

_PAIRS = 2
"""Pairs of a sentence that are asked about; each costs a product with the vocabulary for every head."""

_MOST_ABLATED = 6
_LEAST_HITS = 0.25
"""Heads with at least this share of hits are ablated, the best of them."""


def examine_translation(model: HookedEncoderDecoder) -> Arrays:
    """Translation on the bundled sentences, and what ablating the best heads costs.

    Args:
        model: any model.

    Returns:
        `cross.translation`, `_other` and `_copy` [parallel language layer head]: share of hits, and
        `cross.translation_cost_read` and `_other` (see `ablate_translation`). Nothing where `parallel` has nothing to
        ask.
    """
    found = parallels(model)
    if not found:
        return {}
    with torch.no_grad():
        arrays = by_sentence([_translation(model, parallel) for parallel in found], found)
    hits = mean_over_prompts(mean_over_prompts(np.moveaxis(arrays["cross.translation"], 1, 0)))
    return {**arrays, **ablate_translation(model, found, hits)}


def _translation(model: HookedEncoderDecoder, parallel: Parallel) -> dict[str, np.ndarray]:
    batch, pairs, cfg = parallel.batch, _first_pairs(parallel), model.cfg
    memory = encoder_memory(model, batch)
    states = torch.stack([memory[pair.prompt, list(pair.pieces)].mean(0) for pair in pairs])
    tokens = torch.tensor([pair.token for pair in pairs], device=states.device)
    own = torch.stack([batch.input_ids[pair.prompt, pair.pieces[0]] for pair in pairs])
    wanted = {"translation": tokens, "translation_other": tokens[_others(tokens)], "translation_copy": own}
    prompts = np.array([pair.prompt for pair in pairs])
    shape = (len(batch), cfg.n_decoder_layers, cfg.n_decoder_heads)
    found = {f"cross.{name}": np.full(shape, np.nan) for name in wanted}
    for layer in range(cfg.n_decoder_layers):
        weights, bias = attention_weights(model, "cross", layer), projection_bias(model, "cross", layer, "v")
        path = attention_path("cross", layer)
        for head in range(cfg.n_decoder_heads):
            written = (states @ weights.W_V[head] + bias[head]) @ weights.W_O[head]
            for name, hits in _hits(model, path, written, wanted).items():
                found[f"cross.{name}"][:, layer, head] = _means(hits, prompts, len(batch))
    return found


def _hits(
    model: HookedEncoderDecoder, path: str, written: Tensor, wanted: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """1 where a write raises a token among the `TOP` most, by name of what is wanted; logits are let go with each head."""
    logits = unscaled_logits(model, path, written)
    return {
        name: ((logits >= logits.gather(1, ids[:, None])).sum(-1) <= TOP).double().cpu().numpy()
        for name, ids in wanted.items()
    }


def _others(tokens: Int[Tensor, " pair"]) -> Int[Tensor, " pair"]:
    """For every pair the place of the next one, a third of the list on, whose target begins with another piece."""
    count = len(tokens)
    places = []
    for place, token in enumerate(tokens.tolist()):
        turns = ((place + count // 3 + turn) % count for turn in range(count))
        places.append(next((other for other in turns if int(tokens[other]) != token), place))
    return torch.tensor(places, device=tokens.device)


def _means(values: np.ndarray, prompts: np.ndarray, count: int) -> Float[np.ndarray, " prompt"]:
    """Means by prompt; NaN for a prompt without a pair."""
    sums, numbers = (np.bincount(prompts, weights=weight, minlength=count) for weight in (values, np.ones_like(values)))
    return np.asarray(np.divide(sums, numbers, out=np.full(count, np.nan), where=numbers > 0))


def _first_pairs(parallel: Parallel) -> tuple[Pair, ...]:
    """The first pairs of every prompt."""
    seen = [0] * len(parallel.batch)
    kept = []
    for pair in parallel.pairs:
        seen[pair.prompt] += 1
        if seen[pair.prompt] <= _PAIRS:
            kept.append(pair)
    return tuple(kept)


def ablate_translation(
    model: HookedEncoderDecoder, found: Sequence[Parallel], hits: Float[np.ndarray, "layer head"]
) -> Arrays:
    """What ablating the best translation heads costs the translations of the words that they read, and of other words.

    Args:
        model: the model.
        found: the sentences in every language.
        hits: share of hits of every cross head.

    Returns:
        `cross.translation_cost_read`, `_other` [parallel layer head]: fall of the log-probability of the first piece of the
        aligned word, at the row that predicts it, when the head's z is zero, over words that are, or are not, the head's
        strongest source word there; NaN for heads that were not ablated.
    """
    shape = (n_sentences(), *hits.shape)
    costs = {f"cross.translation_cost_{name}": np.full(shape, np.nan) for name in ("read", "other")}
    sums = {name: np.zeros((2, *shape)) for name in costs}
    heads = _ablated(hits)
    for parallel in found if heads else ():
        with torch.no_grad():
            for head, name, sentence, cost in _costs(model, parallel, heads):
                sums[name][:, sentence, head.layer, head.head] += (cost, 1)
    for name, (total, number) in sums.items():
        costs[name] = np.divide(total, number, out=costs[name], where=number > 0)
    return costs


def _ablated(hits: Float[np.ndarray, "layer head"]) -> list[HeadId]:
    cells = sorted(
        (cell for cell in np.ndindex(*hits.shape) if hits[cell] >= _LEAST_HITS), key=lambda cell: -hits[cell]
    )
    return [HeadId("cross", *cell) for cell in cells[:_MOST_ABLATED]]


def _costs(
    model: HookedEncoderDecoder, parallel: Parallel, heads: Sequence[HeadId]
) -> Iterator[tuple[HeadId, str, int, float]]:
    """Head, name of the array, sentence and cost of every aligned pair; one pass serves all heads, the pairs' rows are scored."""
    names = [head.hook_name(part) for head in heads for part in ("pattern", "z")]
    clean, pairs = record_pass(model, parallel.batch, names), parallel.pairs
    prompts, rows, tokens = (
        torch.tensor(places, device=model.device)
        for places in zip(*((pair.prompt, pair.row, pair.token) for pair in pairs), strict=True)
    )
    W_U, bias = unembedding(model), unembedding_bias(model)

    def read(outputs: Float[Tensor, "copy batch row d_model"]) -> Float[Tensor, "copy pair"]:
        logits = (outputs[:, prompts, rows] * model.cfg.logit_scale) @ W_U.T + bias
        return -torch.nn.functional.cross_entropy(
            logits.float().movedim(-1, 1), tokens.expand(len(outputs), -1), reduction="none"
        )

    before = read(clean.outputs[None])[0]
    for head in heads:
        z = torch.zeros_like(clean.cache[head.hook_name("z")][None, :, :, head.head])
        after = clean.with_heads(head.kind, head.layer, [head.head], z, read)[0]
        strongest = clean.cache[head.hook_name("pattern")][prompts, head.head, rows].argmax(-1)
        for pair, key, cost in zip(pairs, strongest.tolist(), (before - after).tolist(), strict=True):
            name = f"cross.translation_cost_{'read' if key in pair.pieces else 'other'}"
            yield head, name, parallel.sentences[pair.prompt], cost
