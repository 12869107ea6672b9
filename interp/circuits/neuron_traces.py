"""A neuron of either stack, traced: what writes its input, which contexts fire it, what it writes, which heads read it.

    input     what is normed is a sum over writers, norms held; so is the neuron's input before its activation, exactly
    effect    what zeroing the neuron takes from the logit difference of labels and runners-up, per decoder row; which neurons are
              worth a look comes from gradient times activation, for all at once
    written   its row of W_out, read by the unembedding (decoder) or the embeddings (encoder): tokens at both ends
    readers   |row W| / (|row| ||W||) for queries, keys and values of later heads, as z against rows turned at random

MLPs as key-value memories: Geva et al. 2021. In gated layers the input is that of the activation (the gate).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.logit_readout import (
    at_least_float32,
    label_tokens,
    logit_difference,
    output_rows,
    runner_up,
)
from interp.axes import Stack
from interp.circuits.attention_scores import OWN_BIAS, stream_parts
from interp.circuits.graph import Graph, Port, WriterStep, graph_of
from interp.circuits.head_matrices import centered, norms_between, projection, random_square, through
from interp.circuits.singular_directions import in_context
from interp.circuits.streams import added_point
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.activation_cache import ActivationCache
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import embedding, output_bias
from interp.statistics import falling_order
from interp.text.batch import Batch
from interp.text.pieces import pieces_of


@dataclass(frozen=True, slots=True, order=True)
class NeuronId:
    """One neuron: `EL0N12` is neuron 12 of the encoder's first layer, `DL2N3` neuron 3 of the decoder's third."""

    stack: Stack
    layer: int
    neuron: int

    def __str__(self) -> str:
        return f"{self.stack[0].upper()}L{self.layer}N{self.neuron}"

    @classmethod
    def parse(cls, text: str) -> "NeuronId":
        """The neuron of a label.

        Args:
            text: `EL0N12`.

        Raises:
            InputError: if it is none.
        """
        letter, _, rest = text.partition("L")
        layer, _, neuron = rest.partition("N")
        if letter not in ("E", "D") or not (
            layer.isascii() and layer.isdigit() and neuron.isascii() and neuron.isdigit()
        ):
            raise InputError(f"{text!r} is no neuron; write EL0N12 (encoder) or DL2N3 (decoder), counted from 0.")
        return cls("encoder" if letter == "E" else "decoder", int(layer), int(neuron))

    @property
    def path(self) -> str:
        """The path of its layer's MLP."""
        return f"{self.stack}.{self.layer}.mlp"


@dataclass(frozen=True, slots=True, eq=False)
class NeuronTrace:
    """One neuron.

    Attributes:
        neuron: which.
        effect: logits per decoder row that zeroing it takes from the difference; below 0 where it gives.
        active: share of positions at which it is not 0.
        contexts: `token`, `context`, `activation`: where it is most active, by size.
        inputs: `writer`, `contribution`: to its input in those contexts, mean; largest first, biases among them.
        gap: the largest distance of such a sum from the input, as a share of the largest part.
        written: `end`, `token`, `value`: the tokens at both ends of what it writes.
        readers: `reader`, `read` (share), `z`: later heads' queries, keys and values, largest z first.
    """

    neuron: NeuronId
    effect: float
    active: float
    contexts: pd.DataFrame
    inputs: pd.DataFrame
    gap: float
    written: pd.DataFrame
    readers: pd.DataFrame


def neuron_effects(model: HookedEncoderDecoder, batch: Batch) -> pd.DataFrame:
    """All neurons by the size of their estimated effect: `neuron`, `estimate` (logits per decoder row), largest first.

    The estimate is gradient times activation of the logit difference, what zeroing would take if the rest were linear.

    Args:
        model: the model.
        batch: the prompts.

    Raises:
        InputError: if the model has no graph, in which neurons are traced.
    """
    graph_of(model.cfg)
    logits, cache = model.run_with_cache(batch, "*.mlp.hook_post", gradients=True)
    _difference(model, batch, logits.detach(), logits).sum().div(int(batch.target_mask.sum())).backward()
    rows = []
    for name, gradient in cache.grad.items():
        if gradient is None:
            continue
        stack, layer = name.split(".")[:2]
        values = (gradient * cache[name].detach()).flatten(0, -2).sum(0)
        rows += [(f"{stack[0].upper()}L{layer}N{place}", value) for place, value in enumerate(values.tolist())]
    frame = pd.DataFrame(rows, columns=["neuron", "estimate"])
    return frame.iloc[falling_order(frame["estimate"].abs().to_numpy())].reset_index(drop=True)


def _difference(
    model: HookedEncoderDecoder, batch: Batch, reference: Tensor, logits: Tensor
) -> Float[Tensor, "batch target"]:
    """Logit of the label less that of the runner-up of a reference run; 0 at padding."""
    labels = label_tokens(batch)
    values = logit_difference(model, logits, labels, runner_up(model, reference, labels)).values
    return values * batch.target_mask


@torch.no_grad()
def trace_neurons(
    model: HookedEncoderDecoder, batch: Batch, neurons: Sequence[NeuronId | str], top: int = 5
) -> tuple[NeuronTrace, ...]:
    """Neurons traced on the same prompts.

    Args:
        model: a model of any family.
        batch: the prompts.
        neurons: which, or their labels.
        top: contexts of each, and tokens at each end.

    Raises:
        InputError: if the model has no such neuron.
    """
    chosen = [NeuronId.parse(one) if isinstance(one, str) else one for one in neurons]
    graph = graph_of(model.cfg)
    for one in chosen:
        if one.layer >= model.cfg.n_layers(one.stack) or one.neuron >= model.cfg.d_mlp_of(one.stack):
            raise InputError(
                f"There is no neuron {one}: the {one.stack} has {model.cfg.n_layers(one.stack)} layers of "
                f"{model.cfg.d_mlp_of(one.stack)} neurons."
            )
    names = {point for one in chosen for point in _hooks(_port(graph, one))}
    names |= {f"{one.path}.hook_{leaf}" for one in chosen for leaf in ("pre", "post")}
    logits, cache = model.run_with_cache(batch, sorted(names))
    return tuple(_trace(model, batch, graph, cache, logits, one, top) for one in chosen)


def _port(graph: Graph, neuron: NeuronId) -> Port:
    return next(port for port in graph.ports if port.name == neuron.path)


def _hooks(port: Port) -> list[str]:
    """What `stream_parts` reads of a course."""
    names = []
    for step in port.course:
        if isinstance(step, WriterStep):
            names += [added_point(step), *([f"{step.name}.hook_z"] if step.attention is not None else [])]
        else:
            names.append(f"{step}.hook_scale")
    return names


def _trace(
    model: HookedEncoderDecoder,
    batch: Batch,
    graph: Graph,
    cache: ActivationCache,
    logits: Tensor,
    one: NeuronId,
    top: int,
) -> NeuronTrace:
    mask = batch.source_mask if one.stack == "encoder" else batch.target_mask
    activation = at_least_float32(cache[f"{one.path}.hook_post"][..., one.neuron])
    places = mask.nonzero()
    order = falling_order(activation[mask].abs().cpu().numpy())[:top]
    chosen = [tuple(map(int, places[place])) for place in order]
    contexts = [
        (*in_context(batch, one.stack, prompt, position), float(activation[prompt, position]))
        for prompt, position in chosen
    ]

    def zero(value: Tensor, hook: HookPoint) -> Tensor:
        return value.index_fill(-1, torch.tensor([one.neuron], device=value.device), 0.0)

    less = model.run_with_hooks(batch, [(f"{one.path}.hook_post", zero)])
    taken = _difference(model, batch, logits, logits) - _difference(model, batch, logits, less)
    inputs, gap = _inputs(model, cache, _port(graph, one), one, chosen)
    return NeuronTrace(
        one,
        float(taken.sum() / batch.target_mask.sum()),
        float((activation[mask] != 0).float().mean()),
        pd.DataFrame(contexts, columns=["token", "context", "activation"]),
        inputs,
        gap,
        _written(model, one, top),
        _readers(model, graph, one),
    )


def _inputs(
    model: HookedEncoderDecoder, cache: ActivationCache, port: Port, one: NeuronId, places: Sequence[tuple[int, ...]]
) -> tuple[pd.DataFrame, float]:
    """Contributions of writers and biases to the input of a neuron, mean over places, and the gap of their sums."""
    weights = mlp_weights(model, one.stack, one.layer)
    column = at_least_float32((weights.W_in if weights.W_gate is None else weights.W_gate)[:, one.neuron])
    own = at_least_float32(output_bias(model, f"{one.path}.hook_pre")[one.neuron])
    sums, gaps = [], []
    labels: tuple[str, ...] = ()
    for prompt, position in places:
        labels, parts = stream_parts(model, cache, port, prompt, position)
        values = torch.cat([at_least_float32(parts[0]) @ column, own[None]])
        distance = values.sum() - cache[f"{one.path}.hook_pre"][prompt, position, one.neuron]
        gaps.append(float(distance.abs() / values.abs().max()))
        sums.append(values)
    mean = torch.stack(sums).mean(0).cpu().numpy()
    frame = pd.DataFrame({"writer": [*labels, OWN_BIAS], "contribution": mean})
    if not own.any():
        frame = frame.iloc[:-1]
    return frame.iloc[falling_order(frame["contribution"].abs().to_numpy())].reset_index(drop=True), max(gaps)


def _row(model: HookedEncoderDecoder, one: NeuronId) -> Float[Tensor, "1 d_model"]:
    """What it writes at activation 1."""
    return at_least_float32(mlp_weights(model, one.stack, one.layer).W_out[one.neuron])[None]


def _written(model: HookedEncoderDecoder, one: NeuronId, top: int) -> pd.DataFrame:
    graph = graph_of(model.cfg)
    if one.stack == "decoder":
        port = next(port for port in graph.ports if port.slot == "logits")
        rows, _ = output_rows(model, torch.arange(model.cfg.d_vocab, device=model.device))
        readings = (rows @ through(model, norms_between(port, one.path), _row(model, one)).mT)[:, 0]
    elif model.cfg.why_no_words() is not None:  # no token is embedded in the encoder's stream
        return pd.DataFrame(columns=["end", "token", "value"])
    else:
        readings = (at_least_float32(embedding(model)) @ _row(model, one).mT)[:, 0]
    values = readings.masked_fill(~model.named_rows, torch.nan).double().cpu().numpy()
    found = []
    for end, order in (("+", falling_order(values)), ("-", falling_order(-values))):
        ids = order[: min(top, int((~np.isnan(values)).sum()))].tolist()
        spelled = pieces_of(model.tokenizer, ids) if model.tokenizer is not None else tuple(map(str, ids))
        found += [(end, piece, float(values[token])) for token, piece in zip(ids, spelled, strict=True)]
    return pd.DataFrame(found, columns=["end", "token", "value"])


def _readers(model: HookedEncoderDecoder, graph: Graph, one: NeuronId) -> pd.DataFrame:
    free = model.cfg.d_model - (model.cfg.norm == "layer")
    rows = []
    for port in graph.ports:
        if port.attention is None or one.path not in {step.name for step in port.writer_steps()}:
            continue
        before = norms_between(port, one.path)[:-1]
        row, reading = centered(model, through(model, before, _row(model, one))), projection(model, port)
        shares = (row @ reading).norm(dim=(-2, -1)) / (row.norm() * reading.norm(dim=(-2, -1)))
        mean, deviation = random_square(row, reading, free)
        scores = (shares.square() - mean) / deviation.clamp_min(1e-12)
        rows += list(zip(port.receivers, shares.tolist(), scores.tolist(), strict=True))
    frame = pd.DataFrame(rows, columns=["reader", "read", "z"])
    return frame.sort_values("z", ascending=False, kind="stable").reset_index(drop=True)
