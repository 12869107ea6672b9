"""The frames that a token comes from: what the cross heads write into a logit, split over the frames they read.

Exact while patterns and norm scales are held, as in `source_attribution`: over all frames it adds up to what the cross heads
contribute. A frame's vector has seen all others through the encoder, so a frame here is a place of the memory, not a piece of
the sound alone.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.direct_logit_attribution import Decomposition
from interp.attribution.source_attribution import source_contributions
from interp.audio.frames import FrameSpan
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder


def frame_contributions(
    model: HookedEncoderDecoder, cache: ActivationCache, decomposition: Decomposition
) -> Float[Tensor, "batch layer head target source"]:
    """What every cross head takes from every frame, for every decoder row; the bias of the values is in it.

    Args:
        model: a model of any family.
        cache: with the activations of `decomposition_hooks`, and `hook_v` of cross-attention.
        decomposition: of the read-out that is split further.
    """
    parts = [
        source_contributions(model, cache, "cross", layer, direction)
        for layer, direction in enumerate(decomposition.cross_directions)
    ]
    return torch.stack(parts, 1)


def by_span(
    contributions: Float[Tensor, "*leading source"], spans: Sequence[FrameSpan]
) -> Float[Tensor, "*leading span"]:
    """The same, summed over the frames of every span.

    Args:
        contributions: with frames on the last axis.
        spans: of frames (`interp.audio.spans_of`).
    """
    return torch.stack([contributions[..., one.start : one.stop].sum(-1) for one in spans], -1)
