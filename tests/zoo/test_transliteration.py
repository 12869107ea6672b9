"""A real model by others, Arabic names to Latin letters: what is known of letters must come out of every way of looking.

Six layers a stack, Pegasus' class, no end of sentence behind sources, no space between letters, 51 rows whose bias is -10,000.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.modeling_outputs import BaseModelOutput
from typer.testing import CliRunner

import interp
from analyses import analyse
from analyses.circuits.summary import NoCircuit
from analyses.cli import app
from analyses.logit_attribution.attribute import explain
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import patch
from interp.text.token_sets import answer, first
from tests.support.zoo import TRANSLITERATION

pytestmark = pytest.mark.slow

NAMES = ("محمد", "فاطمة", "خالد", "مريم", "سعيد", "بغداد", "دمشق")

LETTERS = {
    ("خالد", 1, "h"): "خ",
    ("خالد", 2, "a"): "ا",
    ("خالد", 3, "l"): "ل",
    ("خالد", 4, "d"): "د",
    ("بغداد", 0, "b"): "ب",
    ("بغداد", 2, "g"): "غ",
    ("بغداد", 6, "d"): "د",
    ("دمشق", 0, "d"): "د",
    ("دمشق", 2, "m"): "م",
    ("سعيد", 0, "s"): "س",
    ("سعيد", 3, "d"): "د",
}
"""(name, row, letter written there) -> the Arabic letter it is the sound of."""


@pytest.fixture(scope="module")
def model(transliteration: Path) -> HookedEncoderDecoder:
    return interp.load(transliteration, device="cpu")


def test_one_bundled_pair_that_turns_by_accident_makes_no_circuit(model: HookedEncoderDecoder) -> None:
    """A model that writes names answers none of the bundled sentences, though one corruption costs a letter its lead."""
    study = analyse("circuits", model, ["محمد", "فاطمة"], twins=2)
    assert isinstance(study.result, NoCircuit)
    assert "bundled pairs" in study.section.findings[0]
    asked = CliRunner().invoke(app, ["circuit", "--model", str(TRANSLITERATION), "--no-twin"])
    assert asked.exit_code == 2
    assert "at least 4 must be" in " ".join(asked.output.replace("│", " ").split())


@pytest.fixture
def names(tmp_path: Path) -> str:
    """A file of names."""
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return str(tmp_path / "names.txt")


def test_names_are_written_as_the_host_writes_them(model: HookedEncoderDecoder, transliteration: Path) -> None:
    host, tokenizer = (kind.from_pretrained(transliteration) for kind in (AutoModelForSeq2SeqLM, AutoTokenizer))
    written = model.generate(list(NAMES), "unembed.hook_out").batch.target_texts
    assert ["".join(text.pieces[:-1]) for text in written][-2:] == ["baghdad", "demshk"]
    for name, text in zip(NAMES, written, strict=True):
        alone = host.generate(**tokenizer(name, return_tensors="pt"), num_beams=1, do_sample=False, max_new_tokens=20)
        assert list(text.ids) == alone[0, 1:].tolist()


@pytest.mark.parametrize(("name", "row", "letter"), LETTERS)
def test_a_consonant_comes_from_the_letter_it_sounds(
    name: str, row: int, letter: str, model: HookedEncoderDecoder
) -> None:
    told = explain(model, name, position=row)
    assert told.label == letter
    sources = told.sources[told.sources["category"] != ""]
    strongest = sources.iloc[int(np.argmax(sources["contribution"].abs()))]
    assert strongest["source token"] == LETTERS[name, row, letter]


def test_a_patched_first_letter_changes_the_first_sound_as_on_the_host(
    model: HookedEncoderDecoder, transliteration: Path
) -> None:
    """The last encoder layer's first position taken from another name, against the host decoding that memory."""
    clean, other = model.batch(["خالد"], ["khald"]), model.batch(["والد"], ["khald"])
    with torch.no_grad():
        _, cache = model.run_with_cache(other, "encoder.5.hook_resid_post")
        edits = patch(["encoder.5.hook_resid_post"], cache, first(clean, "source"))
        got = model.run_with_hooks(clean, edits)
        host = AutoModelForSeq2SeqLM.from_pretrained(transliteration).eval()
        memory, taken = (host.get_encoder()(input_ids=batch.input_ids).last_hidden_state for batch in (clean, other))
        memory[:, 0] = taken[:, 0]
        fields = {key: clean[key] for key in ("attention_mask", "decoder_input_ids")}
        wanted = host(encoder_outputs=BaseModelOutput(last_hidden_state=memory), **fields).logits
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-4)
    names = model.tokenizer.convert_ids_to_tokens(torch.stack([model(clean)[0, 0], got[0, 0]]).argmax(-1).tolist())
    assert names == ["k", "w"]


def test_the_answer_of_a_target_without_end_of_sentence_is_all_of_it(model: HookedEncoderDecoder) -> None:
    """Its tokenizer adds none, so the last row predicts a letter."""
    batch = model.batch(["خالد"], ["khald"])
    assert batch.target_texts[0].pieces == tuple("khald")
    assert answer(batch).all()


def test_the_gap_does_not_know_rows_that_were_not_explained(transliteration: Path) -> None:
    """A bias of -10,000 on rows that nobody asked about must not make the same sum look a thousand times more exact."""
    model = interp.load(transliteration, device="cpu")
    before = explain(model, "خالد", position=4, foil="e")
    model.hf.final_logits_bias.clamp_(min=-1.0)
    after = explain(model, "خالد", position=4, foil="e")
    assert after.difference == pytest.approx(before.difference)
    assert before.gap == pytest.approx(after.gap, rel=0.1, abs=1e-12)
    parts = after.components["contribution"].to_numpy(dtype=np.float64)
    assert after.gap * np.sqrt((parts**2).sum()) == pytest.approx(abs(parts.sum() - after.difference), abs=2e-6)


def test_the_full_report_asks_only_what_the_model_can_answer(transliteration: Path, names: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["-p", names, "--twins", "2", "--pages", "1", "-q", "-o", str(out)]
    done = CliRunner().invoke(app, ["run", "-m", str(transliteration), *options])
    assert done.exit_code == 0, done.output
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert len(found) == 4
    sentences = [sentence for one in found.values() for sentence in one["findings"]]
    for word in ("German", "French", "chair", "of two senses", "minimal pairs flip"):
        assert not [sentence for sentence in sentences if word in sentence], word
    assert not [sentence for sentence in sentences if "gap of 2e-10" in sentence]


def test_heads_and_attribution_from_the_command_line(transliteration: Path, names: str) -> None:
    model = ["-m", str(transliteration)]
    done = CliRunner().invoke(app, ["heads", *model, "-p", names, "--twins", "2", "--sample", "4", "-q"])
    assert done.exit_code == 0, done.output
    assert "of 144 heads" in done.output
    done = CliRunner().invoke(app, ["attribute", "بغداد", *model, "--position", "2"])
    assert done.exit_code == 0, done.output
    assert "g beats j" in done.output
