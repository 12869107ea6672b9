"""How does the rest of a forward pass go on from an edited residual stream?

A head is ablated by adding to the stream what the replacement of its z would add: (z' - z) W_O, exact because T5's stream is a
sum and its sublayers are modules of the host. In other families the host's layer is called again with a hook on z. All that
follows is computed by the host's own modules, called as the host called them in the first pass; nothing before the edit is
computed again: not the encoder for decoder heads, not the layers below. Only rows that are read meet the unembedding, and the
decoder runs no further than to the last row that is read, which causality allows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp.axes import HeadVectors, Residual, Stack
from interp.families.config import ModelConfig
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights
from interp.patching.recorded_calls import after_mlp, recording
from interp.text.batch import Batch

_MEMORY = "encoder_hidden_states"
"""How every family of the host calls the encoder memory among a layer's parameters."""


@dataclass(frozen=True, slots=True)
class ReadOut:
    """From the decoder's output as the unembedding sees it, [batch target d_model], to one number for each prompt.

    Attributes:
        read: the function.
        rows: how many decoder rows it needs; all by default.
    """

    read: Callable[[Residual], Float[Tensor, " batch"]]
    rows: int | None = None

    def __call__(self, states: Residual) -> Float[Tensor, " batch"]:
        """The number of every prompt."""
        return self.read(states)


class Replay:
    """One finished forward pass, from which others go on with an edit.

    Args:
        model: a model of any family.
        batch: what to run once.

    Attributes:
        model: the model.
        batch: the batch.
        logits: of the first pass.
        cache: z of every head and the stream after every attention.
    """

    def __init__(self, model: HookedEncoderDecoder, batch: Batch) -> None:
        self.model = model
        self.batch = batch
        self._shorter: dict[int, Replay] = {}
        names = ["*.hook_z", "decoder.*.hook_resid_post", "decoder.0.hook_resid_pre"]
        if model.cfg.t5_shaped:
            names += ["*.hook_resid_mid", "decoder.*.hook_resid_mid_cross"]
        else:
            names += ["*.hook_resid_pre"]
        with torch.no_grad(), recording(model, _called_again(model.cfg)) as self._calls:
            self.logits, self.cache = model.run_with_cache(batch, names_filter=names)

    def z(self, kind: str, layer: int) -> HeadVectors:
        """The attention-weighted values of one layer."""
        place = {"encoder": "encoder", "decoder": "decoder", "cross": "cross_attn"}[kind]
        return self.cache["z", layer, place]

    def _until(self, rows: int) -> "Replay":
        """The same with the first decoder rows alone, which see none after them."""
        if rows not in self._shorter:
            batch = replace(
                self.batch,
                decoder_input_ids=self.batch.decoder_input_ids[:, :rows].contiguous(),
                decoder_attention_mask=self.batch.decoder_attention_mask[:, :rows].contiguous(),
                labels=self.batch.labels[:, :rows].contiguous(),
            )
            self._shorter[rows] = Replay(self.model, batch)
        return self._shorter[rows]

    def _short(self, read_out: ReadOut) -> "Replay | None":
        """A shorter replay, if the read-out needs fewer rows than there are."""
        rows = read_out.rows
        return None if rows is None or rows >= self.batch.labels.shape[1] else self._until(rows)

    def clean(self, read_out: ReadOut) -> Float[Tensor, " batch"]:
        """The read-out of the first pass."""
        shorter = self._short(read_out)
        if shorter is not None:
            return shorter.clean(read_out)
        with torch.no_grad():
            return self._read(self.cache[f"decoder.{self.model.cfg.n_decoder_layers - 1}.hook_resid_post"], read_out)

    def with_head(self, head: HeadId, z: Tensor, read_out: ReadOut) -> Float[Tensor, " batch"]:
        """The read-out when one head's z is replaced.

        Args:
            head: which head.
            z: its replacement, [batch pos d_head].
            read_out: what to read from the decoder's output.
        """
        shorter = self._short(read_out)
        if shorter is not None:
            return shorter.with_head(head, z if head.kind == "encoder" else z[:, : read_out.rows], read_out)
        stack: Stack = "encoder" if head.kind == "encoder" else "decoder"
        with torch.no_grad():
            after_layer = self._after_sublayer if self.model.cfg.t5_shaped else self._after_hooked_layer
            hidden = self._layers(stack, head.layer + 1, after_layer(stack, head, z), None)
            if stack == "encoder":
                memory = final_norm(self.model, "encoder")(hidden)
                hidden = self._layers("decoder", 0, self.cache["decoder.0.hook_resid_pre"], memory)
            return self._read(hidden, read_out)

    def _after_sublayer(self, stack: Stack, head: HeadId, z: Tensor) -> Tensor:
        """The stream after the edited layer, from the write that changed."""
        after = "hook_resid_mid_cross" if head.kind == "cross" else "hook_resid_mid"
        W_O = attention_weights(self.model, head.kind, head.layer).W_O[head.head]
        written = (z - self.z(head.kind, head.layer)[:, :, head.head]) @ W_O
        hidden: Tensor = self.cache[f"{stack}.{head.layer}.{after}"] + written
        if head.kind == "decoder":
            hidden = self._calls[f"decoder.{head.layer}.cross"].again(hidden)
        return after_mlp(self.model, stack, head.layer, hidden)

    def _after_hooked_layer(self, stack: Stack, head: HeadId, z: Tensor) -> Tensor:
        """The stream after the edited layer, by the host's own layer with a hook on z."""
        with self.model.hooks([_replacement(head, z)]):
            return self._calls[f"{stack}.{head.layer}"].again(self.cache[f"{stack}.{head.layer}.hook_resid_pre"])

    def _layers(self, stack: Stack, first: int, hidden: Tensor, memory: Tensor | None) -> Tensor:
        changed = {} if memory is None else {_MEMORY: memory}
        for layer in range(first, self.model.cfg.n_layers(stack)):
            hidden = self._calls[f"{stack}.{layer}"].again(hidden, **changed)
        return hidden

    def _read(self, hidden: Tensor, read_out: ReadOut) -> Float[Tensor, " batch"]:
        return read_out(final_norm(self.model, "decoder")(hidden) * self.model.cfg.logit_scale)


def _called_again(cfg: ModelConfig) -> dict[str, str]:
    """Layers, and cross-attention sublayers where these are modules: name of the call -> site."""
    sites = {f"encoder.{layer}": f"encoder.{layer}.hook_resid_post" for layer in range(cfg.n_encoder_layers)}
    for layer in range(cfg.n_decoder_layers):
        sites[f"decoder.{layer}"] = f"decoder.{layer}.hook_resid_post"
        if cfg.t5_shaped:
            sites[f"decoder.{layer}.cross"] = f"decoder.{layer}.hook_resid_mid_cross"
    return sites


def final_norm(model: HookedEncoderDecoder, stack: Stack) -> nn.Module:
    """The norm at the end of a stack; the identity in families that have none."""
    return model.module(f"{stack}.ln_final") if model.cfg.has_final_norm else nn.Identity()


def _replacement(head: HeadId, z: Tensor) -> tuple[str, Callable[[Tensor, HookPoint], Tensor]]:
    """A hook that puts z in the place of one head's."""

    def replace_z(current: Tensor, hook: HookPoint) -> Tensor:
        edited = current.clone()
        edited[:, :, head.head] = z
        return edited

    return f"{attention_path(head.kind, head.layer)}.hook_z", replace_z


def hooked_effect(
    model: HookedEncoderDecoder, batch: Batch, head: HeadId, z: Tensor, read_out: ReadOut
) -> Float[Tensor, " batch"]:
    """The same by one full forward pass with a hook on z: the plain way, which `Replay` must agree with."""
    last = f"decoder.{model.cfg.n_decoder_layers - 1}.hook_resid_post"
    states: list[Tensor] = []

    def keep(state: Tensor, hook: HookPoint) -> None:
        states.append(state)

    with torch.no_grad():
        model.run_with_hooks(batch, [_replacement(head, z), (last, keep)])
        return read_out(final_norm(model, "decoder")(states[0]) * model.cfg.logit_scale)
