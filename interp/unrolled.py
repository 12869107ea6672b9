"""Which writers, biases included, make up a logit in any family? The stream unrolled backwards through its norms.

With its scale held at its value in a forward pass, every norm is affine, norm(x) = gain * (x - mean(x)) / scale + bias (no mean
and no bias in T5), so a direction d that reads a norm's output reads its input by

    pull(d) = centred(gain * d) / scale,      and a constant <d, bias> stays behind under the norm's own name.

Post-norm families (BART, Marian) have a norm behind every sublayer, and their logits still split exactly: a write passes all
later norms, each held. That is more than pre-norm families hold still, which pass the final norm only; attributions of the two
kinds are not to be compared. Biases of output projections, MLPs, norms and the unembedding, which no head and no neuron writes,
are components of their own. The bias of values reaches every head whatever it looks at, because patterns sum to 1: it is part of
the head's contribution, and is given beside it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution import memory_reads
from interp.axes import AttentionKind, Stack
from interp.cache import ActivationCache
from interp.model import HookedEncoderDecoder
from interp.names import HeadId, attention_path
from interp.weights import attention_weights, unembedding, unembedding_bias


@dataclass(frozen=True, slots=True, eq=False)
class NamedContributions:
    """A read-out of the decoder as a sum of named components.

    Attributes:
        labels: `embedding`, `positions`, `DL0H1`, `DL0 attention bias`, `XL0H1`, `DL0MLP`, `DL0MLP bias`, `DL0 norm 1 bias`,
            `final norm bias`, `unembedding bias`, ...: those that the family has.
        values: contributions in units of the read-out; their sum over components is the read-out.
        cross_reads: for every layer the direction by which the read-out sees what its cross heads write.
    """

    labels: tuple[str, ...]
    values: Float[Tensor, "batch target component"]
    cross_reads: tuple[Float[Tensor, "batch target d_model"], ...]

    def of(self, label: str) -> Float[Tensor, "batch target"]:
        """One component."""
        return self.values[..., self.labels.index(label)]


@dataclass(frozen=True, slots=True, eq=False)
class NamedSources:
    """What all cross heads read, by source token and encoder component.

    Attributes:
        labels: encoder components, named like the decoder's.
        values: contributions through the memory.
        value_bias: what the bias of the values adds, whatever is looked at; with `values` it makes the cross heads' sum.
    """

    labels: tuple[str, ...]
    values: Float[Tensor, "batch target source component"]
    value_bias: Float[Tensor, "batch target"]


def unrolled_hooks(model: HookedEncoderDecoder) -> tuple[str, ...]:
    """The hook points that `named_contributions` and `named_sources` read."""
    leaves = (".hook_embed", ".hook_pos_embed", ".hook_z", ".hook_mlp_out", ".hook_scale", "cross_attn.hook_pattern")
    return tuple(name for name in model.hook_points() if name.endswith(leaves))


def named_contributions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    tokens: Int[Tensor, "batch target"],
    foils: Int[Tensor, "batch target"] | None = None,
) -> NamedContributions:
    """Split the logit of a token, or of a token less a foil, over everything that writes to the decoder.

    Args:
        model: a model of any family.
        cache: with the activations of `unrolled_hooks`.
        tokens: one token for every decoder row.
        foils: the token to subtract.
    """
    table, bias = unembedding(model), unembedding_bias(model)
    wide = torch.promote_types(table.dtype, torch.float32)
    rows, constant = table[tokens].to(wide), bias[tokens].to(wide)
    if foils is not None:
        rows, constant = rows - table[foils].to(wide), constant - bias[foils].to(wide)
    unrolling = _Unrolling(model, cache, "decoder", rows * model.cfg.logit_scale)
    unrolling.run()
    if model.cfg.biases:
        unrolling.add("unembedding bias", constant)
    return NamedContributions(*unrolling.result(), tuple(reversed(unrolling.cross_reads)))


def named_sources(
    model: HookedEncoderDecoder, cache: ActivationCache, contributions: NamedContributions
) -> NamedSources:
    """Split what all cross heads contribute over source tokens and the encoder's writers at each.

    Args:
        model: the model the cache came from.
        cache: with the activations of `unrolled_hooks`.
        contributions: of the same pass.
    """
    reads: Tensor | None = None
    value_bias = torch.zeros_like(contributions.values[..., 0])
    for layer, read in enumerate(contributions.cross_reads):
        heads = [HeadId("cross", layer, head) for head in range(model.cfg.heads_of("cross"))]
        term = memory_reads(model, cache, read, heads)
        reads = term if reads is None else reads + term
        projection = model.module(attention_path("cross", layer)).get_submodule(model.family.projections[2])
        if isinstance(projection.bias, Tensor):
            W_O = attention_weights(model, "cross", layer).W_O.to(read.dtype)
            per_head = projection.bias.to(read.dtype).unflatten(0, (W_O.shape[0], -1))
            value_bias = value_bias + read @ torch.einsum("hk,hkd->d", per_head, W_O)
    assert reads is not None
    unrolling = _Unrolling(model, cache, "encoder", reads)
    unrolling.run()
    return NamedSources(*unrolling.result(), value_bias)


class _Unrolling:
    """Goes through a stack from its end to its start, with the direction that reads it.

    Args:
        model: the model.
        cache: of one pass.
        stack: which stack.
        read: directions read in the stack's output, [batch ... pos d_model].
    """

    def __init__(self, model: HookedEncoderDecoder, cache: ActivationCache, stack: Stack, read: Tensor) -> None:
        self.model = model
        self.cache = cache
        self.stack: Stack = stack
        self.read = read
        self.letter = "E" if stack == "encoder" else "D"
        self.cross_reads: list[Tensor] = []
        self._parts: list[tuple[str, Tensor]] = []

    def run(self) -> None:
        """Collect the contributions of every writer and norm."""
        post = self.model.cfg.norm_place == "post"
        sublayers = ("attn", "mlp") if self.stack == "encoder" else ("attn", "cross_attn", "mlp")
        if f"{self.stack}.ln_final.hook_scale" in self.cache:
            self._pull(f"{self.stack}.ln_final", "final norm bias")
        for layer in reversed(range(self.model.cfg.n_layers(self.stack))):
            for place, sublayer in reversed(list(enumerate(sublayers, start=1))):
                if post:
                    self._pull(f"{self.stack}.{layer}.ln{place}", f"{self.letter}L{layer} norm {place} bias")
                if sublayer == "mlp":
                    self._mlp(layer)
                else:
                    self._attention("cross" if sublayer == "cross_attn" else self.stack, layer)
        if f"{self.stack}.ln_embed.hook_scale" in self.cache:
            self._pull(f"{self.stack}.ln_embed", "embedding norm bias")
        positions = f"{self.stack}.hook_pos_embed"
        if positions in self.cache:
            self.add("positions", self._along(self.cache[positions]))
        name = "embedding" if self.stack == "decoder" else "source embedding"
        self.add(name, self._along(self.cache[f"{self.stack}.hook_embed"]))

    def add(self, label: str, values: Tensor) -> None:
        """Note one component."""
        self._parts.append((label, values))

    def result(self) -> tuple[tuple[str, ...], Tensor]:
        """Labels in reading order, and values with the components last."""
        ordered = [part for part in reversed(self._parts) if part[0] != "unembedding bias"]
        ordered += [part for part in self._parts if part[0] == "unembedding bias"]
        return tuple(label for label, _ in ordered), torch.stack([values for _, values in ordered], -1)

    def _along(self, write: Tensor) -> Tensor:
        """<write, read>; a write has no query axis, a read may have one."""
        return (self._beside(write) * self.read).sum(-1)

    def _beside(self, write: Tensor) -> Tensor:
        return write.unsqueeze(1) if self.read.ndim > write.ndim else write

    def _constant(self, label: str, bias: object) -> None:
        if isinstance(bias, Tensor):
            self.add(label, self.read @ bias.to(self.read.dtype))

    def _pull(self, norm: str, label: str) -> None:
        """Take the direction from behind a norm to before it."""
        module = self.model.module(norm)
        self._constant(label, getattr(module, "bias", None))  # RMSNorm has none
        gain: Tensor = module.weight  # type: ignore[assignment]
        read = self.read * gain.to(self.read.dtype)
        if self.model.cfg.norm == "layer":
            read = read - read.mean(-1, keepdim=True)
        self.read = read / self._beside(self.cache[f"{norm}.hook_scale"])

    def _mlp(self, layer: int) -> None:
        label = f"{self.letter}L{layer}MLP"
        bias = getattr(self.model.module(f"{self.stack}.{layer}.mlp.hook_post"), "bias", None)
        self._constant(f"{label} bias", bias)
        written = self.cache[f"{self.stack}.{layer}.hook_mlp_out"]
        self.add(label, self._along(written - bias if isinstance(bias, Tensor) else written))

    def _attention(self, kind: AttentionKind, layer: int) -> None:
        path = attention_path(kind, layer)
        letter = "X" if kind == "cross" else self.letter
        self._constant(f"{letter}L{layer} attention bias", self.model.module(f"{path}.hook_result").bias)
        if kind == "cross":
            self.cross_reads.append(self.read)
        W_O = attention_weights(self.model, kind, layer).W_O.to(self.read.dtype)
        z = self.cache[f"{path}.hook_z"]
        for head in reversed(range(W_O.shape[0])):
            seen = self.read @ W_O[head].t()
            self.add(str(HeadId(kind, layer, head)), (self._beside(z[:, :, head]) * seen).sum(-1))
