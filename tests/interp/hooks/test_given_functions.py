"""Hooks are a list of pairs; anything else is one sentence."""

from typing import Any

import pytest
from torch import Tensor

from interp.errors import InputError
from interp.hooks.given_functions import functions_at
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder

NAME = "decoder.1.hook_resid_pre"


def note(tensor: Tensor, hook: HookPoint) -> None:
    hook.ctx["seen"] = tensor.shape


@pytest.mark.parametrize("pairs", [(NAME, note), [(NAME,)], [(note, NAME)], [NAME], NAME, {NAME: note}, None, note])
def test_what_are_no_pairs_is_refused(tiny_t5: HookedEncoderDecoder, pairs: Any) -> None:
    with pytest.raises(InputError, match="Hooks are a list of pairs"):
        functions_at(tiny_t5.hook_points(), pairs)


@pytest.mark.parametrize("pairs", [[(NAME, note)], ((NAME, note),), [[NAME, note]], iter([(NAME, note)])])
def test_pairs_in_any_sequence_are_taken(tiny_t5: HookedEncoderDecoder, pairs: Any) -> None:
    points = tiny_t5.hook_points()
    assert functions_at(points, pairs) == [(points[NAME], note)]


def test_a_filter_names_points_in_forward_order(tiny_t5: HookedEncoderDecoder) -> None:
    found = functions_at(tiny_t5.hook_points(), [("decoder.*.hook_resid_pre", note), (NAME, note)])
    assert [point.name for point, _ in found] == [f"decoder.{layer}.hook_resid_pre" for layer in range(3)] + [NAME]
