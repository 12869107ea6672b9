"""Adapters: a base model with what PEFT trained beside it merged into its weights, so that weights are the whole map again.

Needs the optional extra `peft`. Its merged weights are W + scale * B A for LoRA (Hu et al. 2022).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.errors import InputError
from interp.model.checkpoints import ADAPTER_SETTINGS, ADAPTER_WEIGHTS, Checkpoint, first_line

_PROBED = 8
_ROUNDING = {torch.float32: 1e-3}
_ROUNDING_NARROW = 0.05
"""Of the largest logit, what merging may round away, in narrow types more; an adapter that is put elsewhere changes more."""


def check_adapter(checkpoint: Checkpoint) -> None:
    """Refuse an adapter that cannot be merged here, before anything is loaded.

    Args:
        checkpoint: a checkpoint, with an adapter or without.

    Raises:
        InputError: if PEFT is not installed, or the adapter has no safetensors.
    """
    if checkpoint.adapter is None:
        return
    try:
        import peft  # noqa: F401  # optional
    except ImportError as error:
        raise InputError(
            f"{checkpoint.name!r} has an adapter, which PEFT merges: install it with pip install 't5-interp[peft]', or give "
            "the folder of the merged model."
        ) from error
    if not (checkpoint.adapter / ADAPTER_WEIGHTS).is_file():
        raise InputError(
            f"The adapter {checkpoint.name!r} has no {ADAPTER_WEIGHTS}; save it again with PEFT's save_pretrained."
        )


def merged(base: PreTrainedModel, checkpoint: Checkpoint) -> PreTrainedModel:
    """The base with the adapter in its weights.

    Args:
        base: the base model; it is changed.
        checkpoint: names the adapter.

    Raises:
        InputError: if the adapter does not fit the base, is of a kind that is no change of weights, or another map once merged.
    """
    from peft import PeftModel, get_peft_model_state_dict  # optional

    assert checkpoint.adapter is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            both = PeftModel.from_pretrained(base, str(checkpoint.adapter), local_files_only=True)
    except (RuntimeError, ValueError, KeyError, OSError, TypeError) as error:
        raise InputError(
            f"The adapter {checkpoint.name!r} cannot be put on its base: {first_line(error)} Check that they belong together."
        ) from error
    with safe_open(checkpoint.adapter / ADAPTER_WEIGHTS, "pt") as stored:
        odd = set(stored.keys()) ^ set(get_peft_model_state_dict(both))
    if odd:
        raise InputError(
            f"The adapter {checkpoint.name!r} does not fit its base: {len(odd)} of its weights have no counterpart, the first is "
            f"{min(odd)}. Check that they belong together."
        )
    if not hasattr(both.base_model, "merge_and_unload"):
        raise InputError(
            f"The adapter {checkpoint.name!r} is of kind {both.active_peft_config.peft_type.value}, which changes no weights and "
            "cannot be merged; supported are kinds like LORA."
        )
    apart = _probed(both)
    whole: PreTrainedModel = both.merge_and_unload()
    if apart is not None:
        _check_same(apart, _probed(whole), whole.dtype, checkpoint)
    return whole


def _probed(model: nn.Module) -> Tensor | None:
    """Logits of a few tokens, spread over the vocabulary; None of models that read no tokens."""
    if getattr(model, "main_input_name", "input_ids") != "input_ids":
        return None
    table = next(model.get_input_embeddings().parameters())  # type: ignore[operator]
    ids = torch.linspace(0, len(table) - 1, _PROBED, device=table.device).long()[None]
    with torch.no_grad():
        logits: Tensor = model.eval()(input_ids=ids, decoder_input_ids=ids).logits.float()
    return logits


def _check_same(apart: Tensor, together: Tensor | None, dtype: torch.dtype, checkpoint: Checkpoint) -> None:
    """Refuse an adapter that is another map once it is in the weights, as one of a table that is tied to others."""
    assert together is not None
    gap, size = float((apart - together).abs().max()), float(apart.abs().max())
    if gap > _ROUNDING.get(dtype, _ROUNDING_NARROW) * size:
        raise InputError(
            f"The adapter {checkpoint.name!r} merged into the weights is another model: logits of a few tokens differ by "
            f"{gap:.3g}, of {size:.3g} at most. So it is where an adapter changes one of several tied tables; save the model "
            "that is meant as a whole, untied."
        )


@contextmanager
def without_adapter(checkpoint: Checkpoint) -> Iterator[Path]:
    """The base's folder as if there were no adapter in it: the host would put one that lies there on, unmerged.

    Args:
        checkpoint: the checkpoint.
    """
    if not (checkpoint.folder / ADAPTER_SETTINGS).is_file():
        yield checkpoint.folder
        return
    with TemporaryDirectory(prefix="interp-base-") as bare:
        for path in checkpoint.folder.iterdir():
            if path.is_file() and path.name not in (ADAPTER_SETTINGS, ADAPTER_WEIGHTS):
                (Path(bare) / path.name).symlink_to(path.resolve())
        yield Path(bare)
