"""How does a forward pass go on from an edited residual stream?

Many interventions share all that comes before the edit, and some of what comes after it. Here a model is run once; then copies of
its stream, edited at one place, go on from there through the host's own modules, called as the host called them in that run:

    an edit in decoder layer l     runs the rest of layer l and the layers after it; memory, and with it the keys and values of
                                   cross-attention, are those of the first run, computed once for all copies (copies stand beside
                                   each other on the query axis, which cross-attention does not order)
    an edit in encoder layer l     runs the encoder from there; the decoder from its first cross-attention on
    the last decoder layer         is run for the row that is read only, once its self-attention is done

The vocabulary is not scored: the result is the normed final stream at one row of every prompt. Sublayers are modules of their own
in T5's family alone; others have to run whole passes (`interp.patching.activation_patching` does).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.axes import AttentionKind, Stack
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import NamesFilter, matching
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, position_bias
from interp.patching.recorded_calls import HostCall, after_mlp, recording
from interp.text.batch import Batch

Place = Literal["resid_pre", "resid_mid", "resid_mid_cross", "resid_post"]
"""Where in a layer the stream was edited; everything behind it runs again."""

_READ = "decoder.ln_final.hook_normalized"


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """One finished run.

    Attributes:
        model: a model of T5's family.
        batch: what was run.
        rows: the decoder row of every prompt that is read.
        cache: activations of the run that were asked for.
        value: the normed final stream at the rows read.
        memory: the encoder's output.
    """

    model: HookedEncoderDecoder
    batch: Batch
    rows: Int[Tensor, " batch"]
    cache: ActivationCache
    value: Float[Tensor, "batch d_model"]
    memory: Float[Tensor, "batch source d_model"]
    _calls: dict[str, HostCall]

    def after(
        self, stack: Stack, layer: int, place: Place, streams: Float[Tensor, "copy batch pos d_model"]
    ) -> Float[Tensor, "copy batch d_model"]:
        """The normed final stream at the rows read, had the stream at one place been these.

        Args:
            stack: whose stream.
            layer: the layer of the place.
            place: where in the layer.
            streams: copies of the edited stream.
        """
        hidden = streams.flatten(0, 1)
        if stack == "encoder":
            memory = self._encoder(layer, place, hidden)
            start = self.cache["decoder.0.hook_resid_mid"].repeat(len(streams), 1, 1)
            hidden = self._decoder(0, "resid_mid", start, memory)
        else:
            hidden = self._decoder(layer, place, hidden, None)
        with _kept(self.model, _READ) as seen:
            self.model.module("decoder.ln_final")(hidden)
        normalized: Tensor = seen[_READ].unflatten(0, (len(streams), -1)).squeeze(2)
        return normalized

    def _encoder(self, layer: int, place: Place, hidden: Tensor) -> Tensor:
        for later in range(layer, self.model.cfg.n_encoder_layers):
            if later > layer or place == "resid_pre":
                hidden = self._self_attention("encoder", later, hidden)
            if later > layer or place != "resid_post":
                hidden = after_mlp(self.model, "encoder", later, hidden)
        memory: Tensor = self.model.module("encoder.ln_final")(hidden)
        return memory

    def _decoder(self, layer: int, place: Place, hidden: Tensor, memory: Tensor | None) -> Tensor:
        """The stream after the last layer, [copy*batch 1 d_model]; without a memory that of the first run is read."""
        places = ("resid_pre", "resid_mid", "resid_mid_cross", "resid_post")
        last = self.model.cfg.n_decoder_layers - 1
        for later in range(layer, last + 1):
            done = places.index(place) if later == layer else 0
            if later == last:
                return self._last_layer(hidden, memory, done)
            if done < 1:
                hidden = self._self_attention("decoder", later, hidden)
            if done < 2:
                hidden = self._cross_attention(later, hidden, memory)
            if done < 3:
                hidden = after_mlp(self.model, "decoder", later, hidden)
        raise AssertionError("unreachable: the last layer returns")

    def _last_layer(self, hidden: Tensor, memory: Tensor | None, done: int) -> Tensor:
        """The last decoder layer at the rows read."""
        layer = self.model.cfg.n_decoder_layers - 1
        rows = self.rows.repeat(len(hidden) // len(self.batch))
        at_row = hidden[torch.arange(len(hidden), device=hidden.device), rows]
        if done < 1:
            normed = self.model.module(f"decoder.{layer}.ln1")(hidden)
            query = normed[torch.arange(len(hidden), device=hidden.device), rows]
            bias = _bias_of_rows(self.model, layer, rows, hidden.shape[1])
            at_row = at_row + _one_query(self.model, "decoder", layer, query, normed, bias)
        if done < 2:
            read = self.memory if memory is None else memory
            query = self.model.module(f"decoder.{layer}.ln2")(at_row)
            bias = torch.where(self.batch.source_mask, 0.0, float("-inf")).unsqueeze(1)
            repeats = len(hidden) // len(self.batch)
            if memory is None:
                read = read.repeat(repeats, 1, 1)
            at_row = at_row + _one_query(self.model, "cross", layer, query, read, bias.repeat(repeats, 1, 1))
        at_row = at_row.unsqueeze(1)
        return at_row if done == 3 else after_mlp(self.model, "decoder", layer, at_row)

    def _self_attention(self, stack: Stack, layer: int, hidden: Tensor) -> Tensor:
        call = self._calls[f"{stack}.{layer}.hook_resid_mid"]
        return call.again(hidden, attention_mask=_repeated(call.arguments["attention_mask"], hidden))

    def _cross_attention(self, layer: int, hidden: Tensor, memory: Tensor | None) -> Tensor:
        call = self._calls[f"decoder.{layer}.hook_resid_mid_cross"]
        mask = call.arguments["attention_mask"]
        # Every query row has the same mask, and cross-attention no position bias.
        changed = {"attention_mask": None if mask is None else mask[:, :, :1]}
        if "position_bias" in call.arguments:
            changed["position_bias"] = None
        if memory is not None:
            changed["attention_mask"] = _repeated(changed["attention_mask"], hidden)
            changed[call.parameter_of(self.memory)] = memory
            return call.again(hidden, **changed)
        prompts = len(self.batch)
        beside = hidden.unflatten(0, (-1, prompts)).transpose(0, 1)
        written = call.again(beside.flatten(1, 2), **changed)
        return written.reshape(beside.shape).transpose(0, 1).flatten(0, 1)


def can_replay(model: HookedEncoderDecoder) -> bool:
    """Whether the sublayers of a model are modules of their own, as in T5's family."""
    return model.cfg.t5_shaped


def replay(model: HookedEncoderDecoder, batch: Batch, rows: Int[Tensor, " batch"], names: NamesFilter) -> Replay:
    """Run a model once, without its unembedding, keeping what is needed to go on from any place.

    Args:
        model: a model for which `can_replay` holds.
        batch: what to run.
        rows: the decoder row of every prompt that will be read.
        names: activations to keep; the streams from which edits start must be among them.
    """
    chosen = sorted({*_matching(model, names), "decoder.0.hook_resid_mid", _READ})
    with recording(model, _attention_sublayers(model)) as calls, _kept(model, *chosen) as kept:
        memory = model.hf.get_encoder()(input_ids=batch.input_ids, attention_mask=batch.attention_mask)[0]
        model.hf.get_decoder()(
            input_ids=batch.decoder_input_ids,
            attention_mask=batch.decoder_attention_mask,
            encoder_hidden_states=memory,
            encoder_attention_mask=batch.attention_mask,
            use_cache=False,
        )
    value = kept[_READ][torch.arange(len(rows), device=rows.device), rows]
    cache = ActivationCache(kept, batch, model.compute_result)
    return Replay(model, batch, rows, cache, value, memory, calls)


@contextmanager
def _kept(model: HookedEncoderDecoder, *names: str) -> Iterator[dict[str, Tensor]]:
    kept: dict[str, Tensor] = {}

    def keep(tensor: Tensor, hook: HookPoint) -> None:
        kept[hook.name] = tensor

    with model.hooks([(name, keep) for name in names]):
        yield kept


def _attention_sublayers(model: HookedEncoderDecoder) -> dict[str, str]:
    """The sites whose calls are made again, under their own names."""
    names = [f"encoder.{layer}.hook_resid_mid" for layer in range(model.cfg.n_encoder_layers)]
    for layer in range(model.cfg.n_decoder_layers):
        names += [f"decoder.{layer}.hook_resid_mid", f"decoder.{layer}.hook_resid_mid_cross"]
    return {name: name for name in names}


def _matching(model: HookedEncoderDecoder, names: NamesFilter) -> tuple[str, ...]:
    return matching(names, tuple(model.hook_points()))


def _repeated(mask: Tensor | None, hidden: Tensor) -> Tensor | None:
    """A mask of the first run's prompts for copies of them."""
    return mask if mask is None or len(mask) == 1 else mask.repeat(len(hidden) // len(mask), 1, 1, 1)


def _bias_of_rows(
    model: HookedEncoderDecoder, layer: int, rows: Int[Tensor, " row"], length: int
) -> Float[Tensor, "row head key"]:
    """Position bias of one decoder row each, and minus infinity for keys after it."""
    by_distance = position_bias(model, "decoder", layer, torch.arange(1 - length, 1, device=rows.device))
    distance = torch.arange(length, device=rows.device) - rows.unsqueeze(1)
    bias = by_distance[:, (distance + length - 1).clamp_max(length - 1)].transpose(0, 1)
    return bias.masked_fill((distance > 0).unsqueeze(1), float("-inf"))


def _one_query(
    model: HookedEncoderDecoder,
    kind: AttentionKind,
    layer: int,
    query: Float[Tensor, "row d_model"],
    read: Float[Tensor, "row key d_model"],
    bias: Float[Tensor, "row any key"],
) -> Float[Tensor, "row d_model"]:
    """What an attention layer writes for one query a row.

    softmax((x W_Q W_K^T) read^T + bias) read W_V W_O with the products taken from the left: a single query needs neither keys nor
    values of its own, which would cost two projections of everything that is read.
    """
    weights = attention_weights(model, kind, layer)
    asked = torch.einsum("rd,hdk,hek->rhe", query, weights.W_Q, weights.W_K) * model.cfg.attention_scale(kind)
    pattern = (torch.matmul(asked, read.transpose(1, 2)) + bias).softmax(-1)
    written: Tensor = torch.einsum("rhd,hdk,hke->re", torch.matmul(pattern, read), weights.W_V, weights.W_O)
    return written
