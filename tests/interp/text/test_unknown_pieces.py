"""Texts that a tokenizer hardly knows are refused, and those it knows in part are told."""

import pytest
from transformers import PreTrainedTokenizerBase

from analyses.core.observing import make_batches, no_progress
from analyses.logit_attribution.attribute import explain, inexact
from analyses.runs.prompt_section import prompt_section
from analyses.runs.read_prompts import ReadPrompts
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.text.tokenized_text import tokenize
from interp.text.unknown_pieces import UnknownTally, check_known, unknown_share

SNOW = "☃ ☂ ☀ ☁"


def share(tokenizer: PreTrainedTokenizerBase, *texts: str) -> float:
    return unknown_share([tokenize(text, tokenizer, 1) for text in texts], tokenizer)


def test_the_share_is_that_of_the_pieces_of_text(bundled: HookedEncoderDecoder) -> None:
    tokenizer = bundled.tokenizer
    text = f"translate English to German: A cat {SNOW}"
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(f"A cat {SNOW}").input_ids[:-1])
    assert pieces.count("<unk>") == 4
    spoken = [piece for piece in pieces if piece != "▁"]
    assert share(tokenizer, text) == pytest.approx(4 / len(spoken))
    assert share(tokenizer, "A cat.") == 0
    assert unknown_share([tokenize(text, tokenizer, 1)], None) == 0


def test_texts_in_another_script_are_refused_and_named(bundled: HookedEncoderDecoder) -> None:
    known, foreign = (
        tokenize(text, bundled.tokenizer, 1) for text in ("A cat sat.", "translate English to German: 猫犬")
    )
    check_known([known, foreign], bundled.tokenizer)
    with pytest.raises(InputError, match="does not know 100% of the pieces of these texts"):
        check_known([foreign], bundled.tokenizer)
    prompts = [Prompt("1", "猫犬鳥魚"), Prompt("2", "☃☂☀☁ A")]
    with pytest.raises(InputError, match=r"does not know 67% of the pieces .* for example in '猫犬鳥魚'"):
        make_batches(bundled, prompts, 2, no_progress)


@pytest.mark.parametrize("prefix", ["", "translate English to German: "])
def test_a_corpus_is_counted_from_ids_as_texts_are(bundled: HookedEncoderDecoder, prefix: str) -> None:
    """Neither the prefix nor blanks before unknown characters hide that nothing is known."""
    tokenizer = bundled.tokenizer
    for text in ("محمد فاطمة", f"A cat {SNOW} sat.", "猫犬 A", "A cat sat."):
        expected = share(tokenizer, prefix + text)
        tally = UnknownTally(tokenizer)
        for _ in range(3):
            tally.add(tokenizer(prefix + text).input_ids, prefix + text, prefix)
        if expected <= 0.5:
            tally.check()
            continue
        with pytest.raises(InputError, match=f"does not know {expected:.0%} of the pieces"):
            tally.check()
    UnknownTally(tokenizer).check()


def test_a_twentieth_is_said_in_the_report_and_by_attribute(bundled: HookedEncoderDecoder) -> None:
    source = "translate English to German: The cat sees a ☃ and a ☂."
    prompt = Prompt("1", source)
    batches = make_batches(bundled, [prompt], 1, no_progress)
    found = share(bundled.tokenizer, source)
    assert found > 0.05
    section = prompt_section([prompt], ReadPrompts.of(batches), unknown=found)
    assert any("does not know" in sentence for sentence in section.findings)
    assert not any(
        "does not know" in s for s in prompt_section([prompt], ReadPrompts.of(batches), unknown=0.05).findings
    )
    told = explain(bundled, source)
    assert told.unknown == pytest.approx(found)
    assert "does not know" in inexact(told)[0]


def test_the_prompts_say_whose_function_words_count(bundled: HookedEncoderDecoder) -> None:
    prompts = [Prompt("1", "translate English to German: The cat."), Prompt("2", "Katze")]
    batch = bundled.batch([prompt.source for prompt in prompts], ["a", "b"])
    section = prompt_section(prompts, ReadPrompts.of([batch]))
    lengths = sorted(len(text.ids) for text in batch.source_texts)
    assert f"with {lengths[0]} to {lengths[1]} source tokens and 2 target tokens;" in section.findings[0]
    limits = " ".join(section.limits)
    assert "English in 1 of 2 sources; in 1 of 2 the words tell no language" in limits
