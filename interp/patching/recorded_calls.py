"""With what did the host call its modules, so that they can be called again for another stream?

A pass that goes on from an edited residual stream must give every later module the masks and position biases that the host gave.
Which these are, and what they are called, is the host's own affair: so the host runs once, its calls are noted at the door of the
modules, and each can be made again with another stream.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from interp.axes import Stack
from interp.model.hooked_model import HookedEncoderDecoder


@dataclass(frozen=True, slots=True, eq=False)
class HostCall:
    """How the host called one module.

    Attributes:
        module: the module.
        arguments: what it was given, by the names of its parameters.
    """

    module: nn.Module
    arguments: dict[str, Any]

    @classmethod
    def of(cls, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> "HostCall":
        """The call as a forward pre-hook sees it."""
        bound = inspect.signature(module.forward).bind(*arguments, **keywords).arguments
        return cls(module, {**bound, **bound.pop("kwargs", {})})

    def parameter_of(self, value: Tensor) -> str:
        """The parameter that a tensor was given for; hosts name the memory differently."""
        return next(name for name, given in self.arguments.items() if given is value)

    def again(self, hidden: Tensor, **changed: Tensor | None) -> Tensor:
        """The stream behind the module, for another stream before it.

        Args:
            hidden: the stream; every family of the host calls it `hidden_states`.
            changed: other arguments that are no longer those of the first call.
        """
        output = self.module(**{**self.arguments, "hidden_states": hidden, **changed})
        stream: Tensor = output[0] if isinstance(output, tuple) else output
        return stream


@contextmanager
def recording(model: HookedEncoderDecoder, sites: Mapping[str, str]) -> Iterator[dict[str, HostCall]]:
    """Note how the host calls modules while a `with` block runs.

    Args:
        model: the model.
        sites: name of a call -> the hook name, or stem of hook names, whose module is listened to.

    Yields:
        Name -> the last call, filled as the host runs.
    """
    calls: dict[str, HostCall] = {}

    with ExitStack() as stack:
        for name, site in sites.items():

            def record(
                module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], name: str = name
            ) -> None:
                calls[name] = HostCall.of(module, arguments, keywords)

            handle = model.module(site).register_forward_pre_hook(record, with_kwargs=True)
            stack.callback(handle.remove)
        yield calls


def after_mlp(model: HookedEncoderDecoder, stack: Stack, layer: int, hidden: Tensor) -> Tensor:
    """The stream after a layer's feed-forward part, in models of T5's shapes.

    Args:
        model: a model whose `cfg.t5_shaped` holds.
        stack: whose layer.
        layer: the layer.
        hidden: the stream before that part.
    """
    norm = model.module(f"{stack}.{layer}.{'ln2' if stack == 'encoder' else 'ln3'}")
    written: Tensor = model.module(f"{stack}.{layer}.hook_mlp_out")(norm(hidden))
    return hidden + written
