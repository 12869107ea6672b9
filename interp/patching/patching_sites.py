"""What would the decoder's output be, had one activation at a time been another run's? All sites of one hook point together.

In T5's family whatever is put in place of a head's z, pattern, keys or values changes the residual stream by (z' - z) W_O, with
z' computed from the recipient's other activations; in others, and at other sites, hooks put it there. What follows is left to
`interp.patching.partial_forward`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from interp.axes import Stack
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import HeadId, attention_kind, axes_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.partial_forward import Place, RecordedPass

_PLACES: tuple[Place, ...] = get_args(Place)
_READS = {"hook_z": ("z",), "hook_pattern": ("z", "v"), "hook_v": ("z", "pattern"), "hook_k": ("z", "q", "v")}
"""What of the recipient is needed to tell z after a change of the named activation."""


@dataclass(frozen=True, slots=True)
class Site:
    """A part of one activation.

    Attributes:
        name: hook point.
        index: which head or position; None for the whole activation.
        axis: the axis of the activation that `index` is on.
    """

    name: str
    index: int | None = None
    axis: Literal["pos", "head"] = "pos"

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.axis} {self.index}]"

    @property
    def head(self) -> HeadId | None:
        """The head that it is a part of."""
        if self.index is None or self.axis != "head":
            return None
        return HeadId(attention_kind(self.name), int(self.name.split(".")[1]), self.index)

    @property
    def part(self) -> str:
        """What of the head it is: `z`, `pattern`, `k`, ..."""
        return self.name.rpartition(".hook_")[2]

    @property
    def label(self) -> str:
        """Its name for people: `XL2H1` for a head's z, `XL2H1 pattern` for another part of a head, else as in code."""
        if self.head is None:
            return str(self)
        return str(self.head) if self.part == "z" else f"{self.head} {self.part}"


def activations_needed(model: HookedEncoderDecoder, name: str) -> tuple[str, ...]:
    """The recipient's activations that patching sites of one hook point reads, beside the streams that every pass keeps.

    Args:
        model: the model.
        name: the hook point.
    """
    stem, _, leaf = name.rpartition(".")
    parts = _READS.get(leaf, ()) if model.cfg.t5_shaped else ()
    return (name, *(f"{stem}.hook_{part}" for part in parts))


def patched_outputs(
    recipient: RecordedPass, group: Sequence[Site], donor: Float[Tensor, "..."]
) -> Float[Tensor, "site batch row d_model"]:
    """The decoder's output at the rows that are read, with each site of one hook point replaced by itself.

    Args:
        recipient: a pass that kept `activations_needed`.
        group: sites of one hook point.
        donor: the activation of the other run.
    """
    name = group[0].name
    stack: Stack = "encoder" if name.startswith("encoder.") else "decoder"
    by_stream = recipient.model.cfg.t5_shaped
    if by_stream and all(map(_changes_z, group)):
        heads = [site.index for site in group if site.index is not None]
        z = _z_after(recipient, name, donor).movedim(2, 0)[heads]
        return recipient.with_heads(attention_kind(name), int(name.split(".")[1]), heads, z)
    place = next((known for known in _PLACES if name.endswith(f".hook_{known}")), None)
    step = recipient.copies_at_once(stack)
    outputs = []
    for part in (group[start : start + step] for start in range(0, len(group), step)):
        if by_stream and place is not None:
            streams = _put(recipient.cache[name].repeat(len(part), 1, 1), donor, part)
            outputs.append(recipient.after(stack, int(name.split(".")[1]), place, streams))
        else:

            def put(tensor: Tensor, hook: HookPoint, part: Sequence[Site] = part) -> Tensor:
                return _put(tensor, donor, part).flatten(0, 1)

            outputs.append(recipient.edited([(name, put)], len(part)))
    return torch.cat(outputs)


def _changes_z(site: Site) -> bool:
    """Whether a site is a head's z or pattern, or keys or values that cross-attention reads of it."""
    leaf = site.name.rpartition(".")[2]
    of_z = leaf in {"hook_z", "hook_pattern"} or (".cross_attn." in site.name and leaf in _READS)
    return of_z and site.index is not None and site.axis == "head"


def _z_after(recipient: RecordedPass, name: str, donor: Tensor) -> Float[Tensor, "batch query head d_head"]:
    """Z of every head, had the named activation been the donor's."""
    stem, _, leaf = name.rpartition(".")
    cache = recipient.cache
    if leaf == "hook_z":
        return donor
    if leaf == "hook_v":
        return _mixed(cache[f"{stem}.hook_pattern"], donor)
    if leaf == "hook_pattern":
        return _mixed(donor, cache[f"{stem}.hook_v"])
    scale = recipient.model.cfg.hooked_scale(attention_kind(name))
    scores = torch.einsum("bqhk,bshk->bhqs", cache[f"{stem}.hook_q"], donor) * scale
    hidden = ~recipient.batch.source_mask[:, None, None, :]
    return _mixed(scores.masked_fill(hidden, float("-inf")).softmax(-1), cache[f"{stem}.hook_v"])


def _mixed(pattern: Tensor, values: Tensor) -> Float[Tensor, "batch query head d_head"]:
    return torch.matmul(pattern, values.transpose(1, 2)).transpose(1, 2)


def _put(tensor: Tensor, donor: Tensor, group: Sequence[Site]) -> Float[Tensor, "copy batch ..."]:
    """Copies of an activation, one after another on the batch axis; copy i gets part i of the donor."""
    patched: Tensor = tensor.clone().unflatten(0, (len(group), -1))
    for copy, site in zip(patched, group, strict=True):
        if site.index is None:
            copy.copy_(donor)
        else:
            axis = axes_of(site.name).index(site.axis)
            copy.select(axis, site.index).copy_(donor.select(axis, site.index))
    return patched
