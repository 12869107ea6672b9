"""The tasks of the recipe: span corruption as published, one hidden word, labels, noise, copying, and how they mix."""

import random
import re
from collections import Counter
from dataclasses import replace

import pytest
from transformers import T5Tokenizer

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair
from tests.support.toy_pairs import RECIPE, tiny_pairs
from training.copying import counted, invented_name, names_of, renamed
from training.noise import slipped
from training.prepare import make_tokenizer
from training.recipe import Recipe
from training.spans import corrupted, hidden_places, hide_word
from training.tasks import Encoder, Mixture, reversed_prefix
from training.train import shuffled_pairs

SENTINELS = range(32099, 31999, -1)
BARE = replace(RECIPE, spans=0.0, reverse=False, input_noise=0.0, repeats=())


@pytest.fixture(scope="module")
def tokenizer() -> T5Tokenizer:
    return make_tokenizer(tiny_pairs(), RECIPE, None)


def texts(recipe: Recipe, tokenizer: T5Tokenizer, epoch: int = 0, copies: int = 20) -> list[tuple[str, str]]:
    """The decoded examples of an epoch of `copies` times twenty pairs."""
    tasks = Mixture(tiny_pairs(copies), recipe, Encoder(tokenizer)).epoch(epoch)
    return [
        tuple(tokenizer.decode(side[:-1], skip_special_tokens=False) for side in (each.source, each.target))
        for examples in tasks
        for each in examples
    ]


def test_the_figure_of_the_paper() -> None:
    text = "Thank you for inviting me to your party last week ."
    hidden = [word in {"for", "inviting", "last"} for word in text.split()]
    sides = corrupted(range(11), hidden, (90, 91, 92))
    names = {**dict(enumerate(text.split())), 90: "<X>", 91: "<Y>", 92: "<Z>"}
    source, target = (" ".join(names[token] for token in side) for side in sides)
    assert source == "Thank you <X> me to your party <Y> week ."
    assert target == "<X> for inviting <Y> last <Z>"


def test_the_example_of_the_research_note() -> None:
    words = "the old clock in the hall stopped at nine today".split()
    ids = dict(zip(dict.fromkeys(words), range(10, 30), strict=False))
    hidden = [word in {"clock", "stopped", "at"} for word in words]
    source, target = corrupted([ids[word] for word in words], hidden, SENTINELS)
    names = {number: word for word, number in ids.items()}
    assert " ".join(str(names.get(token, token)) for token in source) == "the old 32099 in the hall 32098 nine today"
    assert " ".join(str(names.get(token, token)) for token in target) == "32099 clock 32098 stopped at 32097"
    at_the_end = corrupted([1, 2, 3], [False, True, True], (99, 98))
    assert at_the_end == ((1, 99), (99, 2, 3))


@pytest.mark.parametrize(("raw", "inputs", "targets"), [(568, 512, 114), (141, 128, 29), (70, 64, 14)])
def test_lengths_are_those_of_the_released_code(raw: int, inputs: int, targets: int) -> None:
    for seed in range(30):
        hidden = hidden_places(raw, random.Random(seed), roll=False)
        source, target = corrupted(range(1000, 1000 + raw), hidden, range(900, 800, -1))
        assert (len(source) + 1, len(target) + 1) == (inputs, targets)
        assert not hidden[0]
        assert hidden[-1]


def test_rolled_places_fall_everywhere_and_as_many() -> None:
    draws = [hidden_places(20, random.Random(seed), roll=True) for seed in range(400)]
    assert {sum(places) for places in draws} == {3}
    assert all(30 < sum(column) < 100 for column in zip(*draws, strict=True))


@pytest.mark.parametrize("length", [2, 3, 7, 20, 61, 128])
@pytest.mark.parametrize("roll", [False, True])
def test_span_corruption_can_be_undone(length: int, roll: bool) -> None:
    ids = list(range(1000, 1000 + length))
    for seed in range(30):
        hidden = hidden_places(length, random.Random(seed), roll)
        assert sum(hidden) == min(max(round(0.15 * length), 1), length - 1)
        source, target = corrupted(ids, hidden, range(99, 0, -1))
        spans: dict[int, list[int]] = {}
        for token in target:
            if token < 100:
                spans[token] = []
            else:
                spans[list(spans)[-1]].append(token)
        assert [token for each in source for token in spans.get(each, [each])] == ids
        assert list(spans) == [99 - index for index in range(len(spans))]
        closing = [token for token, span in spans.items() if not span]
        assert closing == ([] if hidden[-1] else [min(spans)])


def test_one_word_is_hidden_in_the_text() -> None:
    draw = random.Random(0)
    seen = {hide_word("Tom isn't a plate.", draw) for _ in range(200)}
    assert seen == {
        ("<extra_id_0> isn't a plate.", "<extra_id_0> Tom <extra_id_1>"),
        ("Tom isn't <extra_id_0> plate.", "<extra_id_0> a <extra_id_1>"),
        ("Tom isn't a <extra_id_0>.", "<extra_id_0> plate <extra_id_1>"),
    }
    assert ("a <extra_id_0>", "<extra_id_0> b") in {hide_word("a b", draw) for _ in range(50)}
    assert hide_word("Stop!", draw) is None


def test_a_mixture_is_a_function_of_the_epoch_and_what_is_off_is_absent(tokenizer: T5Tokenizer) -> None:
    plain = Counter((pair.source, pair.target) for pair in tiny_pairs(20))
    assert Counter(texts(BARE, tokenizer)) == plain
    mixed = replace(RECIPE, infills=0.5, labels=0.5, slips=0.2, lower_prefixes=0.2, joined=0.2, copies=0.5)
    assert texts(mixed, tokenizer, 3) == texts(mixed, tokenizer, 3)
    assert texts(mixed, tokenizer, 3) != texts(mixed, tokenizer, 4)


def test_repeats_and_directions_follow_the_recipe(tokenizer: T5Tokenizer) -> None:
    recipe = replace(BARE, repeats=(("toy", "fr", 3),), reverse=True)
    starts = Counter(" ".join(source.split()[:4]) for source, _ in texts(recipe, tokenizer))
    assert starts["translate English to French:"] == 600
    assert starts["translate German to English:"] == starts["translate French to English:"] == 200
    part = [source for source, _ in texts(replace(recipe, reverse_share=0.25), tokenizer)]
    assert 70 < sum(source.startswith(("translate German", "translate French")) for source in part) < 130
    with pytest.raises(InputError, match="'summarize: ' does not name two languages"):
        reversed_prefix("summarize: ")


def test_spans_of_every_language_are_of_one_sentence_or_more(tokenizer: T5Tokenizer) -> None:
    recipe = replace(BARE, spans=0.5)
    single = [source for source, _ in texts(recipe, tokenizer) if "<extra_id_" in source]
    assert 160 < len(single) < 240
    assert not any(source.startswith("translate") for source in single)
    assert all(any(word in source.split() for source in single) for word in ("The", "Das", "Le"))
    joined = [each for each, _ in texts(replace(recipe, joined_spans=1.0), tokenizer) if "<extra_id_" in each]
    assert any("<extra_id_1>" in source for source in joined)
    assert sum(map(len, joined)) / len(joined) > 1.8 * sum(map(len, single)) / len(single)


def test_a_label_is_one_piece_that_names_the_language(tokenizer: T5Tokenizer) -> None:
    tasks = Mixture(tiny_pairs(20), replace(BARE, labels=1.0), Encoder(tokenizer)).epoch(0)
    labeled = [each for examples in tasks for each in examples if tokenizer.decode(each.source).startswith("language:")]
    assert len(labeled) == 400
    names = Counter()
    for each in labeled:
        source, name = tokenizer.decode(each.source[:-1]), tokenizer.decode(each.target[:-1])
        words = set(source.split())
        assert len(each.target) == 2
        assert name == ("English" if words & {"The", "A"} else "German" if words & {"Das", "Ein"} else "French"), source
        names[name] += 1
    assert set(names) == {"English", "German", "French"}


@pytest.mark.parametrize(
    ("field", "pattern"),
    [
        ("lower_prefixes", "translate english to .*"),
        ("upper_prefixes", "TRANSLATE ENGLISH TO .*"),
        ("lost_marks", r".*[^.]"),
        ("lower_sentences", r"translate English to \w+: [^A-Z]*"),
        ("slips", r"(?!.*: (The|A) (goat|table|dog|chair|horse) (is on|stands near) the \w+( today)?\.).*"),
    ],
)
def test_sources_are_varied_as_often_as_the_recipe_says(field: str, pattern: str) -> None:
    class Texts(Encoder):
        def __init__(self) -> None:
            self.seen: list[tuple[str, str]] = []
            self.sentinels = ()

        def turn(self) -> None:
            pass

        def encode(self, texts: object) -> tuple:
            self.seen += texts
            return ()

        def ids(self, texts: object) -> tuple:
            return ()

    encoder = Texts()
    pairs = tiny_pairs(20)
    Mixture(pairs, replace(BARE, **{field: 0.25}), encoder).epoch(0)
    varied = sum(re.fullmatch(pattern, source) is not None for source, _ in encoder.seen)
    assert 60 < varied < 130
    assert [target for _, target in encoder.seen] == [pair.target for pair in pairs]


def test_a_slip_leaves_out_doubles_or_swaps_letters() -> None:
    draw = random.Random(0)
    assert {slipped("ab.", draw) for _ in range(50)} == {"b.", "aab.", "ba."}
    assert slipped("1, 2", draw) == "1, 2"


def test_names_are_replaced_alike_on_both_sides() -> None:
    def pair(sentence: str, target: str, language: str = "de") -> TranslationPair:
        return TranslationPair("toy", language, f"translate English to German: {sentence}", target)

    pairs = [pair("Tom saw Tom's dog.", "Tom sah Toms Hund."), pair("Six of six.", "Six von sechs.")]
    names = names_of(pairs)
    assert names == {"Tom"}
    draw = random.Random(0)
    for _ in range(50):
        new = renamed(pairs[0], names, 1.0, draw)
        found = re.fullmatch(r"(\w+) saw \1's dog\.", new.sentence)
        assert found
        assert new.target == f"{found[1]} sah {found[1]}s Hund."
    assert renamed(pairs[1], names, 1.0, draw) == pairs[1]
    assert renamed(pairs[0], names, 0.0, draw) == pairs[0]
    once = pair("Tom left.", "Er ging.")
    assert renamed(once, names, 1.0, draw) == once
    assert all(re.fullmatch(r"[BDFGKLMNPQRSTVWZC][a-z]+", invented_name(draw)) for _ in range(50))


def test_numbers_are_replaced_alike_on_both_sides() -> None:
    draw = random.Random(0)
    number = TranslationPair("toy", "de", "translate English to German: I have 30 dogs.", "Ich habe 30 Hunde.")
    seen = set()
    for _ in range(50):
        new = renamed(number, frozenset(), 1.0, draw)
        found = re.fullmatch(r"I have (\d\d) dogs\.", new.sentence)
        assert found
        assert new.target == f"Ich habe {found[1]} Hunde."
        seen.add(found[1])
    assert len(seen) > 20
    word = replace(number, source="translate English to German: Two dogs run.", target="Zwei Hunde rennen.")
    found = re.fullmatch(r"(\d+) dogs run\.", counted(word, 1.0, draw).sentence)
    assert found
    assert int(found[1]) >= 2
    assert counted(word, 1.0, random.Random(1)).target.endswith(" Hunde rennen.")
    other = replace(word, target="Hunde rennen zu zweit.")
    assert counted(other, 1.0, draw) == other


def test_shuffled_targets_change_places_within_corpus_and_language() -> None:
    pairs = tiny_pairs()
    shuffled = shuffled_pairs(pairs, 0)
    assert [pair.source for pair in shuffled] == [pair.source for pair in pairs]
    for language in ("de", "fr"):
        before, after = ([pair.target for pair in some if pair.language == language] for some in (pairs, shuffled))
        assert sorted(after) == sorted(before)
        assert sum(one == other for one, other in zip(before, after, strict=True)) < 5
    assert shuffled == shuffled_pairs(pairs, 0) != shuffled_pairs(pairs, 1)


def test_an_encoder_forgets_what_two_epochs_did_not_ask_for(tokenizer: T5Tokenizer) -> None:
    encoder = Encoder(tokenizer)
    (first,) = encoder.ids(["The goat"])
    encoder.turn()
    assert encoder.ids(["The goat"])[0] is first
    encoder.turn()
    encoder.turn()
    assert encoder.ids(["The goat"])[0] is not first
