"""One sentence in full: its numbers are those of plain transformers, and every family has its page."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import AutoModelForSeq2SeqLM, ByT5Tokenizer
from typer.testing import CliRunner

from analyses.cli import app
from analyses.sentence import SentenceReading, print_essence, read_sentence, sentence_report
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import render
from interp.report.visible_text import visible
from tests.support.hostile import IMAGE, OVERRIDE, intruders
from tests.support.models import tiny_hf

SOURCE = "translate English to German: The woman is reading a book."
TARGET = "Die Frau liest ein Buch."


@pytest.fixture(scope="module")
def reading(bundled: HookedEncoderDecoder) -> SentenceReading:
    return read_sentence(bundled, SOURCE, TARGET, row=2)


def essence(reading: SentenceReading, *, terminal: bool = False) -> str:
    written = StringIO()
    print_essence(
        reading,
        Console(file=written, width=200, force_terminal=terminal, color_system="truecolor" if terminal else None),
    )
    return written.getvalue()


def test_what_is_read_and_said_is_what_transformers_computes(reading: SentenceReading) -> None:
    host = AutoModelForSeq2SeqLM.from_pretrained(find_checkpoint().folder, attn_implementation="eager")
    with torch.no_grad():
        plain = host(**reading.batch, output_attentions=True)
    read = torch.stack(plain.cross_attentions).mean((0, 2))[0]
    np.testing.assert_allclose(reading.read, read.numpy(), atol=1e-6)
    probabilities = plain.logits[0].double().softmax(-1)
    labels = reading.batch.labels[0]
    chosen = reading.steps[reading.steps["chosen"]]
    np.testing.assert_allclose(chosen["probability"], probabilities.gather(1, labels[:, None])[:, 0], rtol=1e-5)
    assert chosen["token"].tolist() == list(reading.batch.target_texts[0].pieces)
    last = reading.lens[reading.lens["depth"] == reading.lens["depth"].iloc[-1]]
    np.testing.assert_allclose(last["log-probability"], np.log(chosen["probability"]), atol=1e-4)
    assert last["rank"].tolist() == chosen["rank"].tolist()


def test_what_is_written_adds_up_to_the_cross_heads(reading: SentenceReading) -> None:
    told = reading.explanation
    np.testing.assert_allclose(reading.written[told.position], told.sources["contribution"], atol=1e-4)
    assert told.label == reading.batch.target_texts[0].pieces[2]


def test_the_page_has_every_part_and_the_terminal_its_essence(reading: SentenceReading) -> None:
    page = render(sentence_report(reading, "interp show x", "bundled"))["index.html"].decode()
    for heading in ("Step by step", "Why", "What it read", "When it knew", "What each head did"):
        assert heading in page
    told = essence(reading)
    lines = told.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(reading.read)]] == list(map(str, range(len(reading.read))))
    assert all(piece.replace("▁", "·") in told for piece in reading.batch.source_texts[0].pieces)
    assert reading.explanation.components["component"].iloc[0] in lines[-1]
    assert "\x1b[" not in told
    assert "\x1b[1;30;4" in essence(reading, terminal=True)  # the strongest token is printed on color


def test_the_callers_words_are_honored(bundled: HookedEncoderDecoder) -> None:
    words = ["The", "womanis", "reading", "a", "book", "."]  # white space does not count
    source = read_sentence(bundled, SOURCE, TARGET, words=words).batch.source_texts[0]
    assert source.words == tuple(words)
    named = [words[word] for word in source.word_of_token if word >= 0]
    assert named[:3] == ["The", "womanis", "womanis"]
    assert source.word_of_token[-1] == -1
    with pytest.raises(InputError, match="man"):
        read_sentence(bundled, SOURCE, TARGET, words=["The", "man"])
    with pytest.raises(InputError, match="empty"):
        read_sentence(bundled, SOURCE, TARGET, words=[])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["byt5", "bart", "mbart"])
def test_other_families_are_shown_too_and_hostile_texts_are_not_obeyed(family: str) -> None:
    hf = tiny_hf(family, vocab_size=384, max_position_embeddings=400) if family != "byt5" else tiny_hf(family)
    model = HookedEncoderDecoder(hf, ByT5Tokenizer())
    reading = read_sentence(model, f"x: {IMAGE} {OVERRIDE}", "ja [bold]")
    assert not intruders(render(sentence_report(reading, "interp show x", family))["index.html"].decode())
    assert OVERRIDE[0] not in essence(reading, terminal=True)
    assert "[bold]" in essence(reading)
    assert visible(OVERRIDE) in essence(reading)


@pytest.mark.slow
def test_the_command_writes_one_folder_and_the_page_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = json.dumps(["Thewoman", "is", "reading", "a", "book", "."])
    asked = ["show", SOURCE, "--target", TARGET, "--foil", "Der Mann liest.", "--words", words, "--out", "page"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "page" / "index.html")
    page = (tmp_path / "page" / "index.html").read_text()
    assert "--foil" in page
    assert "The▁woman" in page
    assert {path.name for path in tmp_path.iterdir()} == {"page"}
    again = CliRunner().invoke(app, asked)
    assert (again.exit_code, "--overwrite" in again.stderr) == (2, True)
    assert CliRunner().invoke(app, [*asked, "--overwrite"]).exit_code == 0
    assert CliRunner().invoke(app, ["show", SOURCE]).exit_code == 0
    assert len(list(tmp_path.glob("reports/sentences/*-*/index.html"))) == 1


BAD = {
    "a row behind the end": (["--row", "99"], "not in the target"),
    "words of another text": (["--words", "The man"], "man"),
    "words that are no list": (["--words", '["The", 3]'], "no text"),
    "words that are no JSON": (["--words", '["The"'], "no JSON list"),
    "a file": (["--out", "file"], "is a file"),
    "an empty target": (["--target", " "], "empty"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    flags, message = BAD[case]
    done = CliRunner().invoke(app, ["show", SOURCE, *flags])
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
