"""Why does a head look there? The score of one query and key as an exact sum over what wrote at either of them.

With all norms held at their scales in the run, what a query reads is a sum of parts, one for every writer (`streams`) and bias,
and so is what a key reads; a score is bilinear in the two, hence a sum over pairs of parts, and what a position bias adds:

    score(i, j) = scale sum_{w, w'} (W_Q w_i) . (W_K w'_j) + position bias(j - i)

so that one may read: asks by what DL1MLP wrote, finds what EL2H1 wrote. In T5 scale is 1; cross-attention reads keys through the
encoder's last norm, and has no position bias. In BART and its relatives biases are parts too, the query's and the key's own among
them, and writes pass every norm between (Elhage et al. 2021 for the bilinear form).

A part of the score that is the same for all keys moves no attention: compare a key with another one, or with their mean
(`contrast`), before anything is ranked.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.graph import HeadInput, Port, graph_of
from interp.circuits.streams import added_point
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, norm_gain, output_bias, output_weights, projection_bias

OWN_BIAS = "own bias"
"""The part that a head's query or key bias is."""


@dataclass(frozen=True, eq=False)
class ScoreParts:
    """The scores of one head and query, over keys, taken apart.

    Attributes:
        head: the head.
        query_parts: labels of what the query reads.
        key_parts: labels of what keys read.
        values: of every pair and key; NaN at keys that must not be attended.
        position_bias: what positions add to every key.
        scores: the head's own scores, from the run.
    """

    head: HeadId
    query_parts: tuple[str, ...]
    key_parts: tuple[str, ...]
    values: Float[Tensor, "key query_part key_part"]
    position_bias: Float[Tensor, " key"]
    scores: Float[Tensor, " key"]

    @property
    def gap(self) -> float:
        """The largest distance of a sum from its score, relative to the largest score; rounding alone."""
        seen = ~self.values.isnan().any(-1).any(-1)
        distance = (self.values.sum((-1, -2)) + self.position_bias - self.scores)[seen].abs().max()
        return float(distance / self.scores[seen].abs().max().clamp_min(1e-30))

    def contrast(self, key: int, other: int | None = None) -> Float[Tensor, "query_part key_part"]:
        """What lifts one key above another, or above the mean of all that may be attended.

        Args:
            key: position of the key.
            other: position of the other; the mean by default.
        """
        seen = ~self.values.isnan().any(-1).any(-1)
        return self.values[key] - (self.values[seen].mean(0) if other is None else self.values[other])


def score_hooks(model: HookedEncoderDecoder, head: HeadId) -> tuple[str, ...]:
    """The hook points that `decompose_scores` reads.

    Args:
        model: the model.
        head: the head.
    """
    names: list[str] = []
    for port in _ports(model, head):
        for step in port.course:
            if isinstance(step, str):
                names.append(f"{step}.hook_scale")
            else:
                names += [added_point(step), *([f"{step.name}.hook_z"] if step.attention is not None else [])]
    return tuple(
        dict.fromkeys((*names, f"{attention_path(head.kind, head.layer)}.hook_attn_scores", *_bias_points(model, head)))
    )


def _bias_points(model: HookedEncoderDecoder, head: HeadId) -> tuple[str, ...]:
    if head.kind == "cross" or model.cfg.positions != "relative":
        return ()
    layer = f".{head.layer}" if model.cfg.bias_per_layer else ""
    return (f"{head.kind}{layer}.position_bias",)


def _ports(model: HookedEncoderDecoder, head: HeadId) -> tuple[Port, Port]:
    """Where the head's query and key read."""
    path = attention_path(head.kind, head.layer)
    found = {port.slot: port for port in graph_of(model.cfg).ports if port.name == path}
    if not found or not 0 <= head.head < model.cfg.heads_of(head.kind):
        raise InputError(
            f"There is no head {head} in this model; `interp model` says how many layers and heads it has."
        )
    return found["q"], found["k"]


@torch.no_grad()
def decompose_scores(
    model: HookedEncoderDecoder, cache: ActivationCache, head: HeadId | str, query: int, prompt: int = 0
) -> ScoreParts:
    """The scores of one head and query over all keys, as sums over pairs of parts.

    Args:
        model: the model the cache came from.
        cache: with the activations of `score_hooks`.
        head: the head, or its label.
        query: position of the query in its stack.
        prompt: which prompt.

    Raises:
        InputError: if the model has no such head, or the query is not in the texts.
    """
    one = HeadId.parse(head) if isinstance(head, str) else head
    asking, answering = _ports(model, one)
    all_scores = cache[f"{attention_path(one.kind, one.layer)}.hook_attn_scores"]
    if not (0 <= query < all_scores.shape[2] and 0 <= prompt < len(all_scores)):
        raise InputError(
            f"There is no query {query} of prompt {prompt}; the batch has {len(all_scores)} prompts of {all_scores.shape[2]} "
            "positions, counted from 0."
        )
    scores, weights = all_scores[prompt, one.head, query], attention_weights(model, one.kind, one.layer)
    queries = _projected(model, cache, asking, one, weights.W_Q, prompt, query)
    keys = _projected(model, cache, answering, one, weights.W_K, prompt, None)
    values = model.cfg.attention_scale(one.kind) * torch.einsum("qk,pwk->pqw", queries[1][0], keys[1])
    points = _bias_points(model, one)
    bias = cache[points[0]][0, one.head, query, : len(scores)] if points else torch.zeros_like(scores)
    # The host masks by the most negative number there is.
    values[scores < torch.finfo(scores.dtype).min / 2] = torch.nan
    return ScoreParts(one, queries[0], keys[0], values, bias, scores)


def _projected(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    port: Port,
    head: HeadId,
    matrices: Tensor,
    prompt: int,
    position: int | None,
) -> tuple[tuple[str, ...], Float[Tensor, "pos part d_head"]]:
    """Labels and parts of a query or key, its own bias last."""
    labels, parts = stream_parts(model, cache, port, prompt, position)
    projected = parts @ matrices[head.head]
    slot: HeadInput = "q" if port.slot == "q" else "k"
    own = projection_bias(model, head.kind, head.layer, slot)[head.head]
    if not own.any():
        return labels, projected
    return (*labels, OWN_BIAS), torch.cat([projected, own.expand(len(projected), 1, -1)], 1)


def stream_parts(
    model: HookedEncoderDecoder, cache: ActivationCache, port: Port, prompt: int, position: int | None = None
) -> tuple[tuple[str, ...], Float[Tensor, "pos part d_model"]]:
    """What a port reads as a sum: labels, and for every position what is left of each write and bias behind the norms, held.

    Args:
        model: the model the cache came from.
        cache: with what steps add, z, and the norms' scales.
        port: where it is read.
        prompt: which prompt.
        position: one position; all by default.
    """
    chosen = slice(None) if position is None else slice(position, position + 1)
    labels: list[str] = []
    parts: list[Tensor] = []
    for step in port.course:
        if isinstance(step, str):
            factor = norm_gain(model, step) / cache[f"{step}.hook_scale"][prompt, chosen]
            if model.cfg.norm == "layer":
                parts = [part - part.mean(-1, keepdim=True) for part in parts]
            parts = [part * factor for part in parts]
            bias = output_bias(model, step)
            if bias.any():
                labels.append(f"{step} bias")
                parts.append(bias.expand_as(parts[0]))
            continue
        labels += step.writers
        added = cache[added_point(step)][prompt, chosen]
        if step.attention is None or step.layer is None:
            parts.append(added)
            continue
        W_O = output_weights(model, step.attention, step.layer)
        written = torch.einsum("phk,hkd->hpd", cache[f"{step.name}.hook_z"][prompt, chosen], W_O)
        parts += list(written)
        bias = output_bias(model, f"{step.name}.hook_result")
        if bias.any():
            labels.append(f"{step.name} bias")
            parts.append(bias.expand_as(added))
    return tuple(labels), torch.stack(parts, 1)
