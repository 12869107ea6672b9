"""What is given as texts, and as a limit, when a model reads and writes: one sentence for what is neither."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder

TAKERS: dict[str, Callable[[HookedEncoderDecoder, Any], object]] = {
    "batch": lambda model, given: model.batch(given, max_new_tokens=2),
    "targets": lambda model, given: model.batch(["a", "b"], given),
    "prefixes": lambda model, given: model.batch(["a", "b"], ["a", "b"], given),
    "unanswered": lambda model, given: model.unanswered(given),
    "generate": lambda model, given: model.generate(given, max_new_tokens=2),
    "target_prefix": lambda model, given: model.generate(["a", "b"], target_prefix=given),
}
LIMITED: dict[str, Callable[[HookedEncoderDecoder, Any], object]] = {
    "batch": lambda model, most: model.batch("a", max_new_tokens=most),
    "ids": lambda model, most: model.batch(ids=[[5, 6]], max_new_tokens=most),
    "generate": lambda model, most: model.generate("a", max_new_tokens=most),
    "write": lambda model, most: model.write(model.unanswered(["a"]), max_new_tokens=most),
}


def kind_of(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("given", [{"a": "a", "b": "b"}, {"a", "b"}, frozenset("ab"), b"ab", 5], ids=kind_of)
def test_what_is_no_list_of_texts(tiny_byt5: HookedEncoderDecoder, taker: str, given: object) -> None:
    with pytest.raises(InputError, match=f"as a list of them; got a {type(given).__name__}"):
        TAKERS[taker](tiny_byt5, given)


def test_of_a_table_one_column_is_the_list_of_texts(tiny_byt5: HookedEncoderDecoder) -> None:
    table = pd.DataFrame({"source": ["a", "b"]})
    with pytest.raises(InputError, match="got a DataFrame, of which one column is to be given"):
        tiny_byt5.batch(table)
    assert len(tiny_byt5.batch(table["source"]).source_texts) == 2


@pytest.mark.parametrize("taker", sorted(TAKERS.keys() - {"prefixes"}))
@pytest.mark.parametrize("text", [5, None, b"a", {"a"}, ["a", 5]], ids=kind_of)
def test_what_is_no_text(tiny_byt5: HookedEncoderDecoder, taker: str, text: object) -> None:
    with pytest.raises(InputError, match="A text is given whole, in quotes, or as the list of its words"):
        TAKERS[taker](tiny_byt5, ["a", text])


@pytest.mark.parametrize("taker", sorted(TAKERS.keys() - {"prefixes"}))
def test_a_nul_is_no_text_as_in_files(tiny_byt5: HookedEncoderDecoder, taker: str) -> None:
    with pytest.raises(InputError, match="holds a NUL"):
        TAKERS[taker](tiny_byt5, ["a", "b\0c"])


@pytest.mark.parametrize("taker", LIMITED)
@pytest.mark.parametrize("most", [0, -1, "3", 2.5, True], ids=str)
def test_a_limit_that_is_none(tiny_byt5: HookedEncoderDecoder, taker: str, most: object) -> None:
    with pytest.raises(InputError, match=r"max_new_tokens.* a whole number from 1"):
        LIMITED[taker](tiny_byt5, most)


def test_a_limit_is_kept(tiny_byt5: HookedEncoderDecoder) -> None:
    assert tiny_byt5.generate("a", max_new_tokens=1).batch.labels.shape == (1, 1)
    assert tiny_byt5.generate("a", max_new_tokens=np.int64(3)).batch.labels.shape[1] <= 3  # type: ignore[arg-type]
