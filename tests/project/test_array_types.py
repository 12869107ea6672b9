"""Shapes of arrays are checked while tests run: in functions, methods and fields that say them, and nowhere else."""

import pytest
import torch
from jaxtyping import TypeCheckError

from interp.circuits.graph import Edge, Port, graph_of
from interp.hooks.attention import of_every_head
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import AttentionWeights, attention_weights
from tests.support.array_types import says_shapes


def test_a_field_of_another_shape_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    own = attention_weights(tiny_t5, "encoder", 0)
    with pytest.raises(TypeCheckError):
        AttentionWeights(own.W_Q, own.W_K, own.W_V, own.W_O.mT)


def test_an_argument_and_a_method_s_argument_of_another_shape_are_refused(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(TypeCheckError):
        tiny_t5.logit_directions(torch.zeros(3))
    with pytest.raises(TypeCheckError):
        tiny_t5.decoder_inputs(torch.zeros(2, 3))


def test_what_says_no_shape_is_left_as_it_was() -> None:
    assert not any(says_shapes(plain) for plain in (Edge, Port, graph_of, of_every_head))
    assert not hasattr(vars(Edge)["node"].fget, "__wrapped__")
