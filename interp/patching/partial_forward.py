"""How a forward pass goes on from an edited place: the model is run once, and edited copies of its stream go on from there.

Many interventions share all that comes before the edit, and some of what comes after it. Copies go on through the host's own
modules, called as the host called them in the recorded pass (`recorded_calls`):

    an edit in decoder layer l     runs the rest of layer l and the layers after it; the memory is that of the recorded pass
    an edit in encoder layer l     runs the encoder from there, and the decoder
    rows                           a decoder that is read at one row of every prompt runs no further than to the last of these

In T5's family sublayers are modules that add to one stream, so a pass goes on from any place of a layer; copies share keys and
values of cross-attention, standing beside each other on the query axis, which it does not order; an encoder edit leaves the first
self-attention of the decoder as it was; the last decoder layer runs, behind its self-attention, for the rows that are read only.
In other families whole layers run, with hooks on what is edited. The vocabulary is not scored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.axes import AttentionKind, Logits, Stack, TokenIds
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import NamesFilter, attention_path, matching
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder, Hooks
from interp.model.stack_outputs import decoder_outputs
from interp.model.weights import output_weights, scored
from interp.patching.recorded_calls import HostCall, called_again, recording
from interp.patching.sublayers import SharedMlp, after_mlp, one_query, row_bias
from interp.text.batch import Batch

Place = Literal["resid_pre", "resid_mid", "resid_mid_cross", "resid_post"]
"""Where in a layer the stream was edited; everything behind it runs again."""

_BEHIND: dict[AttentionKind, tuple[Stack, Place]] = {
    "encoder": ("encoder", "resid_mid"),
    "decoder": ("decoder", "resid_mid"),
    "cross": ("decoder", "resid_mid_cross"),
}
"""The stream that heads of a kind write to, as it is behind them."""

_FLOATS_AT_ONCE = 2**22
"""Numbers in the largest activation of one pass: more than a processor's caches hold is slower, not faster."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPass:
    """One finished forward pass, from which others go on with an edit.

    Attributes:
        model: the model.
        batch: what was run; where rows are chosen, without the decoder rows behind the last of them.
        rows: the decoder row of every prompt that is read; None for all.
        cache: the activations that were asked for, and the streams from which edits start.
        outputs: the decoder's output, behind its last norm, at the rows that are read.
        memory: the encoder's output.
    """

    model: HookedEncoderDecoder
    batch: Batch
    rows: Int[Tensor, " batch"] | None
    cache: ActivationCache
    outputs: Float[Tensor, "batch row d_model"]
    memory: Float[Tensor, "batch source d_model"]
    _calls: dict[str, HostCall]

    def logits(self) -> Logits:
        """The logits at the rows that are read, [batch row vocab]."""
        return scored(self.model, self.outputs)

    def copies_at_once(self, stack: Stack) -> int:
        """How many copies of the batch go on together.

        Args:
            stack: where they are edited.
        """
        return max(_FLOATS_AT_ONCE // (self._ids(stack).numel() * self.model.cfg.d_mlp_of(stack)), 1)

    def _ids(self, stack: Stack) -> TokenIds:
        return self.batch.input_ids if stack == "encoder" else self.batch.decoder_input_ids

    @torch.no_grad()
    def with_heads(
        self,
        kind: AttentionKind,
        layer: int,
        heads: Sequence[int],
        z: Float[Tensor, "copy batch pos d_head"],
        read: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, " copy *rest"]:
        """What is read from the decoder's output with one head's z replaced in every copy, in every family.

        Args:
            kind: of the attention.
            layer: its layer.
            heads: the head of every copy.
            z: what its z is replaced by; positions behind the last row that is read are left out. In T5's family the pass must
                have kept the layer's z.
            read: what is made of the outputs of some copies, [copy batch row d_model]; nothing by default.
        """
        stack, place = _BEHIND[kind]
        z = z[:, :, : self._ids(stack).shape[1]]
        go_on = partial(self._by_hook, kind, layer)
        if self.model.cfg.t5_shaped:
            stream, mlp = self.cache[f"{stack}.{layer}.hook_{place}"], None
            if stack == "encoder" and len(heads) > 1:
                mlp = SharedMlp.of(self.model, layer, stream)
            go_on = partial(self._on_stream, kind, layer, stream, mlp)
        step = self.copies_at_once(stack)
        parts = (go_on(heads[at : at + step], z[at : at + step]) for at in range(0, len(heads), step))
        return torch.cat([part if read is None else read(part) for part in parts])

    def _on_stream(
        self, kind: AttentionKind, layer: int, stream: Tensor, mlp: SharedMlp | None, heads: Sequence[int], z: Tensor
    ) -> Tensor:
        changes = z - self.cache[f"{attention_path(kind, layer)}.hook_z"].movedim(2, 0)[list(heads)]
        if mlp is not None:
            return self.after("encoder", layer, "resid_post", mlp.after(heads, changes))
        W_O = output_weights(self.model, kind, layer)[list(heads)]
        edited = stream + torch.einsum("cbpd,cde->cbpe", changes, W_O)
        stack, place = _BEHIND[kind]
        return self.after(stack, layer, place, edited)

    def _by_hook(self, kind: AttentionKind, layer: int, heads: Sequence[int], z: Tensor) -> Tensor:
        def put(current: Tensor, hook: HookPoint) -> Tensor:
            edited = current.clone().unflatten(0, (len(heads), -1))
            for copy, head in enumerate(heads):
                edited[copy, :, :, head] = z[copy]
            whole: Tensor = edited.flatten(0, 1)
            return whole

        return self.edited([(f"{attention_path(kind, layer)}.hook_z", put)], len(heads))

    @torch.no_grad()
    def edited(self, hooks: Hooks, copies: int) -> Float[Tensor, "copy batch row d_model"]:
        """The decoder's output with functions attached to hook points; whole layers run, in every family.

        Args:
            hooks: pairs of a hook name and a function; functions see all copies on the batch axis, copy by copy. If a name is of
                no layer (an embedding, a position bias), everything runs again.
            copies: how many copies of the batch run side by side.
        """
        in_decoder, layer = min(_place_of(str(name)) for name, _ in hooks)
        with self.model.hooks(hooks):
            if layer < 0:
                hidden = decoder_outputs(self.model, self.batch, copies)[1]
            else:
                memory = None
                if not in_decoder:
                    start = self.cache[f"encoder.{layer}.hook_resid_pre"].repeat(copies, 1, 1)
                    memory, layer = self._normed("encoder", self._layers("encoder", layer, start, None)), 0
                start = self.cache[f"decoder.{layer}.hook_resid_pre"].repeat(copies, 1, 1)
                hidden = self._normed("decoder", self._layers("decoder", layer, start, memory))
        outputs: Tensor = self._at_rows(hidden).unflatten(0, (copies, -1))
        return outputs

    @torch.no_grad()
    def after(
        self, stack: Stack, layer: int, place: Place, streams: Float[Tensor, "copy batch pos d_model"]
    ) -> Float[Tensor, "copy batch row d_model"]:
        """The decoder's output, had the stream at one place been these; for models whose `cfg.t5_shaped` holds.

        Args:
            stack: whose stream.
            layer: the layer of the place.
            place: where in the layer.
            streams: copies of the edited stream.
        """
        hidden, memory = streams.flatten(0, 1), None
        if stack == "encoder":
            if place == "resid_pre":
                hidden = self._calls[f"encoder.{layer}.attn"].again(hidden)
            if place != "resid_post":
                hidden = after_mlp(self.model, "encoder", layer, hidden)
            memory = self._normed("encoder", self._layers("encoder", layer + 1, hidden, None))
            hidden = self.cache["decoder.0.hook_resid_mid"].repeat(len(streams), 1, 1)
            layer, place = 0, "resid_mid"
        done = ("resid_pre", "resid_mid", "resid_mid_cross", "resid_post").index(place)
        last = self.model.cfg.n_decoder_layers - 1
        for later in range(layer, last + (self.rows is None)):
            hidden = self._decoder_layer(later, hidden, memory, done if later == layer else 0)
        if self.rows is not None:
            hidden = self._last_layer(hidden, memory, done if last == layer else 0)
        outputs: Tensor = self._normed("decoder", hidden).unflatten(0, (len(streams), -1))
        return outputs

    def _layers(self, stack: Stack, first: int, hidden: Tensor, memory: Tensor | None) -> Tensor:
        """The stream after the last layer; the memory is that of the recorded pass without another."""
        for layer in range(first, self.model.cfg.n_layers(stack)):
            call = self._calls[f"{stack}.{layer}"]
            hidden = call.again(hidden, **({} if memory is None else {call.parameter_of(self.memory): memory}))
        return hidden

    def _normed(self, stack: Stack, hidden: Tensor) -> Tensor:
        """Behind the norm at the end of a stack; as it is in families that have none."""
        has_norm = self.model.cfg.has_final_norm
        return self.model.module(f"{stack}.ln_final")(hidden) if has_norm else hidden

    def _at_rows(self, hidden: Tensor) -> Float[Tensor, "any row d_model"]:
        if self.rows is None:
            return hidden
        rows = self.rows.repeat(len(hidden) // len(self.batch))
        return hidden[torch.arange(len(hidden), device=hidden.device), rows].unsqueeze(1)

    def _decoder_layer(self, layer: int, hidden: Tensor, memory: Tensor | None, done: int) -> Tensor:
        """One decoder layer of T5's family, without the sublayers that are done."""
        if done < 1:
            hidden = self._calls[f"decoder.{layer}.attn"].again(hidden)
        if done < 2:
            hidden = self._cross_attention(layer, hidden, memory)
        return hidden if done == 3 else after_mlp(self.model, "decoder", layer, hidden)

    def _cross_attention(self, layer: int, hidden: Tensor, memory: Tensor | None) -> Tensor:
        call = self._calls[f"decoder.{layer}.cross_attn"]
        # Every query row has the same mask, and cross-attention no position bias.
        mask = call.arguments["attention_mask"]
        changed: dict[str, Tensor | None] = {"attention_mask": None if mask is None else mask[:, :, :1]}
        if "position_bias" in call.arguments:
            changed["position_bias"] = None
        if memory is not None:
            changed[call.parameter_of(self.memory)] = memory
            return call.again(hidden, **changed)
        beside = hidden.unflatten(0, (-1, len(self.batch))).transpose(0, 1)
        written = call.again(beside.flatten(1, 2), **changed)
        return written.reshape(beside.shape).transpose(0, 1).flatten(0, 1)

    def _last_layer(self, hidden: Tensor, memory: Tensor | None, done: int) -> Float[Tensor, "any row d_model"]:
        """The last decoder layer of T5's family at the rows that are read."""
        assert self.rows is not None
        layer, copies = self.model.cfg.n_decoder_layers - 1, len(hidden) // len(self.batch)
        at_row = self._at_rows(hidden).squeeze(1)
        if done < 1:
            normed = self.model.module(f"decoder.{layer}.ln1")(hidden)
            bias = row_bias(self.model, layer, self.rows.repeat(copies), hidden.shape[1])
            at_row = at_row + one_query(self.model, "decoder", layer, self._at_rows(normed).squeeze(1), normed, bias)
        if done < 2:
            read = self.memory.repeat(copies, 1, 1) if memory is None else memory
            query = self.model.module(f"decoder.{layer}.ln2")(at_row)
            bias = torch.where(self.batch.source_mask, 0.0, float("-inf")).unsqueeze(1)
            at_row = at_row + one_query(self.model, "cross", layer, query, read, bias.repeat(copies, 1, 1))
        at_row = at_row.unsqueeze(1)
        return at_row if done == 3 else after_mlp(self.model, "decoder", layer, at_row)


@torch.no_grad()
def record_pass(
    model: HookedEncoderDecoder, batch: Batch, names: NamesFilter, rows: Int[Tensor, " batch"] | None = None
) -> RecordedPass:
    """Run a model once, without its unembedding, keeping what is needed to go on from any place.

    Args:
        model: a model of any family.
        batch: what to run.
        names: activations to keep beside the streams from which edits start.
        rows: the decoder row of every prompt that will be read; all by default.
    """
    if rows is not None:
        width = int(rows.max()) + 1
        fields = ("decoder_input_ids", "decoder_attention_mask", "labels")
        batch = replace(batch, **{name: getattr(batch, name)[:, :width].contiguous() for name in fields})
    starts = ["*.hook_resid_pre", *(["*.hook_resid_mid", "*.hook_resid_mid_cross"] if model.cfg.t5_shaped else [])]
    known = tuple(model.hook_points())
    kept: dict[str, Tensor] = {}

    def keep(tensor: Tensor, hook: HookPoint) -> None:
        kept[hook.name] = tensor

    chosen = {*matching(names, known), *matching(starts, known)}
    with recording(model, called_again(model.cfg)) as calls, model.hooks([(name, keep) for name in sorted(chosen)]):
        memory, outputs = decoder_outputs(model, batch)
    recorded = RecordedPass(
        model, batch, rows, ActivationCache(kept, batch, model.compute_result), outputs, memory, calls
    )
    return replace(recorded, outputs=recorded._at_rows(outputs))


def _place_of(name: str) -> tuple[bool, int]:
    """Whether a hook point is in the decoder, and its layer, in the order of the pass; layer -1 outside the layers."""
    stack, layer = name.split(".")[:2]
    return (stack == "decoder", int(layer)) if layer.isdigit() else (False, -1)
