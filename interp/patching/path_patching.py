"""Path patching: what one head tells another, and nothing else (Wang et al. 2022).

A head reaches a later one along the residual stream, through MLPs, and through other heads. Here the sender's z is taken from a
corrupted run while every other head is held at its clean value, the receivers' inputs are read off, and a clean run is made with
only these replaced. In an encoder-decoder the paths are

    encoder head -> queries, keys, values of later encoder heads, keys and values of cross-attention heads
    decoder or cross head -> queries of cross-attention heads, queries, keys, values of later decoder heads
    decoder or cross head -> logits

MLPs on the way are recomputed (`mlps`, as in the paper) or held at their clean values too (`residual`, the strictly direct path).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import HeadId
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.interventions import Edits, Target, patch
from interp.text.batch import Batch

Through = Literal["mlps", "residual"]
Input = Literal["q", "k", "v"]


@dataclass(frozen=True, slots=True)
class Receiver:
    """An input of one head: `Receiver(HeadId("cross", 2, 1), "q")`."""

    head: HeadId
    input: Input

    @classmethod
    def parse(cls, label: str) -> "Receiver":
        """The receiver that a label names.

        Args:
            label: a head and its input, `XL2H1.q`.

        Raises:
            InputError: if the text is no receiver.
        """
        head, _, leaf = label.partition(".")
        inputs: tuple[Input, ...] = ("q", "k", "v")
        for known in inputs:
            if leaf == known:
                return cls(HeadId.parse(head), known)
        raise InputError(f"{label!r} is no receiver; write a head and its input, XL2H1.q, XL2H1.k or XL2H1.v.")


def path_patch(
    model: HookedEncoderDecoder,
    batch: Batch,
    clean: ActivationCache,
    corrupted: ActivationCache,
    senders: Iterable[Target],
    receivers: Sequence[Receiver | str] | Literal["logits"],
    through: Through = "mlps",
) -> Edits:
    """Edits that bring the senders' corrupted values to the receivers and to nobody else.

    One forward pass is made to find what the receivers would read. Run the edits on the clean batch:

        edits = path_patch(model, batch, clean, corrupted, ["EL0H3"], ["XL2H1.k", "XL2H1.v"])
        logits = model.run_with_hooks(batch, edits)

    Args:
        model: the model.
        batch: the clean batch.
        clean: its run, with z of all heads, and `hook_mlp_out` for `through="residual"`.
        corrupted: the run the senders' values come from, of the same shape, with their z.
        senders: heads, head labels, or hook names.
        receivers: inputs of heads (`XL2H1.q`), or `logits` for the final stream of the decoder.
        through: `mlps` recomputes the MLPs on the way, `residual` holds them at their clean values.

    Raises:
        KeyError: if a cache lacks what is needed.
        InputError: if a receiver is the keys or values of a head that shares them with others.
    """
    held = (".hook_z", "hook_mlp_out") if through == "residual" else (".hook_z",)
    frozen = patch([name for name in model.hook_points() if name.endswith(held)], clean)
    if receivers == "logits":
        name = f"decoder.{model.cfg.n_decoder_layers - 1}.hook_resid_post"
        return patch([name], _read(model, batch, [*frozen, *patch(senders, corrupted)], [name]))
    wanted = [Receiver.parse(receiver) if isinstance(receiver, str) else receiver for receiver in receivers]
    for receiver in wanted:
        model.cfg.check_own_keys(receiver.head.kind, receiver.input)
    points = [(receiver.head.hook_name(receiver.input), receiver.head.head) for receiver in wanted]
    seen = _read(model, batch, [*frozen, *patch(senders, corrupted)], sorted({name for name, _ in points}))
    return [(name, _one_head(seen[name], head)) for name, head in points]


def _read(model: HookedEncoderDecoder, batch: Batch, edits: Edits, names: Sequence[str]) -> ActivationCache:
    with torch.no_grad(), model.hooks(edits):
        return model.run_with_cache(batch, names_filter=names)[1]


def _one_head(donor: Tensor, head: int) -> HookFunction:
    def edit(value: Tensor, hook: HookPoint) -> Tensor:
        edited = value.clone()
        edited[:, :, head] = donor[:, :, head]
        return edited

    return edit
