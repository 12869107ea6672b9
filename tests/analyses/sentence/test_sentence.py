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
from analyses.sentence import SentenceReading, print_essence, read_sentence
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.explorer import explorer_page
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


def test_what_is_read_and_said_is_what_transformers_computes(
    reading: SentenceReading, bundled: HookedEncoderDecoder
) -> None:
    host = AutoModelForSeq2SeqLM.from_pretrained(find_checkpoint().folder, attn_implementation="eager")
    batch = bundled.batch([SOURCE], [TARGET])
    with torch.no_grad():
        plain = host(**batch, output_attentions=True)
    read = torch.stack(plain.cross_attentions)[:, 0]
    np.testing.assert_allclose(reading.prompt.patterns.cross, read.numpy(), atol=1e-6)
    probabilities = plain.logits[0].double().softmax(-1)
    chosen = probabilities.gather(1, batch.labels[0][:, None])[:, 0]
    np.testing.assert_allclose(reading.probabilities, chosen, rtol=1e-5)
    assert (reading.target, reading.target_origin, reading.row) == (TARGET, "given", 2)


def test_a_foil_is_compared_at_its_row_and_the_address_leads_there(bundled: HookedEncoderDecoder) -> None:
    found = read_sentence(bundled, SOURCE, TARGET, foil="Die Frau kauft ein Buch.")
    other = read_sentence(bundled, SOURCE, TARGET)
    assert found.row == 2
    assert (found.prompt.foils[2], found.prompt.foils[3]) == ("▁kauft", other.prompt.foils[3])
    assert found.prompt.components[2].sum() == pytest.approx(float(found.prompt.lead[2]), abs=1e-4)
    head = found.address.removeprefix("#").split("&")[0]
    cross = {
        name: abs(float(value))
        for name, value in zip(found.explorer.components, found.prompt.components[2], strict=True)
        if name.startswith("X")
    }
    assert cross[head] == max(cross.values())
    assert found.address.endswith("&prompt=1&row=2")


def test_the_terminal_has_every_step_and_token(reading: SentenceReading) -> None:
    told = essence(reading)
    lines, steps = told.splitlines(), len(reading.probabilities)
    assert [line.split()[0] for line in lines[2 : 2 + steps]] == list(map(str, range(steps)))
    assert all(piece.replace("▁", "·") in told for piece in reading.prompt.patterns.source_tokens)
    written = np.abs(reading.prompt.components[2])
    assert lines[-1].startswith(f"Written by: {reading.explorer.components[int(written.argmax())]} ")
    assert "\x1b[" not in told
    assert "\x1b[1;30;4" in essence(reading, terminal=True)  # the strongest token is printed on color


def test_the_callers_words_are_honored(bundled: HookedEncoderDecoder, reading: SentenceReading) -> None:
    words = ["The", "womanis", "reading", "a", "book", "."]  # white space does not count
    found = read_sentence(bundled, SOURCE, TARGET, row=2, words=words).prompt
    tokens = reading.prompt
    assert found.patterns.source_tokens[-7:] == (*words, "</s>")
    place = tokens.patterns.source_tokens.index("▁woman")
    own, pair = found.patterns.source_tokens.index("womanis"), slice(place, place + 2)
    np.testing.assert_allclose(found.patterns.cross[..., own], tokens.patterns.cross[..., pair].sum(-1), atol=1e-6)
    np.testing.assert_allclose(found.sources[..., own], tokens.sources[..., pair].sum(-1), atol=1e-6)
    np.testing.assert_allclose(found.patterns.encoder.sum(-1), 1.0, atol=1e-5)
    assert found.memory is not None
    assert tokens.memory is not None
    np.testing.assert_allclose(found.memory.sum((1, 2)), tokens.memory.sum((1, 2)), atol=1e-5)
    with pytest.raises(InputError, match="man"):
        read_sentence(bundled, SOURCE, TARGET, words=["The", "man"])
    with pytest.raises(InputError, match="empty"):
        read_sentence(bundled, SOURCE, TARGET, words=[])


def test_a_prefix_of_the_callers_own_is_none_of_the_words(bundled: HookedEncoderDecoder) -> None:
    source, words = "sentiment: The woman is reading.", ["The", "woman", "is", "reading", "."]
    found = read_sentence(bundled, source, TARGET, words=words, prefix="sentiment:").prompt
    assert found.patterns.source_tokens[-6:] == (*words, "</s>")
    with pytest.raises(InputError, match="sentiment"):
        read_sentence(bundled, source, TARGET, words=words)
    asked = CliRunner().invoke(app, ["show", source, "--prefix", "translate:", "--no-open"])
    assert asked.exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("family", ["byt5", "bart", "mbart"])
def test_other_families_are_shown_too_and_hostile_texts_are_not_obeyed(family: str) -> None:
    hf = tiny_hf(family, vocab_size=384, max_position_embeddings=400) if family != "byt5" else tiny_hf(family)
    model = HookedEncoderDecoder(hf, ByT5Tokenizer())
    reading = read_sentence(model, f"x: {IMAGE} {OVERRIDE}", "ja [bold]")
    assert not intruders(explorer_page(reading.explorer, reading.prompt.title).decode())
    assert OVERRIDE[0] not in essence(reading, terminal=True)
    assert "[bold]" in essence(reading)
    assert visible(OVERRIDE) in essence(reading)


@pytest.mark.slow
def test_the_command_writes_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = json.dumps(["Thewoman", "is", "reading", "a", "book", "."])
    asked = ["show", SOURCE, "--target", TARGET, "--foil", "Der Mann liest.", "--words", words, "--out", "page.html"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "page.html"
    assert "·Der" in done.stdout
    assert "Thewoman" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    again = CliRunner().invoke(app, asked)
    assert (again.exit_code, "--overwrite" in again.stderr) == (2, True)
    assert CliRunner().invoke(app, [*asked, "--overwrite"]).exit_code == 0
    assert CliRunner().invoke(app, ["show", SOURCE]).exit_code == 0
    assert len(list(tmp_path.glob("reports/sentences/*-*.html"))) == 1


BAD = {
    "a row behind the end": (["--row", "99"], "not in the target"),
    "words of another text": (["--words", "The man"], "man"),
    "words that are no list": (["--words", '["The", 3]'], "no text"),
    "words that are no JSON": (["--words", '["The"'], "no JSON list"),
    "no page": (["--out", "file"], ".html"),
    "a blank target": (["--target", " "], "is blank"),
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
