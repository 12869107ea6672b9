"""What Q asks, K offers, V gives: the leading singular directions of a head's QK and OV, read by what fires them most.

    QK = sum_i s_i u_i v_i^T    a query along u_i looks for keys along v_i
    OV = sum_i s_i u_i v_i^T    what lies along u_i at the key is written along v_i                     Millidge and Black 2022

u and v live in what norms make of the streams, before the gain, which is folded into the matrices. A direction is read by the
contexts (positions of given prompts) in which the stream lies along it most, at both ends, on both sides; where a head reads
embeddings alone, by the whole vocabulary too; what decoder heads write, by the tokens that it raises and lowers.

How special is a direction? `peak` is the largest |z| of its readings over the contexts. Controls: the same for random directions,
and for the directions of an untrained twin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.logit_readout import at_least_float32, output_rows
from interp.circuits.graph import LOGITS, Graph, Port, graph_of
from interp.circuits.head_matrices import centered, folded, norms_between, port_of, projection, through
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.factored_matrix import FactoredMatrix
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import embedding, output_weights
from interp.report.framed import Framed
from interp.text.batch import Batch

Matrix = Literal["QK", "OV"]
CONTEXT = 3
"""Tokens shown on either side of one."""

_RANDOM = 200


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeadDirections(Framed):
    """The leading directions of one matrix of a head.

    Attributes:
        head: the head.
        matrix: `QK` or `OV`.
        spectrum: one row a direction: `direction`, `singular value`, `share` of the summed squares, `left peak`, `right peak`,
            and `left random`, `right random`, the peak that 95 of 100 random directions stay below.
        readings: one row a direction, side (`query` and `key`, or `key` and `written`), end (`+`, `-`) and place: `read by`
            (`contexts`, `vocabulary` or `logits`), `token`, `context`, `value`.
    """

    head: HeadId
    matrix: Matrix
    spectrum: pd.DataFrame
    readings: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """The readings."""
        return self.readings


def direction_hooks(model: HookedEncoderDecoder, head: HeadId) -> tuple[str, ...]:
    """The hook points that `head_directions` reads.

    Args:
        model: the model.
        head: the head.
    """
    graph = graph_of(model.cfg)
    ports = [port_of(model, graph, head, slot) for slot in ("q", "k", "v")]
    return tuple(dict.fromkeys(_point(port) for port in [*ports, _end(graph, head)]))


@torch.no_grad()
def head_directions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    batch: Batch,
    head: HeadId | str,
    matrix: Matrix = "QK",
    directions: int = 3,
    top: int = 5,
    seed: int = 0,
) -> HeadDirections:
    """The leading singular directions of a head's QK or OV, with what fires them.

    Args:
        model: the model the cache came from.
        cache: with the activations of `direction_hooks`.
        batch: its prompts.
        head: the head, or its label.
        matrix: which matrix.
        directions: how many, from the largest singular value.
        top: contexts and tokens at each end.
        seed: of random directions.

    Raises:
        InputError: if the model has no such head.
    """
    one, graph = HeadId.parse(head) if isinstance(head, str) else head, graph_of(model.cfg)
    if matrix not in ("QK", "OV"):
        raise InputError(f"A head has the matrices QK and OV; got {matrix!r}.")
    left, right = port_of(model, graph, one, "q" if matrix == "QK" else "v"), _end(graph, one)
    if matrix == "QK":
        right = port_of(model, graph, one, "k")
        product = FactoredMatrix(projection(model, left)[one.head], projection(model, right)[one.head].mT)
    else:
        W_O = output_weights(model, one.kind, one.layer)[one.head]
        before = norms_between(right, attention_path(one.kind, one.layer))[:-1]
        product = FactoredMatrix(projection(model, left)[one.head], centered(model, through(model, before, W_O)))
    U, S, Vh = product.svd()
    kept = min(directions, len(S))
    sides = (("query", left, U.mT[:kept]), ("key", right, Vh[:kept]))
    if matrix == "OV":
        sides = (("key", left, U.mT[:kept]), ("written", right, Vh[:kept]))
    spectrum = pd.DataFrame({
        "direction": range(kept),
        "singular value": S[:kept].tolist(),
        "share": (S.square() / S.square().sum())[:kept].tolist(),
    })
    found: list[pd.DataFrame] = []
    generator = torch.Generator().manual_seed(seed)
    for name, (side, port, vectors) in zip(("left", "right"), sides, strict=True):
        streams, places = _contexts(cache, batch, port)
        spectrum[f"{name} peak"] = _peaks(streams, vectors).tolist()
        random = torch.randn(_RANDOM, vectors.shape[1], generator=generator).to(vectors)
        spectrum[f"{name} random"] = float(_peaks(streams, random).quantile(0.95))
        found.append(_by_contexts(streams @ vectors.t(), places, batch, port, side, top))
        if matrix == "OV" and side == "written" and port.slot == "logits":
            rows, _ = output_rows(model, torch.arange(model.cfg.d_vocab, device=vectors.device))
            found.append(_by_tokens(model, folded(model, port, rows.mT).mT @ vectors.t(), side, "logits", top))
        elif all(step.attention is None and step.layer is None for step in port.writer_steps()):
            found.append(_by_tokens(model, _vocabulary(model, port) @ vectors.t(), side, "vocabulary", top))
    return HeadDirections(one, matrix, spectrum, pd.concat(found, ignore_index=True))


def _end(graph: Graph, head: HeadId) -> Port:
    """Where the stream that a head writes to is read last: the logits, or the first cross-attention's keys."""
    if head.kind == "encoder":
        return next(port for port in graph.ports if port.attention == "cross" and port.slot == "k")
    return next(port for port in graph.ports if port.slot == LOGITS)


def _point(port: Port) -> str:
    """The hook point of what a port reads, before the gain of the norm in front, if there is one."""
    norms = norms_between(port)
    return f"{norms[-1]}.hook_normalized" if norms else f"{port.reads}.0.hook_resid_pre"


def _contexts(
    cache: ActivationCache, batch: Batch, port: Port
) -> tuple[Float[Tensor, "context d_model"], Int[Tensor, "context two"]]:
    mask = batch.source_mask if port.reads == "encoder" else batch.target_mask
    return at_least_float32(cache[_point(port)][mask]), mask.nonzero()


def _peaks(
    streams: Float[Tensor, "context d_model"], vectors: Float[Tensor, "direction d_model"]
) -> Float[Tensor, " direction"]:
    readings = streams @ vectors.t()
    spread = readings.std(0, unbiased=False).clamp_min(1e-12)
    peaks: Tensor = ((readings - readings.mean(0)) / spread).abs().amax(0)
    return peaks


def _by_contexts(
    readings: Float[Tensor, "context direction"],
    places: Int[Tensor, "context two"],
    batch: Batch,
    port: Port,
    side: str,
    top: int,
) -> pd.DataFrame:
    rows = []
    for direction, order in _ends(readings, top):
        for end, chosen in order:
            for context in chosen:
                prompt, position = places[context].tolist()
                token, around = in_context(batch, port.reads, prompt, position)
                rows.append((direction, side, end, "contexts", token, around, float(readings[context, direction])))
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = ["direction", "side", "end", "read by", "token", "context", "value"]


def in_context(batch: Batch, stack: str, prompt: int, position: int) -> tuple[str, str]:
    """A token, and the tokens around it as a text.

    Args:
        batch: the prompts.
        stack: whose input: `encoder` or `decoder`.
        prompt: which prompt.
        position: where in it.
    """
    pieces: Sequence[str] = batch.source_texts[prompt].pieces if stack == "encoder" else batch.decoder_pieces(prompt)
    start, stop = max(0, position - CONTEXT), position + CONTEXT + 1
    marked = [f"[{piece}]" if place == position else piece for place, piece in enumerate(pieces)]
    return pieces[position], " ".join(marked[start:stop])


def _by_tokens(
    model: HookedEncoderDecoder, readings: Float[Tensor, "vocab direction"], side: str, how: str, top: int
) -> pd.DataFrame:
    from interp.text.pieces import pieces_of

    readings = readings.masked_fill(~model.named_rows[:, None], torch.nan)
    rows = []
    for direction, order in _ends(readings, top):
        for end, chosen in order:
            spelled = pieces_of(model.tokenizer, chosen) if model.tokenizer is not None else tuple(map(str, chosen))
            for token, piece in zip(chosen, spelled, strict=True):
                rows.append((direction, side, end, how, piece, "", float(readings[token, direction])))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _ends(readings: Float[Tensor, "item direction"], top: int) -> list[tuple[int, list[tuple[str, list[int]]]]]:
    """For every direction the items at its positive and at its negative end."""
    from interp.statistics import falling_order

    values = readings.double().cpu().numpy()
    most = min(top, int((~np.isnan(values[:, 0])).sum()))
    return [
        (direction, [("+", falling_order(column)[:most].tolist()), ("-", falling_order(-column)[:most].tolist())])
        for direction, column in enumerate(values.T)
    ]


def _vocabulary(model: HookedEncoderDecoder, port: Port) -> Float[Tensor, "vocab d_model"]:
    """Every token of the vocabulary as a head of a first layer reads it, but for its position."""
    if port.reads == "encoder":
        model.cfg.check_tokens("Reading a head of the first encoder layer by the vocabulary")
    rows = model.cfg.embed_scale * at_least_float32(embedding(model))
    if f"{port.reads}.ln_embed.hook_scale" in model.hook_points():
        rows = model.module(f"{port.reads}.ln_embed")(rows)
    if not norms_between(port):
        return rows
    rows = centered(model, rows)
    return rows / (rows.square().mean(-1, keepdim=True) + model.cfg.eps).sqrt()
