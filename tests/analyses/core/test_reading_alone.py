"""A prompt that cannot be used is named as its file names it, wherever it comes in a batch."""

import pytest

from analyses.core.observing import make_batches, no_progress
from analyses.core.reading_alone import read_sources
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt

TOO_LONG = "x" * 600


@pytest.mark.parametrize(("source", "target", "side"), [(TOO_LONG, "a", "source"), ("a", TOO_LONG, "target")])
def test_the_prompt_at_fault_is_named(source: str, target: str, side: str, tiny_byt5: HookedEncoderDecoder) -> None:
    prompts = [Prompt(name, "a boat", "a") for name in ("nine", "two", "five")]
    prompts.insert(2, Prompt("eight", source, target))
    with pytest.raises(InputError, match=f"^Prompt eight: The {side} has 601 tokens and the limit is "):
        make_batches(tiny_byt5, prompts, 16, no_progress)


def test_it_is_named_beyond_the_first_of_the_parts_that_sources_are_read_in(tiny_byt5: HookedEncoderDecoder) -> None:
    prompts = [Prompt(str(number), "a boat") for number in range(1, 20)]
    assert sum(map(len, read_sources(tiny_byt5, prompts))) == len(prompts)
    prompts[17] = Prompt("18", TOO_LONG)
    with pytest.raises(InputError, match=r"^Prompt 18: The source has 601 tokens"):
        list(read_sources(tiny_byt5, prompts))
