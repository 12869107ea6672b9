"""Whether a host is still the one that hook points were put on.

Who calls `set_attn_implementation`, or puts other modules in place of the host's (adapters, a resized table), leaves hook
points that nothing fires, or that see a part of what is computed: an ablation would do nothing, and a weight be another's.
"""

from operator import is_
from threading import RLock

from torch import nn
from transformers import PreTrainedModel

from interp.errors import InputError
from interp.hooks.attention import IMPLEMENTATION


class WrappedHost:
    """What a host is from when its hook points stand, which may give a stack a module of its own.

    Args:
        hf: the host.

    Attributes:
        running: what a run of the host holds, for which those of other threads wait.
    """

    def __init__(self, hf: PreTrainedModel) -> None:
        self.running = RLock()
        self._hf, self._modules = hf, tuple(hf.modules())
        models = (module for module in self._modules if isinstance(module, PreTrainedModel))
        configs = {id(model.config): model.config for model in models}.values()
        self._configs = tuple(config for config in configs if config._attn_implementation == IMPLEMENTATION)

    def check(self) -> None:
        """Refuse a host that was changed since.

        Raises:
            InputError: saying what was changed.
        """
        now = tuple(self._hf.modules())
        other = next((config for config in self._configs if config._attn_implementation != IMPLEMENTATION), None)
        if other is not None:
            what = f"its attention is computed by {other._attn_implementation!r}"
        elif len(now) != len(self._modules) or not all(map(is_, now, self._modules)):
            what = f"it has {self._new_module(now)}"
        else:
            return
        raise InputError(
            f"The host model was changed after it was wrapped: {what}, so hook points would not show what it computes. "
            "Undo that, or wrap it again with `HookedEncoderDecoder`, a model with adapters after merge_and_unload()."
        )

    def _new_module(self, now: tuple[nn.Module, ...]) -> str:
        known = set(map(id, self._modules))
        names = {id(module): name for name, module in self._hf.named_modules()}
        new = next((module for module in now if id(module) not in known), None)
        return "other modules" if new is None else f"another module {names[id(new)]!r}, a {type(new).__name__}"
