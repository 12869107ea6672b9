"""What is no model that writes text, no tokenizer, or not of this model is refused where it is wrapped, in one sentence."""

from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BartModel,
    ByT5Tokenizer,
    T5Config,
    T5EncoderModel,
    T5ForSequenceClassification,
    T5Model,
)

import interp
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import SIZES, tiny, tiny_hf

_BART = {
    "vocab_size": 61,
    "d_model": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 4,
    "decoder_ffn_dim": 4,
}
_BART |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}


@pytest.mark.parametrize("kind", [T5Model, T5EncoderModel, T5ForSequenceClassification])
def test_a_t5_that_writes_no_text_is_named(kind: Any) -> None:
    with pytest.raises(InputError, match=rf"A {kind.__name__} writes no text.*T5ForConditionalGeneration"):
        HookedEncoderDecoder(kind(T5Config(**SIZES)))


@pytest.mark.parametrize("kind", [BartModel, BartForSequenceClassification])
def test_a_bart_that_writes_no_text_is_named(kind: Any) -> None:
    with pytest.raises(InputError, match=rf"A {kind.__name__} writes no text.*BartForConditionalGeneration"):
        HookedEncoderDecoder(kind(BartConfig(**_BART)))


@pytest.mark.parametrize("wrong", [None, "bundled", ByT5Tokenizer(), torch.nn.Linear(2, 2)])
def test_what_is_no_model_of_transformers_is_named(wrong: Any) -> None:
    with pytest.raises(InputError, match=rf"Wrapped are models of transformers; got a {type(wrong).__name__}"):
        HookedEncoderDecoder(wrong)
    with pytest.raises(InputError, match="got a HookedEncoderDecoder"):
        HookedEncoderDecoder(tiny("t5"))  # type: ignore[arg-type]


def test_a_tokenizer_is_one_with_rows_in_the_model() -> None:
    with pytest.raises(InputError, match=r"A tokenizer is one of transformers.*; got a str"):
        HookedEncoderDecoder(tiny_hf("t5"), "google-t5/t5-small")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has 384 tokens and its model only 61 embeddings"):
        HookedEncoderDecoder(tiny_hf("t5"), ByT5Tokenizer())


def test_a_configuration_that_denies_one_of_the_stacks_is_refused() -> None:
    with pytest.raises(InputError, match="is_encoder_decoder=False; supported is True"):
        tiny("t5", is_encoder_decoder=False)


@pytest.mark.parametrize("wrong", [3, None, b"bundled", ["bundled"], tiny_hf("t5")])
def test_a_model_is_loaded_by_its_name(wrong: Any) -> None:
    with pytest.raises(InputError, match=rf"named by `bundled`.*got a {type(wrong).__name__}.*HookedEncoderDecoder\("):
        interp.load(wrong)
