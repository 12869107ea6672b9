"""Texts of a model and its twins are tokenized once, and never taken for those of another tokenizer or language."""

import copy

import pytest
import torch

from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.text_memory import remembered, remembering

TEXT = "translate English to German: A dog sleeps."


def test_a_text_is_made_once_for_equal_tokenizers_over_blocks(bundled: HookedEncoderDecoder) -> None:
    twin = copy.deepcopy(bundled.tokenizer)
    fresh = bundled.batch([TEXT], ["Ein Hund schläft."])
    with remembering(bundled.tokenizer):
        first = bundled.batch([TEXT], ["Ein Hund schläft."])
        again = bundled.batch([TEXT], ["Ein Hund schläft."])
    assert first.source_texts == fresh.source_texts
    assert again.target_texts[0] is first.target_texts[0] is not fresh.target_texts[0]
    with remembering(twin):
        assert remembered(twin, ("key",), lambda: [1]) is remembered(twin, ("key",), lambda: [2])
        assert remembered(bundled.tokenizer, ("key",), lambda: [3]) == [3]
    assert remembered(twin, ("key",), lambda: [4]) == [4]


def test_another_side_prefix_or_tokenizer_is_another_text(bundled: HookedEncoderDecoder) -> None:
    other = copy.deepcopy(bundled.tokenizer)
    other.add_tokens(["dog"])
    with remembering(bundled.tokenizer):
        ids = bundled.batch([TEXT], [TEXT])
        assert ids.source_texts[0].prefix != ids.target_texts[0].prefix
        assert bundled.batch([TEXT], [TEXT], prefixes=[""]).source_texts[0].prefix == ""
        remembered(bundled.tokenizer, ("key",), lambda: 1)
    with remembering(other):
        assert remembered(other, ("key",), lambda: 2) == 2


@pytest.mark.parametrize("chosen", [(True, False, True), (False, True, False)])
def test_some_prompts_of_a_batch_keep_their_rows(bundled: HookedEncoderDecoder, chosen: tuple[bool, ...]) -> None:
    sources = [TEXT, f"{TEXT} It is old.", "translate English to French: A cat."]
    batch = bundled.batch(sources, ["Ein Hund.", "Ein alter Hund.", "Un chat."])
    kept = batch.prompts(torch.tensor(chosen))
    places = [place for place, keep in enumerate(chosen) if keep]
    assert torch.equal(kept.input_ids, batch.input_ids[places])
    assert torch.equal(kept.labels, batch.labels[places])
    assert [text.text for text in kept.source_texts] == [sources[place] for place in places]
    assert len(kept) == len(places)
