"""Languages are named by caller, tokenizer or checkpoint, and otherwise refused; marks and first tokens follow them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from typer.testing import CliRunner

import interp
from analyses.cli import app
from analyses.cross_attention_focus import alignment
from analyses.head_specialization.measure.parallel import parallel_of
from analyses.head_specialization.measure.translation import examine_translation
from analyses.runs.inputs import read_prompt_set
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint
from interp.model.text_reader import text_reader
from interp.text.languages import languages_of
from tests.support.zoo import ANIMALS, Home, reference

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

SPOKEN = {
    "mbart50": ("en_XX", "de_DE", "fr_XX"),
    "m2m100": ("en", "de", "fr"),
    "nllb": ("eng_Latn", "deu_Latn", "fra_Latn"),
}
GREEDY = {"num_beams": 1, "do_sample": False, "max_new_tokens": 5, "max_length": None}
ENGLISH, GERMAN = "The old man sleeps.", "Der alte Mann."


def id_of(tokenizer: PreTrainedTokenizerBase, code: str) -> int:
    return int(getattr(tokenizer, "lang_code_to_id", {}).get(code, tokenizer.convert_tokens_to_ids(code)))


@pytest.mark.parametrize("name", SPOKEN)
def test_a_language_that_nobody_names_is_refused_with_those_there_are(name: str, home: Home) -> None:
    model = interp.load(home(name), device="cpu")
    source, target, _ = SPOKEN[name]
    for ask in (lambda: model.batch(ENGLISH, GERMAN), lambda: model.batch(ENGLISH), lambda: model.generate(ENGLISH)):
        with pytest.raises(InputError, match=rf"--source-lang .*--target-lang .*{target}"):
            ask()
    with pytest.raises(InputError, match=r"give --target-lang"):
        model.batch(ENGLISH, source_lang=source)
    with pytest.raises(InputError, match=rf"has no language 'klingon'.*{source}"):
        interp.load(home(name), device="cpu", source_lang="klingon")
    with pytest.raises(InputError, match=r"give --source-lang .*--target-lang"):
        text_reader(find_checkpoint(home(name))).read([ENGLISH])


@pytest.mark.parametrize("name", SPOKEN)
def test_texts_are_marked_and_written_as_the_host_does_in_the_named_languages(name: str, home: Home) -> None:
    source, target, other = SPOKEN[name]
    model = interp.load(home(name), device="cpu", source_lang=source, target_lang=target)
    host, tokenizer = reference(ANIMALS[name], home(name))
    for wanted, asked in ((target, {}), (other, {"target_lang": other})):
        tokenizer.src_lang, tokenizer.tgt_lang = source, wanted
        encoded = tokenizer(ENGLISH, text_target=GERMAN, return_tensors="pt")
        batch = model.batch(ENGLISH, GERMAN, **asked)
        assert batch.input_ids.tolist() == encoded["input_ids"].tolist()
        assert batch.labels.tolist() == encoded["labels"].tolist()
        code = id_of(tokenizer, wanted)
        assert code in batch.labels[0].tolist()
        assert batch.forced_mask[0].tolist() == [True] + [False] * (batch.labels.shape[1] - 1)
        del encoded["labels"]
        plain = host.generate(
            **encoded, forced_bos_token_id=code, num_beams=1, do_sample=False, max_new_tokens=5, max_length=None
        )
        for written in (
            model.generate(ENGLISH, "unembed.hook_out", max_new_tokens=5, **asked).batch,
            model.batch(ENGLISH, max_new_tokens=5, **asked),
        ):
            assert written.labels.tolist() == plain[:, 1:].tolist()
            assert written.labels[0, 0] == code
    assert (model.tokenizer.src_lang, model.tokenizer.tgt_lang) == (
        AutoTokenizer.from_pretrained(home(name)).src_lang,
        None,
    )


@pytest.mark.parametrize(
    ("name", "pair"),
    [("mbart50-de", ("en_XX", "de_DE")), ("m2m100-de", ("en", "de")), ("nllb-de", ("eng_Latn", "deu_Latn"))],
)
def test_a_checkpoint_may_name_them_itself(name: str, pair: tuple[str, str], home: Home) -> None:
    model = interp.load(home(name), device="cpu")
    assert (model.languages.source, model.languages.target) == pair
    assert interp.untrained_twin(model, 0).languages == model.languages
    tokenizer = AutoTokenizer.from_pretrained(home(name.removesuffix("-de")))
    tokenizer.src_lang = SPOKEN[name.removesuffix("-de")][2]
    found = languages_of(tokenizer, model.hf.generation_config, 2)
    assert (found.source, found.target) == (SPOKEN[name.removesuffix("-de")][2], pair[1]), (
        "by hand, and by the forced token"
    )


@pytest.mark.parametrize("name", ["t5-added", "opus-mt-en-de", "bart-base", "bundled"])
def test_models_that_mark_no_language_refuse_one(name: str, home: Home) -> None:
    place: str | Path = name if name == "bundled" else home(name)
    with pytest.raises(InputError, match=r"marks no languages, so --target-lang 'de' says nothing to it"):
        interp.load(place, device="cpu", target_lang="de")
    with pytest.raises(InputError, match="marks no languages"):
        text_reader(find_checkpoint(place), target_lang="de")


def test_a_decoder_that_starts_with_its_language_writes_no_other(home: Home) -> None:
    """As the public mbart-large-en-ro, whose decoder starts with ro_RO and whose settings force nothing."""
    tokenizer = AutoTokenizer.from_pretrained(home("mbart50"))
    romanian = tokenizer.lang_code_to_id["ro_RO"]
    found = languages_of(tokenizer, None, romanian)
    assert (found.target, found.first_token) == ("ro_RO", None)
    with pytest.raises(InputError, match="writes 'ro_RO' alone"):
        found.named("en_XX", "de_DE")


def test_the_logits_of_another_language_are_the_hosts(home: Home) -> None:
    host, tokenizer = reference(ANIMALS["nllb"], home("nllb"))
    tokenizer.src_lang, tokenizer.tgt_lang = "fra_Latn", "deu_Latn"
    model = interp.load(home("nllb"), device="cpu")
    with torch.no_grad():
        wanted = host(**tokenizer(ENGLISH, text_target=GERMAN, return_tensors="pt")).logits
        got = model(model.batch(ENGLISH, GERMAN, source_lang="fra_Latn", target_lang="deu_Latn"))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "begins", "first"),
    [
        ("opus-mt-en-mul", {"German": ">>deu<<", "French": ">>fra<<"}, {}),
        ("opus-mt-en-de", {"German": "", "French": ""}, {}),
        ("nllb-de", {"German": "eng_Latn", "French": "eng_Latn"}, {"German": "deu_Latn", "French": "fra_Latn"}),
    ],
)
def test_sentences_whose_words_are_aligned_are_put_as_each_model_wants_them(
    name: str, begins: dict[str, str], first: dict[str, str], home: Home
) -> None:
    model = interp.load(home(name), device="cpu")
    for language, mark in begins.items():
        batch = parallel_of(model, language).batch
        pieces = [text.pieces for text in batch.source_texts]
        assert all(text[0] == mark if mark else "translate" not in "".join(text) for text in pieces)
        if first:
            code = id_of(model.tokenizer, first[language])
            assert all(text.ids[0] == code for text in batch.target_texts)
    hits = examine_translation(model)["cross.translation"]
    asked = hits[np.isfinite(hits)]
    assert len(asked)
    assert ((asked >= 0) & (asked <= 1)).all()


def test_a_code_of_one_model_is_found_in_another(home: Home) -> None:
    nllb, m2m100 = (interp.load(home(name), device="cpu").languages for name in ("nllb", "m2m100"))
    assert m2m100.same_language("deu_Latn") == "de"
    assert nllb.same_language("de_DE") == "deu_Latn"
    assert nllb.same_language(None) is None
    with pytest.raises(InputError, match="The other model has no language 'xx'; it has ace_Arab"):
        nllb.same_language("xx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "languages", "other", "back"),
    [
        ("m2m100", ("en", "de"), "mbart50", ("de_DE", "en_XX")),
        ("nllb", ("eng_Latn", "deu_Latn"), "opus-mt-en-de", (None, None)),  # which reads no more than 512 tokens
        ("opus-mt-en-de", (None, None), "m2m100", ("de", "en")),
    ],
)
def test_the_model_of_the_other_direction_has_the_languages_exchanged_in_its_own_codes(
    name: str, languages: tuple[str, str], other: str, back: tuple[str, str], home: Home, tmp_path: Path
) -> None:
    pairs, gold = tmp_path / "pairs.jsonl", tmp_path / "gold.txt"
    rows = [{"source": ENGLISH, "target": GERMAN}, {"source": f"Now {ENGLISH}", "target": f"Nun {GERMAN}"}]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    gold.write_text("0-0 1-1 2-2\n" * 2, "utf-8")
    # The first model may mark no languages: those that are named are the other's.
    said = languages if languages[0] else back[::-1]
    words = [
        "--gold",
        gold,
        "--model",
        home(name),
        "--reverse-model",
        home(other),
        "--reverse-prefix",
        "",
        "--twins",
        2,
    ]
    words += [] if said[0] is None else ["--source-lang", said[0], "--target-lang", said[1]]
    done = CliRunner().invoke(app, [str(one) for one in ("align", pairs, *words, "--links", tmp_path / "links.txt")])
    assert done.exit_code == 0, done.output
    models = [
        interp.load(home(one), device="cpu", source_lang=codes[0], target_lang=codes[1])
        for one, codes in ((name, languages), (other, back))
    ]
    read = alignment.pairs_from_prompts(read_prompt_set(str(pairs), None).prompts)
    both = alignment.evaluate_directions(
        *models, read, alignment.read_gold(gold.read_text("utf-8"), 0, False), "", 2, 0
    )
    wanted = alignment.write_links(both.links["grow-diag"], 0, False)
    assert (tmp_path / "links.txt").read_text("utf-8") == wanted


def test_languages_that_neither_of_two_models_marks_are_refused(home: Home, tmp_path: Path) -> None:
    pairs, gold = tmp_path / "pairs.jsonl", tmp_path / "gold.txt"
    pairs.write_text(json.dumps({"source": ENGLISH, "target": GERMAN}) + "\n", "utf-8")
    gold.write_text("0-0\n", "utf-8")
    words = ["align", pairs, "--gold", gold, "--model", home("opus-mt-en-de"), "--reverse-model", home("t5-small")]
    done = CliRunner().invoke(app, [str(one) for one in (*words, "--source-lang", "en")])
    assert done.exit_code == 2
    assert "This model marks no languages, so --source-lang 'en' says nothing to it" in done.stderr
