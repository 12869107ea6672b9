"""Rows of the table: what each is, and which stand for a word."""

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.vocabulary import KINDS, Vocabulary, spell, surface


def test_rows_of_the_bundled_model(bundled: HookedEncoderDecoder) -> None:
    vocabulary = Vocabulary.of(bundled.tokenizer, bundled.cfg.d_vocab + 28)
    assert vocabulary.of_kind("sentinel").sum() == 100
    assert vocabulary.of_kind("unused").sum() == 28
    assert {vocabulary.pieces[row] for row in np.flatnonzero(vocabulary.kinds == KINDS.index("special"))} == {
        "<pad>",
        "</s>",
        "<unk>",
    }
    assert vocabulary.ordinary.sum() + 100 + 28 + 3 == bundled.cfg.d_vocab + 28
    assert vocabulary.ordinary[bundled.tokenizer.convert_tokens_to_ids("▁chair")]


def test_unigram_scores_are_log_probabilities_of_pieces_alone(bundled: HookedEncoderDecoder) -> None:
    vocabulary = Vocabulary.of(bundled.tokenizer, bundled.cfg.d_vocab)
    assert np.isnan(vocabulary.log_probabilities[~vocabulary.ordinary]).all()
    total = np.exp(vocabulary.log_probabilities[vocabulary.ordinary]).sum()
    # The vocabulary grew by whole words after its unigram model was fitted, so the sum is a little above 1.
    assert total == pytest.approx(1, abs=0.1)
    common, rare = (bundled.tokenizer.convert_tokens_to_ids(piece) for piece in ("▁a", "▁chair"))
    assert vocabulary.log_probabilities[common] > vocabulary.log_probabilities[rare]


def test_a_tokenizer_without_scores_has_none(tiny_byt5: HookedEncoderDecoder) -> None:
    vocabulary = Vocabulary.of(tiny_byt5.tokenizer, tiny_byt5.cfg.d_vocab)
    assert np.isnan(vocabulary.log_probabilities).all()
    assert vocabulary.of_kind("sentinel").sum() == 125


def test_spelling_tells_single_pieces_from_several(bundled: HookedEncoderDecoder) -> None:
    chair, shelf = spell("chair", bundled.tokenizer), spell("shelf", bundled.tokenizer)
    assert chair.single
    assert chair.pieces == ("▁chair",)
    assert shelf.pieces == ("▁she", "lf")
    assert not shelf.single


def test_spelling_takes_no_end_of_sentence(tiny_byt5: HookedEncoderDecoder) -> None:
    assert spell("cat", tiny_byt5.tokenizer).pieces == ("c", "a", "t")


def test_surfaces_of_one_word_are_one() -> None:
    assert surface("▁Chair") == surface("chair") == surface("Ġchair") == "chair"
    assert surface("▁") == "▁"


@pytest.mark.parametrize(("word", "message"), [(" ", "An empty word"), ("椅子", "cannot spell '椅子'")])
def test_words_without_pieces_are_refused(bundled: HookedEncoderDecoder, word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        spell(word, bundled.tokenizer)


def test_pieces_that_steer_a_text_are_none_even_where_the_files_do_not_say_so() -> None:
    pieces = {
        "<pad>": 0,
        "<s>": 1,
        "</s>": 2,
        "<blank>": 3,
        "tgt:</s>": 4,
        "tgt:.": 5,
        "cat": 6,
        "<br>": 7,
        "s": 8,
        "<0x0A>": 9,
    }
    inner = Tokenizer(WordLevel(pieces, "<pad>"))
    vocabulary = Vocabulary.of(PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>"), len(pieces))
    assert vocabulary.ordinary.tolist() == [False] * 5 + [True] * 5
    assert vocabulary.of_kind("special").tolist() == [True] * 5 + [False] * 5
