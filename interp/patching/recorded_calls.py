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
from interp.families.config import ModelConfig
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
        """The call as a forward pre-hook sees it.

        Args:
            module: the module that was called.
            arguments: its positional arguments.
            keywords: its keyword arguments.
        """
        bound = inspect.signature(module.forward).bind(*arguments, **keywords).arguments
        others = bound.pop("kwargs", {})
        return cls(module, {**bound, **others})

    def parameter_of(self, value: Tensor) -> str:
        """The parameter that a tensor was given for; hosts name the memory differently.

        Args:
            value: the tensor.
        """
        return next(name for name, given in self.arguments.items() if given is value)

    def again(self, hidden: Tensor, **changed: Tensor | None) -> Tensor:
        """The stream behind the module, of the shape of another stream before it.

        Args:
            hidden: the stream, of one or more copies of the prompts; every family of the host calls it `hidden_states`. What
                belongs to the prompts, masks and memory, is repeated for copies.
            changed: other arguments that are no longer those of the first call.
        """
        prompts = len(self.arguments["hidden_states"])
        given = {**self.arguments, **changed}
        del given["hidden_states"]
        if len(hidden) != prompts:
            given = {name: _repeated(value, prompts, len(hidden) // prompts) for name, value in given.items()}
        # Hooks on what enters a module look at its first argument.
        output = self.module(hidden, **given)
        stream: Tensor = output[0] if isinstance(output, tuple) else output
        return stream


def _repeated(given: Any, prompts: int, copies: int) -> Any:
    """An argument that belongs to the prompts, once for every copy; biases and positions of all prompts alike as they are."""
    if not isinstance(given, Tensor) or given.ndim < 3 or len(given) != prompts:
        return given
    return given.repeat(copies, *[1] * (given.ndim - 1))


def called_again(cfg: ModelConfig) -> dict[str, str]:
    """Layers, and attention sublayers where these are modules: name of the call -> site.

    Args:
        cfg: facts of the model.
    """
    stacks: tuple[Stack, ...] = ("encoder", "decoder")
    layers = [f"{stack}.{layer}" for stack in stacks for layer in range(cfg.n_layers(stack))]
    sites = {layer: f"{layer}.hook_resid_post" for layer in layers}
    if cfg.t5_shaped:
        sites |= {f"{layer}.attn": f"{layer}.hook_resid_mid" for layer in layers}
        sites |= {f"decoder.{n}.cross_attn": f"decoder.{n}.hook_resid_mid_cross" for n in range(cfg.n_decoder_layers)}
    return sites


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
