"""Abilities beside translation are measured right, with a translator whose answers are known, and the card tells them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair
from tests.support.toy_pairs import RECIPE, tiny_pairs
from training.abilities import VARIANTS, copies, fills, labels, reverse, variants
from training.card import told_tasks
from training.clock import BudgetClock
from training.export import export
from training.recipe import Recipe
from training.train import train


def pair(sentence: str, target: str) -> TranslationPair:
    return TranslationPair("toy", "de", f"translate English to German: {sentence}", target)


def test_hidden_words_stand_beside_the_most_frequent_one() -> None:
    pairs = [pair("a b", "x y"), pair("a c", "x y"), pair("Stop!", "Halt!")]
    asked = []

    def a_or_y(sources: Sequence[str]) -> list[str]:
        asked.extend(sources)
        return ["a " if source.endswith(("b", "c")) else "y" for source in sources]

    found = {share.name: share for share in fills(a_or_y, pairs)}
    hidden_a = sum(source in {"<extra_id_0> b", "<extra_id_0> c"} for source in asked)
    assert found["English"].asked == 2
    assert found["English"].right == hidden_a / 2
    assert found["German"].asked == 1
    assert found["German"].constant == 1.0
    assert len(asked) == 3


def test_labels_are_asked_once_a_text_and_one_constant_answer_serves_all() -> None:
    pairs = [pair("a b", "x y"), pair("a b", "v w"), pair("c", "z")]
    found = {share.name: share for share in labels(lambda sources: ["German"] * len(sources), pairs)}
    assert {name: (share.asked, share.right) for name, share in found.items()} == {
        "English": (2, 0.0),
        "German": (3, 1.0),
    }
    assert found["English"].constant == found["German"].constant == 0.6


def test_copies_count_where_every_new_word_comes_out() -> None:
    pairs = [pair("I saw Tom.", "Ich sah Tom."), pair("two dogs", "zwei Hunde"), pair("a dog", "ein Hund")]
    echoed = {share.name: (share.asked, share.right) for share in copies(list, pairs)}
    assert echoed == {"names and numbers": (1, 1.0), "digits for a number word": (1, 1.0)}
    silent = copies(lambda sources: ["Ich sah Tom, zwei Hunde."] * len(sources), pairs)
    assert [share.right for share in silent] == [0.0, 0.0]


def test_variants_are_typed_as_they_say_and_scored_by_language() -> None:
    pairs = tiny_pairs()
    seen = []

    def perfect(sources: Sequence[str]) -> list[str]:
        seen.append(list(sources))
        return [chosen.target for chosen in pairs[::4]]

    found = variants(perfect, pairs)
    assert [variant.name for variant in found] == list(VARIANTS)
    assert all(variant.language == 1.0 and variant.sources == 5 for variant in found)
    assert all([score.language for score in variant.scores] == ["de", "fr"] for variant in found)
    assert all(score.bleu == pytest.approx(100.0) for variant in found for score in variant.scores)
    firsts = [sources[0] for sources in seen]
    assert firsts[:5] == [
        "translate English to German: The goat is on the table.",
        "translate english to german: The goat is on the table.",
        "TRANSLATE ENGLISH TO GERMAN: The goat is on the table.",
        "translate english to german: the goat is on the table.",
        "translate English to German: The goat is on the table",
    ]
    wrong = variants(lambda sources: [chosen.sentence for chosen in pairs[::4]], pairs)
    assert wrong[0].scores[0].bleu < 50


def test_reverse_translates_targets_into_sentences() -> None:
    pairs = tiny_pairs()
    answers = {f"translate German to English: {each.target}": each.sentence for each in pairs}
    answers |= {f"translate French to English: {each.target}": each.sentence for each in pairs}
    scores = reverse(lambda sources: [answers[source] for source in sources], pairs)
    assert [(score.language, round(score.bleu)) for score in scores] == [("de", 100), ("fr", 100)]


def test_tasks_are_told_where_the_recipe_has_them() -> None:
    assert told_tasks(Recipe()) == ()
    told = " ".join(
        told_tasks(Recipe(spans=0.3, joined_spans=0.5, labels=0.06, slips=0.04, copies=0.6, bias_scale=0.5))
    )
    for words in (
        "span corruption as T5's",
        "50 % of them of two or three",
        "(of 6 % of the pairs)",
        "4 % have one letter",
    ):
        assert words in told
    assert "60 % of names and numbers" in told
    assert "0.5 nats" in told


@pytest.mark.slow
def test_the_card_has_a_table_for_each_ability_and_none_for_a_task_that_the_recipe_has_not(tmp_path: Path) -> None:
    every = replace(RECIPE, infills=0.5, labels=0.5, lower_prefixes=0.2, copies=0.5, counts=0.5, joined=0.1)
    pairs = (
        *tiny_pairs(),
        *(replace(each, source=each.source.replace("The", "Two"), target="zwei") for each in tiny_pairs()),
    )
    titles = {
        "From German and French into English:": "reverse",
        "Sources typed in other ways": "variants",
        "One hidden word of a test text": "fills",
        "The language of a test text, named": "labels",
    }
    for name, recipe in (("every", every), ("none", replace(RECIPE, spans=0.0, reverse=False))):
        train(tiny_pairs(), recipe, BudgetClock(steps=50), tmp_path / name)
        card = export(tmp_path / name, pairs, tmp_path / f"{name}-out", "bfloat16", "")
        text = card.render()
        for title, field in titles.items():
            assert (title in text) == (name == "every") == bool(getattr(card.abilities, field)), title
        assert ("Tasks beside translation" in text) == (name == "every")
        assert "\n\n\n" not in text
        assert "| \n" not in text
    with pytest.raises(InputError, match="at most 9,000,000 can be bundled"):
        _too_large(tmp_path)


def _too_large(folder: Path) -> None:
    run = folder / "none"
    recipe = (run / "recipe.json").read_text().replace('"d_ff": 24', '"d_ff": 2400000')
    (run / "recipe.json").write_text(recipe)
    export(run, tiny_pairs(), folder / "large", "bfloat16", "")
