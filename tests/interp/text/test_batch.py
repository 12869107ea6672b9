"""Texts to batches: masks from lengths on both sides, words, categories, generated targets, and what is refused."""

import pytest
import torch

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import category_counts
from interp.text.tokenized_text import Text
from interp.text.words import CATEGORIES, NO_WORD

SOURCES = ["translate English to German: The dog's house isn't big, is it?", "translate English to French: A cat sat."]
TARGETS = ["Das Haus ist groß.", "Un chat."]


def named(text: Text) -> list[tuple[str, str]]:
    """(piece, category) of every token."""
    return [(piece, CATEGORIES[c]) for piece, c in zip(text.pieces, text.category_of_token, strict=True)]


def test_a_batch_is_what_the_tokenizer_of_the_host_makes(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(SOURCES, TARGETS)
    theirs = bundled.tokenizer(SOURCES, padding=True, return_tensors="pt")
    assert torch.equal(batch.input_ids, theirs.input_ids)
    assert torch.equal(batch.attention_mask, theirs.attention_mask)
    labels = bundled.tokenizer(TARGETS, padding=True, return_tensors="pt")
    assert torch.equal(batch.labels, labels.input_ids.masked_fill(labels.attention_mask == 0, -100))
    assert torch.equal(batch.decoder_attention_mask, labels.attention_mask)
    assert batch.decoder_input_ids[:, 0].eq(bundled.cfg.decoder_start_token_id).all()
    inside = batch.decoder_attention_mask[:, 1:].bool()
    assert torch.equal(batch.decoder_input_ids[:, 1:][inside], batch.labels[:, :-1][inside])
    assert (batch.target_origin, batch.unfinished, len(batch)) == ("given", (), 2)


def test_a_batch_unpacks_into_the_host(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(SOURCES, TARGETS)
    with torch.no_grad():
        outputs = bundled.hf(**batch)
    torch.testing.assert_close(outputs.logits, bundled(batch), atol=2e-5, rtol=1e-5)
    assert float(outputs.loss) > 0
    assert list(batch) == ["input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask", "labels"]
    with pytest.raises(KeyError, match="A batch has no field 'input'; its tensors are input_ids"):
        batch["input"]


def test_missing_targets_are_generated_greedily_and_said_to_be(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(SOURCES)
    assert batch.target_origin == "generated"
    assert batch.unfinished == ()
    with torch.no_grad():
        best = bundled(batch).argmax(-1)
    rows = batch.target_mask
    assert torch.equal(best[rows], batch.labels[rows]), "under teacher forcing every greedy token is the best one"
    for index, text in enumerate(batch.target_texts):
        assert text.ids[-1] == bundled.cfg.eos_token_id
        assert text.text == bundled.tokenizer.decode(text.ids, skip_special_tokens=True)
        assert batch.decoder_pieces(index)[0] == "<start>"
        assert batch.decoder_pieces(index)[1:] == text.pieces[:-1]


def test_a_generated_target_that_meets_the_limit_is_reported(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(SOURCES, max_new_tokens=3)
    assert batch.unfinished == (0, 1)
    assert batch.labels.shape == (2, 3)


def test_categories_partition_the_source_tokens(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(SOURCES, TARGETS)
    pairs = named(batch.source_texts[0])
    assert [category for _, category in pairs[:5]] == ["prefix"] * 5
    wanted = {
        "▁The": "function",
        "▁dog": "content",
        "▁house": "content",
        ",": "punctuation",
        "</s>": "eos",
        "▁is": "function",
    }
    assert {piece: dict(pairs)[piece] for piece in wanted} == wanted
    counts = category_counts(batch)
    assert counts.sum(1).tolist() == [batch.input_ids.shape[1]] * 2
    assert counts[:, CATEGORIES.index("pad")].tolist() == batch.attention_mask.eq(0).sum(1).tolist()
    assert counts[:, CATEGORIES.index("eos")].tolist() == [1, 1]


def test_tokens_of_one_word_share_its_index(bundled: HookedEncoderDecoder) -> None:
    text = bundled.batch(SOURCES, TARGETS).source_texts[0]
    dogs = [piece for piece, word in zip(text.pieces, text.word_of_token, strict=True) if text.words[word] == "dog's"]
    assert "".join(dogs) == "▁dog's"
    assert text.word_of_token[-1] == NO_WORD


def test_sentinels_have_a_category_of_their_own(bundled: HookedEncoderDecoder) -> None:
    text = bundled.batch(["A <extra_id_0> sat on <extra_id_1>."], ["a"]).source_texts[0]
    pairs = named(text)
    assert [piece for piece, category in pairs if category == "sentinel"] == ["<extra_id_0>", "<extra_id_1>"]
    assert not [piece for piece, category in pairs if category == "prefix"]


def test_a_prefix_may_be_named_by_the_caller(bundled: HookedEncoderDecoder) -> None:
    source = "say it in German: a dog"
    assert "prefix" not in dict(named(bundled.batch([source], ["x"]).source_texts[0])).values()
    text = bundled.batch([source], ["x"], prefixes=["say it in German:"]).source_texts[0]
    assert [piece for piece, category in named(text) if category == "prefix"][-1] == ":"
    assert dict(named(text))["▁dog"] == "content"
    with pytest.raises(InputError, match="does not start with its prefix 'translate:'"):
        bundled.batch([source], ["x"], prefixes=["translate:"])


def test_byte_tokens_belong_to_words_by_their_characters(tiny_byt5: HookedEncoderDecoder) -> None:
    text = tiny_byt5.batch(["translate English to German: Ü 🙂 a-b."], ["ß"]).source_texts[0]
    of_word: dict[str, int] = {}
    for word in text.word_of_token:
        if word != NO_WORD:
            of_word[text.words[word]] = of_word.get(text.words[word], 0) + 1
    assert of_word["Ü"] == 3, "two bytes and the blank before them"
    assert of_word["🙂"] == 5
    assert of_word["a-b"] == 4
    assert [category for _, category in named(text)[:28]] == ["prefix"] * 28
    assert named(text)[-1] == ("</s>", "eos")


def test_one_prefix_for_each_source(bundled: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match="Got 2 sources and 1 prefixes; give one for each source"):
        bundled.batch(["a", "b"], prefixes=["a"])


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_text_longer_than_the_model_was_made_for_is_refused(bundled: HookedEncoderDecoder, side: str) -> None:
    long, short = "dog " * 200, "a dog"
    texts = {"sources": [short, long], "targets": [short, short]}
    if side == "target":
        texts = {"sources": [short, short], "targets": [short, long]}
    with pytest.raises(
        InputError, match=rf"The {side} of prompt 2 has 201 tokens and the limit is 128 .*; shorten or split it"
    ):
        bundled.batch(**texts)


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([], None, "needs at least one source text; got none"),
        (["a", "b"], ["c"], "Got 2 sources and 1 targets; give one for each source"),
        (["a", "  "], None, "An empty text has nothing to analyse"),
        (["a", "b\udcff"], None, "half a surrogate pair"),
        (["a"], ["\ud83d"], "half a surrogate pair"),
        (["a"], [""], "An empty text has nothing to analyse"),
    ],
)
def test_what_is_no_batch_is_refused(
    bundled: HookedEncoderDecoder, sources: list[str], targets: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        bundled.batch(sources, targets)
