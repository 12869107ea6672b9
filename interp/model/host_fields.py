"""What a host's forward pass is given: the fields of a batch, or Hugging Face's by name, checked; and the mode it is in."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.text.batch import Batch

_TENSORS = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask", "labels")
_WAYS = ("use_cache", "past_key_values", "cache", "return_dict", "output_attentions", "output_hidden_states")

_LEFT_OUT = -100
"""The label of padding, which no loss counts."""


def host_fields(given: Batch | Mapping[str, Tensor], cfg: ModelConfig) -> dict[str, Tensor]:
    """The fields that a host is called with.

    Args:
        given: a batch, or fields by name.
        cfg: the model's facts.

    Returns:
        Names of the host's arguments with their tensors; labels only where no decoder inputs are given.

    Raises:
        InputError: if neither decoder inputs nor labels are given, which are never guessed from the source, a source is an image,
            or what is given by name is no tensor, of another size than the others, no field of a pass, or has a token that is
            none of the model's.
    """
    fields = {name: given[name] for name in given.keys()}  # noqa: SIM118 - a Batch is no dict
    if fields.get("pixel_values") is not None:
        raise InputError(
            f"Sources of this model are read as {cfg.source} (source={cfg.source!r}), and pixel_values are an image: leave it "
            "out, with the tokens that stand for it."
        )
    if "decoder_input_ids" not in fields and "labels" not in fields:
        raise InputError(
            "The decoder needs `decoder_input_ids` or `labels`; got neither. `model.batch(sources)` generates targets."
        )
    if "decoder_input_ids" in fields:
        fields.pop("labels", None)  # the host would compute a loss over the vocabulary that nobody reads
    if not isinstance(given, Batch):
        _check_names(fields)
        _check_tokens(fields, cfg.d_vocab)
        _check_sizes(fields)
    return fields


def _check_names(fields: Mapping[str, object]) -> None:
    """Refuse what decides how the host runs or what it returns: a pass here has one form."""
    ways = [name for name in fields if name in _WAYS]
    if ways:
        raise InputError(f"The fields of a pass are its tokens and their masks; leave out {', '.join(ways)}.")
    other = next((name for name in fields if name in _TENSORS and not isinstance(fields[name], Tensor)), None)
    if other is not None and fields[other] is not None:
        raise InputError(
            f"{other} is a tensor of torch; got a {type(fields[other]).__name__}. Of texts `model.batch(...)` makes all fields."
        )


def _check_tokens(fields: Mapping[str, Tensor], d_vocab: int) -> None:
    """Refuse tokens that a table has no row for: on a processor the host says less, on a GPU it ends the process."""
    for name in ("input_ids", "decoder_input_ids", "labels"):
        ids = fields.get(name)
        if ids is None:
            continue
        if ids.ndim != 2 or not ids.numel() or ids.dtype not in (torch.int64, torch.int32):
            raise InputError(
                f"{name} holds whole numbers, [prompt position], at least one; got {str(ids.dtype).removeprefix('torch.')} of "
                f"shape {tuple(ids.shape)}."
            )
        known = (ids >= 0) & (ids < d_vocab)
        if name == "labels":
            known |= ids == _LEFT_OUT
        if not bool(known.all()):
            raise InputError(f"{name} has the id {int(ids[~known][0])}; ids are from 0 to {d_vocab - 1}.")


def _check_sizes(fields: Mapping[str, Tensor]) -> None:
    """Refuse fields of different numbers of prompts, and masks of other shapes than their tokens, which would be broadcast."""
    prompts = {name: len(fields[name]) for name in _TENSORS if fields.get(name) is not None}
    if len(set(prompts.values())) > 1:
        raise InputError(
            f"Fields of a pass have as many prompts each; got {', '.join(f'{n} {c}' for n, c in prompts.items())}."
        )
    for mask, ids in (("attention_mask", "input_ids"), ("decoder_attention_mask", "decoder_input_ids")):
        one, other = fields.get(mask), fields.get(ids)
        if one is not None and other is not None and one.ndim == 2 and one.shape != other.shape:
            raise InputError(
                f"{mask} has the shape {tuple(one.shape)} and {ids} {tuple(other.shape)}; they are the same."
            )


def check_mode(hf: PreTrainedModel) -> None:
    """Warn of a host in training mode, as a trainer leaves it; the mode stays as it is.

    Args:
        hf: the host.
    """
    if hf.training:
        warnings.warn(
            "This model is in training mode, in which dropout makes every pass another; call `model.eval()` first.",
            UserWarning,
            stacklevel=4,
        )
