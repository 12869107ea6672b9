"""Weights in float64 for a while: for sums of many terms that are claimed to be exact."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from interp.model.hooked_model import HookedEncoderDecoder


@contextmanager
def in_float64(model: HookedEncoderDecoder) -> Iterator[torch.dtype]:
    """The type that passes in the block have: float64 for a model in float32, where its weights lie on a device that has it.

    Its own tensors are set aside and put back, so that not one bit changes. Weights of narrower types stay, because theirs is the
    model that is asked about, and so do those that are not in memory.

    Args:
        model: the model; no other thread may use it meanwhile.
    """
    own = [one for one in (*model.hf.parameters(), *model.hf.buffers()) if one.is_floating_point()]
    if model.hf.dtype != torch.float32 or any(one.device.type in ("meta", "mps") for one in own):
        yield model.hf.dtype
        return
    before = [one.data for one in own]
    try:
        for one in own:
            one.data = one.data.double()
        yield torch.float64
    finally:
        for one, values in zip(own, before, strict=True):
            one.data = values
