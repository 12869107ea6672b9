"""The mean of two models' weights, as one model (Wortsman et al. 2022).

Models that were trained on from the same weights often lie in one basin of the loss, so that what lies between them is a model,
too, and its errors are fewer than either's.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, T5ForConditionalGeneration

from interp.errors import InputError


@dataclass(frozen=True, slots=True)
class Averaged:
    """Weights that a share of the mean is.

    Attributes:
        folder: a checkpoint folder of the same shape.
        share: how much of the mean they are, above 0 and below 1; what is exported is the rest.
    """

    folder: Path
    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise InputError(f"--mean-share is a share above 0 and below 1, got {self.share}. Mend it.")
        if not (self.folder / "model.safetensors").is_file():
            raise InputError(f"There is no model.safetensors in {str(self.folder)!r}. Give a checkpoint folder.")


def average(model: PreTrainedModel, other: Averaged) -> None:
    """Moves a model's weights to the mean with another's.

    Args:
        model: what is changed in place.
        other: the other weights and their share.

    Raises:
        InputError: if the two have not the same parameters.
    """
    second = T5ForConditionalGeneration.from_pretrained(other.folder)
    shapes = [{name: tuple(p.shape) for name, p in one.named_parameters()} for one in (model, second)]
    if shapes[0] != shapes[1]:
        different = sorted(name for name, _ in set(shapes[0].items()) ^ set(shapes[1].items()))
        raise InputError(
            f"The weights in {str(other.folder)!r} have another shape ({different[0]}); a mean is of models of one shape."
        )
    parameters = dict(second.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.lerp_(parameters[name].to(parameter), other.share)
