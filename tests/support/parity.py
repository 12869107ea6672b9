"""How far two tensors are apart, and the lengths at which a decoder's position buckets differ."""

from torch import Tensor

DECODER_LENGTHS = (1, 2, 9, 17, 33, 130)


def relative_gap(got: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest magnitude wanted."""
    return float((got - wanted).abs().max() / wanted.abs().max())
