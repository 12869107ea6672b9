"""Hooks are a list of pairs; anything else is one sentence."""

from typing import Any

import pytest
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch

NAME = "decoder.1.hook_resid_pre"


def note(tensor: Tensor, hook: HookPoint) -> None:
    hook.ctx["seen"] = tensor.shape


@pytest.mark.parametrize(
    "pairs", [(NAME, note), [(NAME,)], [(note, NAME)], [NAME], NAME, {NAME: note}, None, note], ids=str
)
def test_what_are_no_pairs_is_refused(tiny_t5: HookedEncoderDecoder, pairs: Any) -> None:
    with pytest.raises(InputError, match="Hooks are a list of pairs"):
        tiny_t5.run_with_hooks(random_batch(tiny_t5), pairs)


@pytest.mark.parametrize("pairs", [[(NAME, note)], ((NAME, note),), [[NAME, note]], iter([(NAME, note)])])
def test_pairs_in_any_sequence_are_taken(tiny_t5: HookedEncoderDecoder, pairs: Any) -> None:
    batch = random_batch(tiny_t5)
    point = tiny_t5.hook_points()[NAME]
    point.ctx.clear()
    tiny_t5.run_with_hooks(batch, pairs)
    assert point.ctx.pop("seen")[:2] == batch.labels.shape
