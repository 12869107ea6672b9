"""Encoder-decoders that are refused, each with what is missing: what the host would have to do before they can be read.

Checked against transformers 5.23; a test asks the installed release again, so that a family that has become visible is noticed.
"""

from collections.abc import Mapping
from types import MappingProxyType

_BYPASS = (
    "the attention of its encoder does not go through the host's registry of attention functions (AttentionInterface) in "
    "transformers up to 5.23, so no pattern of the encoder could be read or edited; a release in which it does is needed"
)
_NO_DOOR = (
    "none of its attention goes through the host's registry of attention functions (AttentionInterface) in transformers up to "
    "5.23, so no pattern could be read or edited; a release in which it does is needed"
)
_TWO_MODELS = (
    "it joins two models of other kinds (config.encoder.model_type, config.decoder.model_type), each with modules, norms and "
    "positions of its own and without one vocabulary; only stacks that one class of the host builds are in the table"
)

HALF_VISIBLE: Mapping[str, str] = MappingProxyType({
    "longt5": _BYPASS,
    "pegasus_x": _BYPASS,
    "bigbird_pegasus": _BYPASS,
    "led": _NO_DOOR,
    "fsmt": _NO_DOOR,
    "prophetnet": _NO_DOOR,
    "mvp": _NO_DOOR,
    "nllb-moe": (
        "its router in transformers up to 5.23 encodes a mask of zeros and ones as if it held numbers of experts, so only "
        "experts 0 and 1 are ever called and what is read would not be the trained model; a release that calls the expert "
        "with the largest probability is needed (dense NLLB is m2m_100)"
    ),
    "encoder-decoder": _TWO_MODELS,
    "vision-encoder-decoder": _TWO_MODELS,
    "speech-encoder-decoder": _TWO_MODELS,
})
"""The host's `config.model_type` -> why models of it are refused."""
