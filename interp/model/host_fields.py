"""What a host's forward pass is given: the fields of a batch, or Hugging Face's by name, checked; and the mode it is in."""

import warnings
from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.text.batch import Batch

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
            or a token given by name is none of the model's.
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
        _check_tokens(fields, cfg.d_vocab)
    return fields


def _check_tokens(fields: Mapping[str, Tensor], d_vocab: int) -> None:
    """Refuse tokens that a table has no row for: on a processor the host says less, on a GPU it ends the process."""
    for name in ("input_ids", "decoder_input_ids", "labels"):
        ids = fields.get(name)
        if not isinstance(ids, Tensor) or not ids.numel():
            continue
        known = (ids >= 0) & (ids < d_vocab)
        if name == "labels":
            known |= ids == _LEFT_OUT
        if not bool(known.all()):
            raise InputError(f"{name} has the id {int(ids[~known][0])}; ids are from 0 to {d_vocab - 1}.")


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
