"""Wires: how hook points are connected to the host's modules.

Each wire serves the points that one torch module can tell about. None re-implements a forward pass: a wire observes an
input or an output and, if a hook function replaced the value, hands the replacement to the host. The two exceptions are
identities of the module itself: a norm recomputed from an edited scale, and an output projection recomputed as the sum of
its heads, both only when something was attached there.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from interp.hooks.hook_point import HookPoint

Output = Any
"""What a host module returns: a tensor, or a tuple whose first entry is the tensor we mean."""


class TorchWire:
    """A wire that needs a torch hook; subclasses say which, and what it does.

    Args:
        module: the host module.
        points: the hook points served, by role.
    """

    def __init__(self, module: nn.Module, **points: HookPoint) -> None:
        self.module = module
        self.points = points
        self._handle: RemovableHandle | None = None
        for point in points.values():
            point.wire = self

    def refresh(self) -> None:
        """Put the torch hook on when a point became active, take it off when the last one stopped being so."""
        active = any(point.active for point in self.points.values())
        if active and self._handle is None:
            self._handle = self._register()
        elif not active and self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _register(self) -> RemovableHandle:
        return self.module.register_forward_hook(self._after)

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Output) -> Output | None:
        raise NotImplementedError


class InputWire(TorchWire):
    """Fires a point on the module's first positional argument, before the module runs."""

    def _register(self) -> RemovableHandle:
        return self.module.register_forward_pre_hook(self._before)

    def _before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        value = self.points["value"].fire(inputs[0])
        return None if value is inputs[0] else (value, *inputs[1:])


class OutputWire(TorchWire):
    """Fires a point on the module's output, or on the first entry of the tuple it returns."""

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Output) -> Output | None:
        if isinstance(output, tuple):
            value = self.points["value"].fire(output[0])
            return None if value is output[0] else (value, *output[1:])
        value = self.points["value"].fire(output)
        return None if value is output else value


class EmbeddingWire(TorchWire):
    """Fires an embedding in the size in which it enters the stream, where the host scales it outside the embedding module."""

    def __init__(self, module: nn.Module, scale: float, **points: HookPoint) -> None:
        super().__init__(module, **points)
        self.scale = scale

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        scaled = output * self.scale
        value = self.points["value"].fire(scaled)
        return None if value is scaled and not value.requires_grad else value / self.scale


class PositionsWire(TorchWire):
    """Fires position embeddings, [batch pos d_model]; the batch axis has length 1 where the host makes them once."""

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        shared = output.ndim == 2
        positions = output.unsqueeze(0) if shared else output
        value = self.points["value"].fire(positions)
        if value is positions and not value.requires_grad:
            return None
        return value.squeeze(0) if shared else value


class StreamWire(TorchWire):
    """Fires the residual stream of a pre-norm layer whose sublayers are no modules of their own.

    The stream is seen where it enters the layer, at the norm of every later sublayer, and where it leaves. The host keeps the
    branch past a norm to itself, so an edit is remembered as a difference and added wherever the stream shows up later in the
    layer: behind the point everything sees the edited stream.
    """

    def __init__(self, layer: nn.Module, entry: HookPoint) -> None:
        super().__init__(layer, entry=entry)
        self._norms: list[tuple[nn.Module, HookPoint]] = []
        self._handles: list[RemovableHandle] = []
        self._difference: Tensor | None = None

    def between(self, norm: nn.Module, point: HookPoint) -> None:
        """Add the stream as the norm of a sublayer reads it."""
        self._norms.append((norm, point))
        self._add(point)

    def leave(self, point: HookPoint) -> None:
        """Add the stream as it leaves the layer."""
        self._add(point)
        self._exit = point

    def _add(self, point: HookPoint) -> None:
        self.points[point.name] = point
        point.wire = self

    def refresh(self) -> None:
        """Put hooks on the layer and its norms when a point became active, take them off when the last one stopped being so."""
        active = any(point.active for point in self.points.values())
        if active and not self._handles:
            self._handles.append(self.module.register_forward_pre_hook(self._enter))
            for norm, point in self._norms:
                self._handles.append(norm.register_forward_pre_hook(partial(self._at_norm, point)))
            self._handles.append(self.module.register_forward_hook(self._after))
        elif not active:
            while self._handles:
                self._handles.pop().remove()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self._difference = None
        value = self.points["entry"].fire(inputs[0])
        return None if value is inputs[0] else (value, *inputs[1:])

    def _at_norm(self, point: HookPoint, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        value = self._edited(point, inputs[0])
        return None if value is inputs[0] else (value, *inputs[1:])

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        value = self._edited(self._exit, output)
        self._difference = None
        return None if value is output else value

    def _edited(self, point: HookPoint, seen: Tensor) -> Tensor:
        stream = seen if self._difference is None else seen + self._difference
        value = point.fire(stream)
        if value is not stream:
            self._difference = value - seen
        return value


class PositionBiasWire(TorchWire):
    """Fires the position bias in the layout of scores.

    The host looks up the table as [query key head] once and permutes it afterwards, so replacing the lookup changes the
    bias in every layer that shares it.
    """

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        bias = output.permute(2, 0, 1).unsqueeze(0)
        value = self.points["value"].fire(bias)
        return None if value is bias and not value.requires_grad else value.squeeze(0).permute(1, 2, 0)


class NormWire(TorchWire):
    """Fires the scale and the normalised value of an RMSNorm or a LayerNorm, and what the norm hands on if that is wanted.

    scale = sqrt(mean(x^2) + eps), [batch pos one] (LayerNorm: of x - mean(x)); normalized = x / scale, before the gain.
    The statistics are taken in float32, as the host does. The host's own output is kept unless a value was replaced or
    the value is part of a gradient's graph, in which case the output is computed from the values that were shown.
    """

    def __init__(self, module: nn.Module, eps: float, centred: bool, **points: HookPoint) -> None:
        super().__init__(module, **points)
        self.eps = eps
        self.centred = centred

    def hand_on(self, point: HookPoint) -> None:
        """Fire a point on the norm's output too: in post-norm layers that is the residual stream."""
        self.points["output"] = point
        point.wire = self

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        replacement = self._renormed(inputs[0], output)
        value = output if replacement is None else replacement
        if "output" in self.points:
            value = self.points["output"].fire(value)
        return None if value is output else value

    def _renormed(self, hidden: Tensor, output: Tensor) -> Tensor | None:
        if not (self.points["scale"].active or self.points["normalized"].active):
            return None
        if self.centred:
            hidden = hidden - hidden.mean(-1, keepdim=True)
        # In the host's order of operations, so that a value put back where it came from changes no bit.
        inverse = torch.rsqrt(hidden.to(torch.float32).pow(2).mean(-1, keepdim=True) + self.eps)
        scale = inverse.reciprocal()
        shown = self.points["scale"].fire(scale)
        replaced = shown is not scale or shown.requires_grad
        if replaced:
            inverse = shown.reciprocal()
        elif not self.points["normalized"].active:
            return None
        normalized = (hidden * inverse).to(output.dtype)
        shown = self.points["normalized"].fire(normalized)
        replaced = replaced or shown is not normalized or shown.requires_grad
        return self._gain(shown) if replaced else None

    def _gain(self, normalized: Tensor) -> Tensor:
        weight: Tensor = self.module.weight  # type: ignore[assignment]
        bias = getattr(self.module, "bias", None)  # RMSNorm has none
        return weight * normalized if bias is None else weight * normalized + bias


class ResultWire(TorchWire):
    """Fires what each head writes to the residual stream, on the attention's output projection.

    result[batch pos head d_model] = z[batch pos head d_head] W_O[head d_head d_model]; the module's output is their sum over
    heads plus its bias. Costs heads x d_model numbers a token, and is computed only while something is attached.
    """

    def __init__(self, module: nn.Linear, n_heads: int, **points: HookPoint) -> None:
        super().__init__(module, **points)
        self._projection = module
        self.n_heads = n_heads

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        z = inputs[0].unflatten(-1, (self.n_heads, -1))
        result = head_results(z, self._projection.weight)
        shown = self.points["value"].fire(result)
        if shown is result and not shown.requires_grad:
            return None
        total = shown.sum(-2)
        return total if self._projection.bias is None else total + self._projection.bias


def head_results(z: Tensor, weight: Tensor) -> Tensor:
    """Each head's write to the residual stream, [... head d_model].

    Args:
        z: attention-weighted values, [... head d_head].
        weight: the output projection's weight as torch keeps it, [d_model head*d_head].
    """
    W_O = weight.t().unflatten(0, (z.shape[-2], z.shape[-1]))
    return torch.einsum("...hk,hkd->...hd", z, W_O)
