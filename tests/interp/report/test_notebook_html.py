"""What objects show in a notebook: all of what matters, escaped, small, and without scripts or addresses."""

import pytest
import torch

from analyses.logit_attribution.attribute import explain
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import notebook_html
from tests.support.hostile import TEXTS
from tests.support.models import random_batch
from tests.support.parsed_html import Parsed


def test_tables_have_headings_and_a_caption() -> None:
    parsed = Parsed(notebook_html.table("Heads", ("head", "mass"), [("XL0H1", 0.123456), ("XL0H2", 2)]))
    assert parsed.texts == ["Heads", "head", "mass", "XL0H1", "0.1235", "XL0H2", "2"]
    assert (parsed.tags.count("th"), parsed.tags.count("td"), parsed.tags.count("caption")) == (4, 2, 1)


def test_hostile_texts_are_shown_and_not_obeyed() -> None:
    parsed = Parsed(notebook_html.table(TEXTS[0], TEXTS, [TEXTS]) + notebook_html.tokens(TEXTS, TEXTS))
    assert set(parsed.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "span"}
    assert not any("\u202e" in text for text in parsed.texts)
    assert max(map(len, parsed.texts)) <= 80


def test_tokens_are_tinted_by_category() -> None:
    markup = notebook_html.tokens(("▁a", "b"), ("content", "eos"))
    assert Parsed(markup).texts == ["·a", "b"]
    assert markup.count("transparent") == 0
    assert markup.count('title="content"') == 1


def test_a_model_shows_its_facts(tiny_t5: HookedEncoderDecoder) -> None:
    texts = Parsed(tiny_t5._repr_html_()).texts
    assert texts[texts.index("n_decoder_layers") + 1] == "3"
    assert repr(tiny_t5) in texts


def test_a_cache_shows_every_kind_of_activation_once(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    texts = Parsed(cache._repr_html_()).texts
    row = texts.index("decoder.{layer}.cross_attn.hook_pattern")
    assert texts[row + 1] == "3"
    assert texts[row + 2] == "batch head query key"
    assert texts.count("decoder.{layer}.cross_attn.hook_pattern") == 1
    assert "unembed.hook_out" in texts


def test_batches_and_generations_show_their_tokens(tiny_byt5: HookedEncoderDecoder) -> None:
    batch = tiny_byt5.batch(["ab <b>"] * 9, ["c"] * 9)
    markup = batch._repr_html_()
    texts = Parsed(markup).texts
    assert texts.count("<") == 8
    assert texts[-1].strip() == "1 more"
    assert "given" in texts[1]
    generation = tiny_byt5.generate(["ab"], max_new_tokens=3)
    shown = generation._repr_html_()
    probability = generation.logits[0, 0].double().softmax(-1)[batch_label(generation)]
    assert f"probability {float(probability):.3f}" in shown


def batch_label(generation: object) -> int:
    return int(generation.batch.labels[0, 0])  # type: ignore[attr-defined]


@pytest.mark.parametrize("top", [10])
def test_an_explanation_shows_components_and_sources(bundled: HookedEncoderDecoder, top: int) -> None:
    with torch.no_grad():
        found = explain(bundled, "translate English to German: The dog is running.")
    texts = Parsed(found._repr_html_()).texts
    assert str(found.components["component"][0]) in texts
    assert str(found.components["component"][top]) not in texts
    assert [name for name in ("embedding", "heads", "MLPs") if name in texts] == ["embedding", "heads", "MLPs"]
    assert any("leads" in text for text in texts)
