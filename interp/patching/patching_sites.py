"""What would the final stream be, had one activation at a time been another run's? All sites of one hook point together.

Whatever is put in place of a head's z, pattern, keys or values changes the residual stream by (z' - z) W_O, with z' computed from
the recipient's other activations; everything behind that place is `interp.patching.partial_forward`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from transformers.activations import ACT2FN

from interp.axes import Stack
from interp.hooks.names import HeadId, attention_kind
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights
from interp.patching.partial_forward import Place, Replay

FLOATS_AT_ONCE = 2**22
"""Numbers in the largest activation of one pass: more than a processor's caches hold is slower, not faster."""

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


def sweepable(site: Site) -> bool:
    """Whether a site is a residual stream, a head's z or pattern, or keys or values that cross-attention reads."""
    leaf = site.name.rpartition(".")[2]
    if leaf.removeprefix("hook_") in _PLACES:
        return site.index is None or site.axis == "pos"
    of_heads = leaf in {"hook_z", "hook_pattern"} or (".cross_attn." in site.name and leaf in _READS)
    return of_heads and (site.index is None or site.axis == "head")


def needed(name: str) -> tuple[str, ...]:
    """The recipient's activations that a sweep of one hook point reads."""
    stem, _, leaf = name.rpartition(".")
    if leaf not in _READS:
        return (name,)
    stack, layer, place = _behind(name)
    return (*(f"{stem}.hook_{part}" for part in _READS[leaf]), f"{stack}.{layer}.hook_{place}")


def swept(
    recipient: Replay, name: str, group: Sequence[Site], donor: Float[Tensor, "..."]
) -> Float[Tensor, "site pair d_model"]:
    """The normed final stream at the rows read, with each site of one hook point replaced by itself.

    Args:
        recipient: a run that kept `needed(name)`.
        name: the hook point.
        group: `sweepable` sites of it.
        donor: the activation of the other run.
    """
    stack, layer, place = _behind(name)
    batch = recipient.batch
    tokens = (batch.input_ids if stack == "encoder" else batch.decoder_input_ids).numel()
    at_once = max(FLOATS_AT_ONCE // (tokens * recipient.model.cfg.d_mlp_of(stack)), 1)
    heads = [site.index for site in group if site.index is not None]
    starts = range(0, len(group), at_once)
    if name.endswith("hook_z") and stack == "encoder" and len(heads) == len(group):
        mlp = _SharedMlp.of(recipient.model, layer, recipient.cache[f"encoder.{layer}.hook_resid_mid"])
        changes = (donor - recipient.cache[name]).movedim(2, 0)[heads]
        streams = (mlp.after(heads[start : start + at_once], changes[start : start + at_once]) for start in starts)
        return torch.cat([recipient.after("encoder", layer, "resid_post", stream) for stream in streams])
    edit = _edits(recipient, name, donor)
    streams = (torch.stack([edit(site.index) for site in group[start : start + at_once]]) for start in starts)
    return torch.cat([recipient.after(stack, layer, place, stream) for stream in streams])


def _edits(recipient: Replay, name: str, donor: Tensor) -> Callable[[int | None], Tensor]:
    """From the index of a site to the edited stream, [batch pos d_model]."""
    stack, layer, place = _behind(name)
    stem, _, leaf = name.rpartition(".")
    if leaf not in _READS:
        return partial(_replaced, recipient.cache[name], donor)
    change = _z_after(recipient, name, donor) - recipient.cache[f"{stem}.hook_z"]
    W_O = attention_weights(recipient.model, attention_kind(name), layer).W_O
    stream = recipient.cache[f"{stack}.{layer}.hook_{place}"]

    def edited(head: int | None) -> Tensor:
        if head is None:
            return stream + torch.einsum("bphk,hkd->bpd", change, W_O)
        return stream + change[:, :, head] @ W_O[head]

    return edited


def _behind(name: str) -> tuple[Stack, int, Place]:
    """The place in the stream behind which a change of an activation is seen."""
    stack: Stack = "encoder" if name.startswith("encoder.") else "decoder"
    layer, leaf = int(name.split(".")[1]), name.rpartition(".hook_")[2]
    place: Place = "resid_mid_cross" if ".cross_attn." in name else "resid_mid"
    return stack, layer, next((known for known in _PLACES if known == leaf), place)


def _z_after(recipient: Replay, name: str, donor: Tensor) -> Float[Tensor, "batch query head d_head"]:
    """Z of every head, had the named activation been the donor's."""
    stem, _, leaf = name.rpartition(".")
    cache = recipient.cache
    if leaf == "hook_z":
        return donor
    if leaf == "hook_v":
        return _mixed(cache[f"{stem}.hook_pattern"], donor)
    if leaf == "hook_pattern":
        return _mixed(donor, cache[f"{stem}.hook_v"])
    scale = recipient.model.cfg.attention_scale(attention_kind(name))
    scores = torch.einsum("bqhk,bshk->bhqs", cache[f"{stem}.hook_q"], donor) * scale
    hidden = ~recipient.batch.source_mask[:, None, None, :]
    return _mixed(scores.masked_fill(hidden, float("-inf")).softmax(-1), cache[f"{stem}.hook_v"])


def _mixed(pattern: Tensor, values: Tensor) -> Float[Tensor, "batch query head d_head"]:
    return torch.matmul(pattern, values.transpose(1, 2)).transpose(1, 2)


def _replaced(stream: Tensor, donor: Tensor, position: int | None) -> Float[Tensor, "batch pos d_model"]:
    if position is None:
        return donor
    edited = stream.clone()
    edited[:, position] = donor[:, position]
    return edited


@dataclass(frozen=True, slots=True, eq=False)
class _SharedMlp:
    """An encoder MLP behind streams that differ by what one head writes.

    It reads norm(x + c W_O), x common to all copies and c as narrow as a head: its first product is that of x, computed once,
    plus c (W_O W_in), both times the new inverse scale of the norm.

    Attributes:
        model: the model.
        layer: encoder layer.
        stream: what all copies share of the stream before the MLP.
        readers: W_in with the norm's gain, and W_gate before it in gated layers.
        products: the stream's product with each.
    """

    model: HookedEncoderDecoder
    layer: int
    stream: Float[Tensor, "batch source d_model"]
    readers: tuple[Float[Tensor, "d_model d_mlp"], ...]
    products: tuple[Float[Tensor, "token d_mlp"], ...]

    @classmethod
    def of(cls, model: HookedEncoderDecoder, layer: int, stream: Tensor) -> "_SharedMlp":
        gain: Tensor = model.module(f"encoder.{layer}.ln2").weight  # type: ignore[assignment]
        names = ("hook_pre", "hook_pre_linear") if model.cfg.gated_mlp else ("hook_pre",)
        modules = [model.module(f"encoder.{layer}.mlp.{name}") for name in names]
        readers = tuple(gain.unsqueeze(1) * module.weight.t() for module in modules)  # type: ignore[operator]
        return cls(model, layer, stream, readers, tuple((stream @ reader).flatten(0, 1) for reader in readers))

    def after(self, heads: Sequence[int], changes: Tensor) -> Float[Tensor, "copy batch source d_model"]:
        """The stream behind the MLP, with one head's z changed in every copy."""
        cfg, W_O = self.model.cfg, attention_weights(self.model, "encoder", self.layer).W_O
        edits = list(zip(heads, changes, strict=True))
        edited = torch.stack([self.stream + change @ W_O[head] for head, change in edits])
        inverse = (edited.square().mean(-1, keepdim=True) + cfg.eps).rsqrt()
        read = []
        for reader, common in zip(self.readers, self.products, strict=True):
            own = [torch.addmm(common, change.flatten(0, 1), W_O[head] @ reader) for head, change in edits]
            read.append(torch.stack(own).view(*edited.shape[:-1], -1).mul_(inverse))
        post = ACT2FN[cfg.act_fn](read[0])
        if cfg.gated_mlp:
            post = post * read[1]
        written: Tensor = self.model.module(f"encoder.{self.layer}.mlp.hook_post")(post)
        return edited + written
