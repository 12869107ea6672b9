"""A text that a model wrote says all that it wrote, and is read back as the same tokens."""

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from interp import HookedEncoderDecoder
from interp.text.tokenized_text import describe_generated, tokenize
from tests.support import zoo_tokenizers as made

SENTINELS = "<extra_id_0> cat <extra_id_1>"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda folder: made.t5(folder, special=("<sep>",)), "<extra_id_0> cat <sep> dog <extra_id_1>"),
        (made.t5, "<extra_id_0>"),
        (made.mt5, SENTINELS),
        (made.byt5, SENTINELS),
        (made.t5_without_json, SENTINELS),
        (made.pegasus, "The <mask_1> cat"),
        (lambda folder: made.nllb(folder, "eng_Latn", "deu_Latn"), "The cat"),
        (lambda folder: made.mbart50(folder, "en_XX", "de_DE"), "The cat"),
        (lambda folder: made.m2m100(folder, "en", "de"), "The cat"),
        (lambda folder: made.plbart(folder, "en_XX", "java"), "The cat"),
        (made.whisper, "The cat"),
    ],
)
def test_a_written_text_keeps_what_has_content_and_no_marks(
    make: Callable[[Path], object], text: str, tmp_path: Path
) -> None:
    make(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    eos = tokenizer.eos_token_id
    given = tokenize(text, tokenizer, eos, "", "target")
    written = describe_generated(given.ids, tokenizer, eos)
    assert written.text.replace(" ", "") == text.replace(" ", "")
    assert tokenize(written.text, tokenizer, eos, "", "target").ids == given.ids
    assert (written.words, written.category_of_token) == (given.words, given.category_of_token)


def test_padding_is_no_text(bundled: HookedEncoderDecoder) -> None:
    tokenizer = bundled.tokenizer
    ids = tokenizer("<extra_id_0> cat").input_ids
    written = describe_generated([*ids, tokenizer.pad_token_id], tokenizer, ids[-1])
    assert written.text == "<extra_id_0> cat"


@pytest.mark.parametrize(
    "make",
    [
        made.t5,
        made.mt5,
        made.t5_without_json,
        made.pegasus,
        lambda folder: made.nllb(folder, "eng_Latn", "deu_Latn"),
        lambda folder: made.mbart50(folder, "en_XX", "de_DE"),
        lambda folder: made.m2m100(folder, "en", "de"),
        lambda folder: made.plbart(folder, "en_XX", "java"),
    ],
)
def test_the_unknown_token_is_told_and_read_again(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    eos, cat = tokenizer.eos_token_id, tokenize("The cat", tokenizer, tokenizer.eos_token_id, "", "target").ids[:-1]
    written = describe_generated([*cat, tokenizer.unk_token_id, *cat, eos, tokenizer.pad_token_id], tokenizer, eos)
    assert tokenizer.unk_token in written.text
    assert tokenizer.eos_token not in written.text
    assert tokenizer.pad_token not in written.text
    assert tokenizer.unk_token_id in tokenize(written.text, tokenizer, eos, "", "target").ids


def test_the_answer_to_a_gap_is_printed(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(["The <extra_id_0> sat on the <extra_id_1>."])
    text = batch.target_texts[0]
    assert text.text.startswith("<extra_id_0>")
    assert bundled.batch(["The cat."], [text.text]).target_texts[0].ids == text.ids
