"""Shapes of models: by name, and as a checkpoint's configuration tells.

`small` and `base` are T5's (Raffel et al. 2020, JMLR 21:140); `tiny` and `mini` are those of Tay et al. 2022 (arXiv:2109.10686),
table 2, in the widths of their released checkpoints. The vocabulary is not part of a size.
"""

from typing import Any

from transformers import T5Config

from interp.errors import InputError

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 256, "d_kv": 64, "d_ff": 1024, "layers": 4, "heads": 4},
    "mini": {"d_model": 384, "d_kv": 64, "d_ff": 1536, "layers": 4, "heads": 8},
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "layers": 6, "heads": 8},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "layers": 12, "heads": 12},
}
SHAPE = ("d_model", "d_kv", "d_ff", "layers", "heads", "vocabulary", "feed_forward", "tied")
"""The recipe's fields that a checkpoint decides."""


def size_settings(name: str) -> list[str]:
    """The shape called `name`, as settings of a recipe.

    Raises:
        InputError: if there is no size of this name.
    """
    if name not in SIZES:
        raise InputError(f"There is no size {name!r}. Choose one of {', '.join(SIZES)}.")
    return [f"{field}={value}" for field, value in SIZES[name].items()]


def shape_of(config: T5Config) -> dict[str, Any]:
    """The recipe's fields that `config` decides; `layers` are those of the encoder."""
    return {
        "d_model": config.d_model,
        "d_kv": config.d_kv,
        "d_ff": config.d_ff,
        "layers": config.num_layers,
        "heads": config.num_heads,
        "vocabulary": config.vocab_size,
        "feed_forward": config.feed_forward_proj,
        "tied": config.scale_decoder_outputs,  # transformers calls every T5 tied and tells version 1.1 by this.
    }
