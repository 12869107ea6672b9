"""Mechanistic interpretability for encoder-decoder transformers.

    import interp

    model = interp.load()
    batch = model.batch(["translate English to German: The dog is running."])
    logits, cache = model.run_with_cache(batch)
    cache["decoder.3.cross_attn.hook_pattern"]

Importing this package loads nothing: every public name is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.buffers import CacheBuffers as CacheBuffers
    from interp.cache import ActivationCache as ActivationCache
    from interp.controls import untrained_twin as untrained_twin
    from interp.errors import InputError as InputError
    from interp.generation import Decoding as Decoding
    from interp.generation import Generation as Generation
    from interp.hooks import HookPoint as HookPoint
    from interp.loading import load as load
    from interp.model import HookedEncoderDecoder as HookedEncoderDecoder
    from interp.names import HeadId as HeadId
    from interp.names import get_act_name as get_act_name
    from interp.storage import load_cache as load_cache
    from interp.storage import save_cache as save_cache
    from interp.tokens import Batch as Batch

_HOME = {
    "ActivationCache": "interp.cache",
    "Batch": "interp.tokens",
    "CacheBuffers": "interp.buffers",
    "Decoding": "interp.generation",
    "Generation": "interp.generation",
    "HeadId": "interp.names",
    "HookPoint": "interp.hooks",
    "HookedEncoderDecoder": "interp.model",
    "InputError": "interp.errors",
    "get_act_name": "interp.names",
    "load": "interp.loading",
    "load_cache": "interp.storage",
    "save_cache": "interp.storage",
    "untrained_twin": "interp.controls",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'interp' has no attribute {name!r}; public names are {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
