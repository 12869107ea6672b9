"""The zoo itself: every animal is what it says it is, by plain transformers."""

import json

import pytest

from tests.support.zoo import ANIMALS, GENERATORS, OTHERS, Home, reference

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")


@pytest.mark.parametrize("name", GENERATORS)
def test_an_animal_is_what_it_says(name: str, home: Home) -> None:
    animal = ANIMALS[name]
    model, tokenizer = reference(animal, home(name))
    # Marks that a tokenizer in Python keeps beside its vocabulary.
    marks = {} if tokenizer.is_fast else getattr(tokenizer, "lang_code_to_id", {})
    codes = [code for code in marks.values() if code >= len(tokenizer)]
    rows = model.get_input_embeddings().weight.shape[0]
    assert rows - len(tokenizer) - len(codes) == animal.surplus
    own = model.get_decoder().get_input_embeddings()
    assert (model.get_output_embeddings().weight.data_ptr() == own.weight.data_ptr()) == animal.tied
    encoder = getattr(model.get_encoder(), "text_model", model.get_encoder())
    layers = (stack.block if hasattr(stack, "block") else stack.layers for stack in (encoder, model.get_decoder()))
    assert tuple(map(len, layers)) == animal.layers
    assert (tokenizer.model_max_length if tokenizer.model_max_length < 10**9 else None) == animal.limit
    first, last = model.generation_config.forced_bos_token_id, model.generation_config.forced_eos_token_id
    assert (first if animal.forced[0] == first else tokenizer.convert_ids_to_tokens(first), last) == animal.forced


@pytest.mark.parametrize("name", OTHERS)
def test_another_head_is_named_in_the_configuration(name: str, home: Home) -> None:
    config = json.loads((home(name) / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [ANIMALS[name].refused]
