"""What goes into a forward pass is checked: tokens that no table has, and a host in training mode."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.array_types import unchecked
from tests.support.models import random_batch, tiny

PASSES: dict[str, Callable[[HookedEncoderDecoder, Any], object]] = {
    "call": lambda model, batch: model(batch),
    "cache": lambda model, batch: model.run_with_cache(batch),
    "gradients": lambda model, batch: model.run_with_cache(batch, "encoder.hook_embed", gradients=True),
    "hooks": lambda model, batch: model.run_with_hooks(batch, []),
    "generate": lambda model, batch: model.generate(batch, max_new_tokens=2),
}


@pytest.mark.parametrize("name", ["input_ids", "decoder_input_ids", "labels"])
@pytest.mark.parametrize("token", [-1, 61, 99999])
def test_a_token_that_no_table_has_is_named(tiny_t5: HookedEncoderDecoder, name: str, token: int) -> None:
    fields = {"input_ids": torch.tensor([[5, 6]]), "decoder_input_ids": torch.tensor([[0, 7]])}
    if name == "labels":
        fields["labels"] = fields.pop("decoder_input_ids")
    fields[name] = torch.tensor([[5, token]])
    with pytest.raises(InputError, match=f"{name} has the id {token}; ids are from 0 to 60"):
        tiny_t5(fields)


@pytest.mark.parametrize("name", PASSES)
def test_training_mode_is_warned_of_and_left_as_it_is(name: str) -> None:
    model = tiny("t5")
    batch = random_batch(model)
    model.hf.train()
    with pytest.warns(UserWarning, match="training mode"):
        PASSES[name](model, batch)
    assert model.hf.training
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PASSES[name](model, batch)


def test_gradients_within_inference_mode_are_refused(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    with torch.inference_mode(), pytest.raises(InputError, match="inference_mode"):
        tiny_t5.run_with_cache(batch, gradients=True)
    with torch.no_grad():
        assert tiny_t5.run_with_cache(batch, gradients=True)[0].requires_grad


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "fractions": ({"input_ids": torch.ones(2, 3)}, "whole numbers"),
    "one text": ({"input_ids": torch.ones(3, dtype=torch.int64)}, "whole numbers"),
    "nothing": ({"input_ids": torch.ones(2, 0, dtype=torch.int64)}, "at least one"),
    "no labels": ({"labels": torch.ones(2, 0, dtype=torch.int64), "decoder_input_ids": None}, "at least one"),
    "lists": ({"input_ids": [[1, 2], [3, 4]]}, "is a tensor of torch; got a list"),
    "other prompts": ({"decoder_input_ids": torch.ones(1, 2, dtype=torch.int64)}, "as many prompts"),
    "other mask": ({"attention_mask": torch.ones(2, 1)}, r"attention_mask has the shape \(2, 1\)"),
    "one mask for all": ({"attention_mask": torch.ones(1, 3)}, "as many prompts"),
    "way": ({"use_cache": True}, "leave out use_cache"),
    "form": ({"return_dict": False}, "leave out return_dict"),
}


@pytest.mark.parametrize("name", WRONG)
def test_fields_that_are_no_pass_are_named(tiny_t5: HookedEncoderDecoder, name: str) -> None:
    changes, message = WRONG[name]
    fields: dict[str, Any] = {
        "input_ids": torch.ones(2, 3, dtype=torch.int64),
        "decoder_input_ids": torch.ones(2, 2, dtype=torch.int64),
        **changes,
    }
    with unchecked(), pytest.raises(InputError, match=message):
        tiny_t5({key: value for key, value in fields.items() if value is not None})
