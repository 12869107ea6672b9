"""Translation quality: pair files, scores against sacreBLEU called by hand, language telling, and what a prefix swap finds."""

import copy
import gzip
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu
from transformers import PreTrainedModel

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.translation_pairs import TranslationPair, read_pairs
from interp.text.translation_quality import (
    language_classifier,
    prefix_swap,
    reference_error,
    score_texts,
    sentence_chrf,
    translate,
)

TEXTS = {
    "A man is riding a horse.": ("Ein Mann reitet auf einem Pferd.", "Un homme monte à cheval."),
    "A dog runs on the beach.": ("Ein Hund rennt am Strand.", "Un chien court sur la plage."),
    "Two women are sitting on a bench.": (
        "Zwei Frauen sitzen auf einer Bank.",
        "Deux femmes sont assises sur un banc.",
    ),
    "The boy plays with a red ball.": (
        "Der Junge spielt mit einem roten Ball.",
        "Le garçon joue avec un ballon rouge.",
    ),
    "I have no time today.": ("Ich habe heute keine Zeit.", "Je n'ai pas le temps aujourd'hui."),
    "A girl is reading a book.": ("Ein Mädchen liest ein Buch.", "Une fille lit un livre."),
    "People walk down the street.": ("Menschen gehen die Straße entlang.", "Des gens marchent dans la rue."),
    "She is my sister.": ("Sie ist meine Schwester.", "Elle est ma sœur."),
    "A child stands in the water.": ("Ein Kind steht im Wasser.", "Un enfant se tient dans l'eau."),
    "The cat sleeps under the table.": ("Die Katze schläft unter dem Tisch.", "Le chat dort sous la table."),
}
PREFIXES = {"de": "translate English to German: ", "fr": "translate English to French: "}
PAIRS = tuple(
    TranslationPair("own", language, PREFIXES[language] + english, texts[place])
    for place, language in enumerate(PREFIXES)
    for english, texts in TEXTS.items()
)


def test_pairs_are_read_from_plain_and_gzipped_text(tmp_path: Path) -> None:
    lines = [f"{pair.corpus}\t{pair.language}\t{pair.source}\t{pair.target}\n" for pair in PAIRS]
    (tmp_path / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "pairs.tsv.gz").write_bytes(gzip.compress("".join(lines).encode()))
    assert read_pairs(tmp_path / "pairs.tsv") == PAIRS
    assert read_pairs(tmp_path / "pairs.tsv.gz") == PAIRS
    assert PAIRS[0].prefix + PAIRS[0].sentence == PAIRS[0].source
    assert PAIRS[0].sentence == "A man is riding a horse."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no pairs"),
        ("own\tde\ttranslate English to German: Yes.\n", "Line 1 of .* has 3 tab-separated fields, but a pair has 4"),
        ("own\tde\ta: b\tc\n\n", "Line 2 of .* has 1 tab-separated fields"),
        ("own\tde\t \tJa.\n", "has an empty source"),
        ("own\tde\tprefix: \tJa.\n", "has the source 'prefix: ', a prefix without a sentence"),
        ("own\tde\t>>deu<< \tJa.\n", "a prefix without a sentence"),
        ("own\tde\ta: b\t \n", "has an empty target"),
        ("own\t\ta: b\tJa.\n", "has an empty language"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "pairs.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "pairs.tsv")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no pair file"):
        read_pairs(tmp_path / "absent.tsv")
    (tmp_path / "pairs.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="Give UTF-8 text"):
        read_pairs(tmp_path / "pairs.tsv")
    whole = gzip.compress(b"own\tde\ta: b\tc\n" * 50)
    for damaged in (b"no gzip", whole[:20], whole[:15] + b"\xff\xff\xff" + whole[18:]):
        (tmp_path / "pairs.tsv.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"gzipped if its name ends in \.gz"):
            read_pairs(tmp_path / "pairs.tsv.gz")


def test_scores_are_those_of_sacrebleu_by_corpus_and_language() -> None:
    pairs = (*PAIRS, *(replace(pair, corpus="other") for pair in PAIRS))
    translations = [pair.target for pair in PAIRS] + [pair.target.lower().replace("ein ", "eine ") for pair in PAIRS]
    scores = score_texts(pairs, translations)
    assert [(score.corpus, score.language, score.sentences) for score in scores] == [
        ("other", "de", 10),
        ("other", "fr", 10),
        ("own", "de", 10),
        ("own", "fr", 10),
    ]
    assert [score.bleu for score in scores[2:]] == pytest.approx([100.0, 100.0])
    references = [[pair.target for pair in PAIRS[:10]]]
    assert scores[0].bleu == sacrebleu.corpus_bleu(translations[20:30], references).score
    assert scores[0].chrf == sacrebleu.corpus_chrf(translations[20:30], references).score
    assert "case:mixed" in scores[0].bleu_signature
    assert "tok:13a" in scores[0].bleu_signature
    assert scores[0].chrf_signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0")
    assert sentence_chrf("Ein Hund.", "Ein Hund.") == 100.0


def test_the_bundled_model_translates_and_batches_change_nothing(bundled: HookedEncoderDecoder) -> None:
    model = bundled.hf
    assert isinstance(model, PreTrainedModel)
    sources = [pair.source for pair in PAIRS]
    together = translate(model, bundled.tokenizer, sources, beams=2, batch_size=20)
    assert together == translate(model, bundled.tokenizer, sources, beams=2, batch_size=3)
    scores = score_texts(PAIRS, together)
    assert min(score.bleu for score in scores) > 25
    assert not model.training


def test_a_checkpoints_own_limit_is_not_asked_for_beside_ours(
    bundled: HookedEncoderDecoder, tiny_byt5: HookedEncoderDecoder, capfd: pytest.CaptureFixture[str]
) -> None:
    """Hosts fill what is left open from the checkpoint's file, whose limit then acts, and say so once a batch."""
    assert bundled.hf.generation_config.max_new_tokens == 128
    translate(bundled.hf, bundled.tokenizer, [PAIRS[0].source], beams=2)
    assert capfd.readouterr().err == ""
    model, steps = copy.deepcopy(tiny_byt5.hf), []
    model.generation_config.update(max_new_tokens=128, eos_token_id=None)  # never ends by itself
    model.decoder.register_forward_hook(lambda *_: steps.append(1))
    translate(model, tiny_byt5.tokenizer, ["abc"], beams=1)
    assert len(steps) == 2 * len(tiny_byt5.tokenizer("abc")["input_ids"]) + 10
    assert model.generation_config.max_new_tokens == 128


def test_another_prefix_gives_the_other_language(bundled: HookedEncoderDecoder) -> None:
    swap = prefix_swap(bundled.hf, bundled.tokenizer, PAIRS, beams=1)
    assert swap.sources == len(PAIRS)
    assert swap.switched >= 0.9
    assert len(swap.missed) == round((1 - swap.switched) * swap.sources)


def test_a_prefix_that_does_not_matter_is_found_out(bundled: HookedEncoderDecoder) -> None:
    # Both languages are asked for in the same words, so half of the sources cannot come out as their language wants.
    same = [replace(pair, source=PREFIXES["de"] + pair.sentence) for pair in PAIRS]
    swap = prefix_swap(bundled.hf, bundled.tokenizer, same, beams=1)
    assert swap.switched == pytest.approx(0.5, abs=0.1)
    assert {source.removeprefix(PREFIXES["de"]) for source, _ in swap.missed} <= set(TEXTS)


def test_languages_are_told_from_letters() -> None:
    texts, languages = [pair.target for pair in PAIRS], [pair.language for pair in PAIRS]
    assert reference_error(texts, languages) <= 0.1
    assert reference_error(texts, ["de", "fr"] * 10) > 0.2
    told = (
        language_classifier().fit(texts, languages).predict(["Die Frau sitzt auf dem Stuhl.", "La femme est assise."])
    )
    assert list(told) == ["de", "fr"]


def test_pairs_that_cannot_be_swapped_are_refused(bundled: HookedEncoderDecoder) -> None:
    for pairs, message in (
        (PAIRS[:10], "at least 10 of each; got 10 of 'de'"),
        (PAIRS[:15], "got 10 of 'de', 5 of 'fr'"),
        ((*PAIRS, replace(PAIRS[0], source="English to German: Yes.")), "two prefixes for 'de'"),
    ):
        with pytest.raises(InputError, match=message):
            prefix_swap(bundled.hf, bundled.tokenizer, pairs)


@pytest.mark.parametrize(
    ("source", "prefix", "sentence"),
    [
        ("translate English to German: He said: go.", "translate English to German: ", "He said: go."),
        (">>deu<< He said: go.", ">>deu<< ", "He said: go."),
        ("my task: go.", "my task: ", "go."),
        ("Good morning at 9:30.", "", "Good morning at 9:30."),
    ],
)
def test_sources_of_any_model_are_read(source: str, prefix: str, sentence: str) -> None:
    pair = TranslationPair("own", "de", source, "x")
    assert (pair.prefix, pair.sentence) == (prefix, sentence)
