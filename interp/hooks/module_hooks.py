"""Module hooks: how hook points are connected to the host's modules through torch's own hooks.

Each serves the points that one module can tell about. None re-implements a forward pass: it observes an input or an output and,
if a hook function replaced the value, hands the replacement to the host. The two exceptions are identities of the module itself:
a norm recomputed from an edited scale, and an output projection recomputed as the sum of its heads, both only when something was
attached there. Torch's hook is on the module only while a point is active, so a model with nothing attached runs the host's code
and nothing else.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from interp.hooks.hook_point import HookPoint
from interp.hooks.host_weights import bias_of, weight_of

Output = Any
"""What a host module returns: a tensor, or a tuple whose first entry is the tensor we mean."""


class ModuleHook:
    """A torch hook on one host module for the hook points it serves, by role; subclasses say which hook, and what it does."""

    def __init__(self, module: nn.Module, **points: HookPoint) -> None:
        self.module = module
        self.points: dict[str, HookPoint] = {}
        self._handles: list[RemovableHandle] = []
        for role, point in points.items():
            self._serve(role, point)

    def refresh(self) -> None:
        """Put torch's hooks on when a point became active, take them off when the last one stopped being so."""
        active = any(point.active for point in self.points.values())
        if active and not self._handles:
            self._handles = self._register()
        elif not active:
            while self._handles:
                self._handles.pop().remove()

    def _serve(self, role: str, point: HookPoint) -> None:
        self.points[role] = point
        point.refresh = self.refresh

    def _register(self) -> list[RemovableHandle]:
        return [self.module.register_forward_hook(self._after)]

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Output) -> Output | None:
        raise NotImplementedError


class InputHook(ModuleHook):
    """Fires a point on the module's first positional argument, before the module runs."""

    def _register(self) -> list[RemovableHandle]:
        return [self.module.register_forward_pre_hook(partial(_before, self.points["value"].fire))]


class Layout(NamedTuple):
    """How a module's output is shown at its hook point, and how a value (with the host's own output) is turned back."""

    shown: Callable[[Tensor], Tensor] = lambda output: output
    hosts: Callable[[Tensor, Tensor], Tensor] = lambda value, output: value


PLAIN = Layout()
# The host looks the biases of T5 up as [query key head] once and permutes them afterwards, so replacing the lookup changes the
# bias in every layer that shares it.
POSITION_BIAS = Layout(
    lambda output: output.permute(2, 0, 1).unsqueeze(0), lambda value, output: value.squeeze(0).permute(1, 2, 0)
)
# [batch pos d_model]; the batch axis has length 1 where the host makes position embeddings once for all prompts.
POSITION_EMBEDDING = Layout(
    lambda output: output.unsqueeze(0) if output.ndim == 2 else output,
    lambda value, output: value.reshape(output.shape),
)


class OutputHook(ModuleHook):
    """Fires a point on the module's output, or on the first entry of the tuple it returns, in the layout of the point."""

    def __init__(self, module: nn.Module, value: HookPoint, layout: Layout = PLAIN) -> None:
        super().__init__(module, value=value)
        self.layout = layout

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Output) -> Output | None:
        own: Tensor = output[0] if isinstance(output, tuple) else output
        shown = self.layout.shown(own)
        value = self.points["value"].fire(shown)
        if value is shown and not value.requires_grad:
            return None
        value = self.layout.hosts(value, own)
        return (value, *output[1:]) if isinstance(output, tuple) else value


class ResidualStreamHook(ModuleHook):
    """Fires the residual stream of a pre-norm layer whose sublayers are no modules of their own.

    The stream is seen where it enters the layer, at the norm of every later sublayer, and where it leaves. The host keeps the
    branch past a norm to itself, so an edit is remembered as a difference and added wherever the stream shows up later in the
    layer: behind the point everything sees the edited stream.
    """

    def __init__(self, layer: nn.Module, entry: HookPoint) -> None:
        super().__init__(layer, entry=entry)
        self._norms: list[tuple[nn.Module, HookPoint]] = []
        self._difference: Tensor | None = None

    def then(self, point: HookPoint, norm: nn.Module | None) -> None:
        """Fire another point later in the layer; points are given in forward order.

        Args:
            point: the point.
            norm: the norm of the sublayer that reads the stream there; None where the stream leaves the layer.
        """
        self._serve(point.name, point)
        if norm is None:
            self._exit = point
        else:
            self._norms.append((norm, point))

    def _register(self) -> list[RemovableHandle]:
        norms = ((norm, partial(_before, partial(self._edited, point))) for norm, point in self._norms)
        enter = self.module.register_forward_pre_hook(partial(_before, self._enter))
        leave = self.module.register_forward_hook(self._after)
        return [enter, *(norm.register_forward_pre_hook(fire) for norm, fire in norms), leave]

    def _enter(self, stream: Tensor) -> Tensor:
        self._difference = None
        return self.points["entry"].fire(stream)

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


class FrameEmbeddingHook(ModuleHook):
    """Fires what convolutions make of a sound: GELU of a module's output, [batch pos d_model].

    The host applies the GELU by itself, and no module hands its output on; so an edit is remembered as a difference and added to
    the stream where the first layer reads it.
    """

    def __init__(self, module: nn.Module, value: HookPoint) -> None:
        super().__init__(module, value=value)
        self._difference: Tensor | None = None

    def read_by(self, layer: nn.Module) -> None:
        """Say which layer reads the frames first.

        Args:
            layer: the layer; its own hooks see the edited stream.
        """
        self._layer = layer

    def _register(self) -> list[RemovableHandle]:
        enter = self._layer.register_forward_pre_hook(partial(_before, self._edited), prepend=True)
        return [*super()._register(), enter]

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        shown = nn.functional.gelu(output).transpose(1, 2)
        value = self.points["value"].fire(shown)
        replaced = value is not shown or value.requires_grad
        self._difference = value - shown.detach() if replaced else None
        return output.detach() if replaced else None  # gradients reach what comes before through the value alone

    def _edited(self, stream: Tensor) -> Tensor:
        difference, self._difference = self._difference, None  # the layer may be called again by itself
        return stream if difference is None else stream + difference


class NormHook(ModuleHook):
    """Fires the scale and the normalized value of an RMSNorm or a LayerNorm, and what the norm hands on if that is wanted.

    scale = sqrt(mean(x^2) + eps), [batch pos one] (LayerNorm: of x - mean(x)); normalized = x / scale, before the gain.
    The statistics are taken in float32, as the host does. The host's own output is kept unless a value was replaced or
    the value is part of a gradient's graph, in which case the output is computed from the values that were shown.
    """

    def __init__(self, module: nn.Module, eps: float, centered: bool, offset: float, **points: HookPoint) -> None:
        super().__init__(module, **points)
        self.eps = eps
        self.centered = centered
        self.offset = offset

    def hand_on(self, point: HookPoint) -> None:
        """Fire a point on the norm's output too: in post-norm layers that is the residual stream.

        Args:
            point: the point.
        """
        self._serve("output", point)

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        replacement = self._renormed(inputs[0], output)
        value = output if replacement is None else replacement
        if "output" in self.points:
            value = self.points["output"].fire(value)
        return None if value is output else value

    def _renormed(self, hidden: Tensor, output: Tensor) -> Tensor | None:
        if not (self.points["scale"].active or self.points["normalized"].active):
            return None
        if self.centered:
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
        weight, bias = weight_of(self.module), bias_of(self.module)  # RMSNorm has no bias
        if self.offset:
            weight = self.offset + weight
        return weight * normalized if bias is None else weight * normalized + bias


class HeadResultHook(ModuleHook):
    """Fires what each head writes to the residual stream, on the attention's output projection.

    result[batch pos head d_model] = z[batch pos head d_head] W_O[head d_head d_model]; the module's output is their sum over
    heads plus its bias. Costs heads x d_model numbers a token, and is computed only while something is attached.
    """

    def __init__(self, module: nn.Linear, n_heads: int, value: HookPoint) -> None:
        super().__init__(module, value=value)
        self._projection = module
        self.n_heads = n_heads

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        z = inputs[0].unflatten(-1, (self.n_heads, -1))
        result = head_results(z, weight_of(self._projection))
        shown = self.points["value"].fire(result)
        if shown is result and not shown.requires_grad:
            return None
        total, bias = shown.sum(-2), bias_of(self._projection)
        return total if bias is None else total + bias


def _before(fire: Callable[[Tensor], Tensor], module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """A torch pre-hook that fires on a module's first argument."""
    value = fire(inputs[0])
    return None if value is inputs[0] else (value, *inputs[1:])


def head_results(z: Tensor, weight: Tensor) -> Tensor:
    """Each head's write to the residual stream, [... head d_model].

    Args:
        z: attention-weighted values, [... head d_head].
        weight: the output projection's weight as torch keeps it, [d_model head*d_head].
    """
    W_O = weight.t().unflatten(0, (z.shape[-2], z.shape[-1]))
    return torch.einsum("...hk,hkd->...hd", z, W_O)
