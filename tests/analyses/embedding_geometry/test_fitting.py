"""Which words and sentences are asked of a model: English ones of English prompts, else those of the prompts themselves."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from analyses.embedding_geometry.fitting import fit
from analyses.embedding_geometry.measure.word_lists import GROUPS, MIXED
from analyses.embedding_geometry.present.section import present
from analyses.embedding_geometry.settings import FittedSettings, GeometrySettings
from analyses.runs.study import analyse
from interp.model.hooked_model import HookedEncoderDecoder

GERMAN = (
    "Der Hund und die Katze sind nicht in dem Haus, aber der Mann ist da.",
    "Die Frau und das Kind gehen mit dem Hund auf die Straße.",
    "Das Haus ist alt, und die Katze ist auf dem Tisch.",
)
REVIEWS = ("I love this film and the actors.", "The food was cold and the room was not clean.")


def fitted(
    model: HookedEncoderDecoder, sources: Sequence[str], settings: GeometrySettings | None = None
) -> GeometrySettings:
    return fit(model, [model.batch(list(sources), ["x"] * len(sources))], settings or GeometrySettings())


def test_translations_out_of_english_are_asked_everything(bundled: HookedEncoderDecoder) -> None:
    both = [f"translate English to {language}: The cat is here." for language in ("German", "French")]
    found = fitted(bundled, both)
    assert (found.sentences, found.translations, found.groups, found.everyday) == (
        True,
        ("German", "French"),
        GROUPS,
        MIXED,
    )
    assert found.prefix == "translate English to German: "
    assert fitted(bundled, both[1:]).translations == ("French",)
    assert fitted(bundled, both[1:]).prefix == "translate English to French: "


def test_english_that_is_no_translation_is_not_asked_where_translations_meet(bundled: HookedEncoderDecoder) -> None:
    found = fitted(bundled, REVIEWS)
    assert (found.sentences, found.translations, found.groups, found.prefix) == (True, (), GROUPS, "")


def test_german_prompts_give_the_groups_themselves(bundled: HookedEncoderDecoder) -> None:
    found = fitted(bundled, GERMAN)
    assert isinstance(found, FittedSettings)
    assert (found.from_prompts, found.sentences, found.translations, found.everyday) == (True, False, (), ())
    assert found.unfit == "none of the 3 sources is English by its function words"
    assert list(found.groups) == ["content words", "function words"]
    assert found.groups["function words"][0] == "die", "it occurs most"
    assert {"und", "ist", "dem"} <= set(found.groups["function words"])
    assert {"Hund", "Katze", "Haus"} <= set(found.groups["content words"])
    assert not set(found.groups["content words"]) & {"und", "die", "der", "das"}


def test_groups_that_the_user_gave_stay(bundled: HookedEncoderDecoder) -> None:
    own = {"Farben": ("rot", "blau"), "Tiere": ("Hund", "Katze")}
    found = fitted(bundled, GERMAN, GeometrySettings(groups=own, translations=("German",)))
    assert (found.groups, found.translations, found.sentences) == (own, ("German",), False)


def test_words_that_are_spelled_far_worse_than_the_prompts_are_not_asked(bundled: HookedEncoderDecoder) -> None:
    odd = GeometrySettings(groups={"one": ("qxzjkv", "vkjzxq"), "two": ("wqzxk", "kxzqw")})
    found = fitted(bundled, REVIEWS, odd)
    assert isinstance(found, FittedSettings)
    assert "pieces a letter" in found.unfit
    assert found.sentences is False


@pytest.mark.slow
def test_a_section_says_what_was_not_asked_and_asks_nothing_of_it(bundled: HookedEncoderDecoder) -> None:
    study = analyse("embedding_geometry", bundled, bundled.batch(list(GERMAN), ["a b", "b c", "c d"]))
    sentences = " ".join((*study.section.findings, *study.section.limits))
    for word in ("German", "French", "chair", "furniture", "two senses", "everyday"):
        assert word not in sentences, word
    assert "Not asked: the bundled words, sentences of our own, senses, translations, since none of the 3" in sentences
    assert "the groups are content words and function words of the prompts" in sentences
    assert not {"word-senses", "words-in-context", "translation-retrieval"} & set(study.blocks)


@pytest.mark.slow
def test_without_two_kinds_of_words_the_section_is_about_the_table_and_the_texts(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(["Katze", "Hund", "Haus"], ["a", "b", "c"])
    study = analyse("embedding_geometry", bundled, batch)
    assert study.result.words == ()
    assert "the prompts have no two kinds of words of one piece to compare instead" in study.section.findings[-1]
    assert {"vocabulary-geometry", "layer-geometry"} <= set(study.blocks)
    assert "word-map" not in study.blocks
    assert present(replace(study.result)).findings == study.section.findings
