"""What a host model generates with: settings without those of its checkpoint's file, a cache for as many layers as it has."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import DynamicCache, EncoderDecoderCache, GenerationConfig, PreTrainedModel

from interp.hooks.steps import CACHE_FIELD


@contextmanager
def own_settings(hf: PreTrainedModel, settings: GenerationConfig) -> Iterator[None]:
    """Lets the host fill what these settings leave open from themselves, not from the checkpoint's file.

    Args:
        hf: the host model; it has its own settings again afterwards.
        settings: what it generates by.
    """
    before = hf.generation_config
    hf.generation_config = settings
    try:
        yield
    finally:
        hf.generation_config = before


def empty_cache() -> dict[str, EncoderDecoderCache]:
    """The argument of `generate` that holds keys and values; the host's own has as many layers as the encoder."""
    return {CACHE_FIELD: EncoderDecoderCache(DynamicCache(), DynamicCache())}
