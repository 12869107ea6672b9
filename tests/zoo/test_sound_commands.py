"""Commands on a model that hears, as a user types them; what adds up, adds up in groups of frames too."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from analyses.cli import app
from analyses.commands.families import describe_all
from analyses.head_specialization import heads
from analyses.logit_attribution.attribute import explain
from analyses.sentence import read_sentence
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.audio import spans_of
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.speech import by_span, frame_contributions, word_times
from tests.support.sounds import silence, sound, write_wav
from tests.support.zoo import Home

TARGET = " A cat sleeps under the table."
Load = Callable[[str], HookedEncoderDecoder]
NAME = "whisper-tiny.en"


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "speech.wav", sound(1.3, 1))


def call(*arguments: object, expected: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(one) for one in arguments])
    assert done.exit_code == expected, done.output
    return done.output


def test_a_sound_is_written_down(home: Home, load: Load, wav: Path) -> None:
    lines = call("generate", "--audio", wav, "--audio", wav, "--top", 0, "--model", home(NAME)).splitlines()
    wanted = load(NAME).batch(audio=wav).target_texts[0].text
    assert lines[0] == lines[1]
    assert lines[0].encode() == wanted.splitlines()[0].encode("utf-8", "backslashreplace") or lines[0][:8] == wanted[:8]


def test_what_a_sound_adds_to_a_token_adds_up_in_groups_of_frames(load: Load, wav: Path) -> None:
    model = load(NAME)
    told = explain(model, "", TARGET, position=4, audio=wav)
    batch = model.batch(targets=[TARGET], audio=wav)
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, [*decomposition_hooks(model.cfg), "decoder.*.cross_attn.hook_v"])
        tokens = label_tokens(batch)
        found = decompose(model, cache, logit_difference(model, logits, tokens, runner_up(model, logits, tokens)))
        frames = frame_contributions(model, cache, found).sum((1, 2))[0, 4]
    spans = spans_of(batch.source_texts[0].category_of_token, 0.02)
    rows, last = told.sources.iloc[:-1], told.sources.iloc[-1]
    assert rows["source token"].tolist() == [one.label for one in spans]
    assert rows["category"].tolist()[-1] == "padding"
    assert (rows["category"] == "speech").any()
    assert (rows["category"] == "silence").any()
    crossing = told.components[told.components["component"].str.match(r"XL\d+H\d+$")]["contribution"].sum()
    assert told.sources["contribution"].sum() == pytest.approx(crossing, abs=1e-4)
    # The bias of the values has a row of its own there, and is in every frame here.
    assert rows["contribution"].sum() + last["contribution"] == pytest.approx(float(frames.sum()), abs=1e-4)
    assert float(by_span(frames, spans).sum()) == pytest.approx(float(frames.sum()), abs=1e-4)
    assert told.gap < 2e-5
    assert told.source == "speech.wav"


def test_a_foil_of_a_sound_is_another_text(load: Load, wav: Path) -> None:
    told = explain(load(NAME), "", TARGET, foil=" A cat walks.", audio=wav)
    assert told.label != told.foil
    assert told.position > 1


def test_a_page_of_a_sound_shows_groups_of_frames(home: Home, load: Load, wav: Path, tmp_path: Path) -> None:
    reading = read_sentence(load(NAME), "", TARGET, audio=wav)
    shown = reading.prompt.patterns
    spans = spans_of(load(NAME).batch(targets=[TARGET], audio=wav).source_texts[0].category_of_token, 0.02)
    assert shown.source_tokens == tuple(one.label for one in spans)
    assert shown.cross.shape[-1] == len(spans)
    np.testing.assert_allclose(shown.cross.sum(-1), 1, atol=1e-4)
    arguments = [
        "show",
        "--audio",
        wav,
        "--target",
        TARGET,
        "--model",
        home(NAME),
        "--no-open",
        "--out",
        tmp_path / "s.html",
    ]
    assert "0.00-0.20s" in call(*arguments)
    assert "speech.wav" in (tmp_path / "s.html").read_text(encoding="utf-8")


def test_a_page_of_an_attribution_says_the_command_that_makes_it_again(home: Home, wav: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    call("attribute", "--audio", wav, "--target", TARGET, "--model", home(NAME), "--out", out)
    page = out.read_text(encoding="utf-8")
    assert "interp attribute --audio" in page
    assert "1.30-2.00s" in page


def test_words_are_timed_and_compared_with_given_times(home: Home, load: Load, wav: Path, tmp_path: Path) -> None:
    model = load(NAME)
    batch = model.batch(targets=[TARGET], audio=wav)
    _, cache = model.run_with_cache(batch, "decoder.*.cross_attn.hook_pattern")
    found = word_times(model, batch, cache)
    assert [one.word for one in found] == ["A", "cat", "sleeps", "under", "the", "table"]
    starts = [one.start for one in found]
    assert starts == sorted(starts)
    assert all(one.start <= one.end <= 1.3 + 1e-9 for one in found)
    lines = "".join(f"{one.start:.2f}\t{one.end:.2f}\t{one.word}\n" for one in found)
    (tmp_path / "words.txt").write_text(lines, encoding="utf-8")
    out = call("listen", wav, "--target", TARGET, "--times", tmp_path / "words.txt", "--model", home(NAME), "--top", 2)
    assert "Words begin 0.000 s from their true times; spread evenly over the speech" in out
    assert "notimestamps" in out
    other = call("listen", wav, "--target", TARGET, "--heads", "XL0H1, XL1H3", "--model", home(NAME), "--top", 0)
    assert other.count("start (s)") == 1
    wrong = call("listen", wav, "--heads", "XL9", "--model", home(NAME), expected=2)
    assert "is no head label" in wrong


def test_times_in_silence_and_of_a_target_without_an_end_are_said_to_mean_little(home: Home, tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "silence.wav", silence(1.0))
    out = call("listen", wav, "--model", home(NAME), "--max-length", 12, "--top", 0)
    assert "No frame of this sound is loud enough for speech" in out
    assert "The generated target met the length limit before its end" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "the sources are sounds without words (source='audio')"),
        (["plan"], "A run needs the tokens of a source text"),
        (["tokens", "text"], "reads sounds (source='audio'), which have no tokens"),
        (["show", "text"], "This model reads sounds (source='audio'), no texts"),
        (["attribute", "text"], "This model reads sounds (source='audio'), no texts"),
        (["generate", "text"], "This model reads sounds (source='audio'), no texts"),
        (["heads", "--limit", "4"], "Roles of heads cannot be decided on this model: the sources are sounds"),
    ],
)
def test_what_reads_words_is_refused_naming_the_attribute(
    words: list[str], message: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in " ".join(call(*words, "--model", home(NAME), expected=2).split())
    assert not list(tmp_path.iterdir()), "nothing is half written"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate"], "Give sources of one kind"),
        (["generate", "text", "--audio", "a.wav"], "Give sources of one kind"),
        (["show"], "Give one source"),
        (["show", "text", "--audio", "a.wav"], "Give one source"),
        (["show", "--audio", "a.wav", "--words", "a b"], "words (--words) are those of a text"),
        (["attribute", "text", "--audio", "a.wav"], "--audio is a source of its own"),
        (["attribute", "--audio", "a.wav", "--sources", "all"], "--audio is a source of its own"),
        (["attribute"], "There is nothing to explain"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(words: list[str], message: str) -> None:
    assert message in " ".join(call(*words, expected=2).split())


def test_a_text_model_hears_nothing(wav: Path) -> None:
    assert "This model reads texts (source='tokens')" in call("listen", wav, expected=2)


def test_roles_of_heads_are_not_decided_on_sounds(load: Load, wav: Path) -> None:
    model = load(NAME)
    with pytest.raises(InputError, match="source='audio'"):
        heads(model, model.batch(audio=wav, targets=[TARGET]), twins=0)


def test_the_list_of_families_says_what_is_made_of_sounds() -> None:
    rows = dict(describe_all())
    assert rows["whisper"].startswith("made: hooks, generation, attribution to frames")
    assert "left out: head_specialization, cross_attention_focus" in rows["whisper"]
    assert rows["distil-whisper"] == "is whisper."
    assert "sounds" not in rows["t5"]
