"""Settings that a host model generates by, without those of its checkpoint's file."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import GenerationConfig, PreTrainedModel


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
