"""What a host's forward pass is given: the fields of a batch, or Hugging Face's by name, checked."""

from collections.abc import Mapping

from torch import Tensor

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.text.batch import Batch


def host_fields(given: Batch | Mapping[str, Tensor], cfg: ModelConfig) -> dict[str, Tensor]:
    """The fields that a host is called with.

    Args:
        given: a batch, or fields by name.
        cfg: the model's facts.

    Returns:
        Names of the host's arguments with their tensors; labels only where no decoder inputs are given.

    Raises:
        InputError: if neither decoder inputs nor labels are given, which are never guessed from the source, or a source is an
            image.
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
    return fields
