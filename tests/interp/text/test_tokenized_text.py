"""The most tokens of a text: what was asked for, what a tokenizer states, and what is neither."""

from types import SimpleNamespace
from typing import Any

import pytest

from interp.errors import InputError
from interp.text.tokenized_text import length_limit


@pytest.mark.parametrize("asked", [0, -1, "3", 2.5, True, 9])
def test_a_length_that_cannot_be_asked_for(asked: Any) -> None:
    with pytest.raises(InputError, match=r"are from 1 to 8, .* got"):
        length_limit(None, 8, asked)


@pytest.mark.parametrize("stated", ["x", -5, 1, 0, True, float("nan"), None, [512]])
def test_a_length_that_no_tokenizer_can_state(stated: object) -> None:
    tokenizer: Any = SimpleNamespace(model_max_length=stated)
    assert length_limit(tokenizer, None, 5) == 5
    with pytest.raises(InputError, match=r"states model_max_length = .* a number of at least 2"):
        length_limit(tokenizer, None, None)


@pytest.mark.parametrize(
    ("stated", "positions", "limit"), [(2, None, 2), (128.0, None, 128), (10**30, None, 512), (float("inf"), 64, 64)]
)
def test_the_limit_is_what_is_stated_within_the_positions(stated: float, positions: int | None, limit: int) -> None:
    tokenizer: Any = SimpleNamespace(model_max_length=stated)
    assert length_limit(tokenizer, positions, None) == limit
