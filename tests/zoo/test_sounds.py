"""Animals that hear: sounds, texts and generations are those of plain transformers on the same files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

import interp
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.sounds import RATE, sound, write_wav
from tests.support.zoo import LISTENERS, Home

SOUNDS = [sound(1.2), sound(0.7, 1)]
TARGETS = [" The dog is here.", " A cat sleeps under the old table."]
Load = Callable[[str], HookedEncoderDecoder]


def language(name: str) -> dict[str, str]:
    return {} if name.endswith(".en") else {"target_lang": "de"}


def host(name: str, home: Home) -> tuple[WhisperForConditionalGeneration, WhisperProcessor]:
    model = WhisperForConditionalGeneration.from_pretrained(home(name), attn_implementation="eager").eval()
    told = {} if name.endswith(".en") else {"language": "de", "task": "transcribe"}
    return model, WhisperProcessor.from_pretrained(home(name), **told)


@pytest.mark.parametrize("name", LISTENERS)
def test_sounds_and_texts_are_what_the_host_makes_of_them(name: str, home: Home, load: Load, tmp_path: Path) -> None:
    model, processor = host(name, home)
    files = [write_wav(tmp_path / f"{place}.wav", one, width=4) for place, one in enumerate(SOUNDS)]
    wanted = processor(audio=SOUNDS, sampling_rate=RATE, text=TARGETS)
    for given in (SOUNDS, files):
        batch = load(name).batch(audio=given, targets=TARGETS, **language(name))
        features = torch.tensor(wanted["input_features"])
        torch.testing.assert_close(batch["input_features"], features, atol=2e-5, rtol=1e-5)
        for row, ids in enumerate(wanted["labels"]):
            assert ids[0] == model.config.decoder_start_token_id
            assert batch.labels[row, : len(ids) - 1].tolist() == ids[1:]
            assert batch.decoder_input_ids[row, : len(ids) - 1].tolist() == ids[:-1]
            text = batch.target_texts[row]
            assert [text.ids[place] for place in text.forced] == list(processor.tokenizer.prefix_tokens)[1:]
        with torch.no_grad():
            got, logits = load(name)(batch), model(**batch).logits
        assert torch.equal(got[batch.target_mask], logits[batch.target_mask])


@pytest.mark.parametrize("name", LISTENERS)
def test_what_is_written_is_what_the_hosts_own_generation_writes(name: str, home: Home, load: Load) -> None:
    """The host's `generate` for speech begins texts by itself and obeys the same lists of forbidden tokens."""
    model, processor = host(name, home)
    features = processor(audio=SOUNDS, sampling_rate=RATE, return_tensors="pt").input_features
    told = {} if name.endswith(".en") else {"language": "de", "task": "transcribe"}
    wanted = model.generate(features, max_new_tokens=9, **told)
    batch = load(name).batch(audio=SOUNDS, max_new_tokens=9, **language(name))
    end = model.config.eos_token_id
    muted = {*model.generation_config.suppress_tokens, *model.generation_config.begin_suppress_tokens}
    assert muted
    assert batch.target_origin == "generated"
    for row, text in zip(wanted.tolist(), batch.target_texts, strict=True):
        written = [token for place, token in enumerate(text.ids) if place not in text.forced and token != end]
        theirs = [
            token
            for token in row
            if token not in (end, *text.ids[: len(text.forced)], model.config.decoder_start_token_id)
        ]
        assert written == theirs
        assert written
        assert not muted & set(written[:1])
        assert text.text == processor.tokenizer.decode(written)


def test_a_text_is_gone_on_with_behind_its_marks(load: Load) -> None:
    model = load("whisper-tiny")
    written = model.generate(
        audio=SOUNDS,
        names_filter="decoder.0.hook_resid_post",
        max_new_tokens=4,
        target_prefix=" The dog",
        target_lang="en",
    )
    assert all(text.startswith(" The dog") for text in written.texts)
    first = written.batch.target_texts[0]
    assert first.pieces[:6] == ("<|en|>", "<|transcribe|>", "<|notimestamps|>", "Ġ", "The", "Ġdog")
    assert first.forced == (0, 1, 2, 3, 4, 5)
    with torch.no_grad():
        logits = model(written.batch)
    rows = written.batch.target_mask & ~written.forced
    torch.testing.assert_close(written.logits[rows], logits[rows], atol=1e-4, rtol=1e-4)


def test_texts_fit_into_the_positions_that_there_are(load: Load) -> None:
    model = load("whisper-tiny.en")
    batch = model.batch(audio=SOUNDS[1], max_new_tokens=10_000)
    assert batch.labels.shape[1] <= 448
    with torch.no_grad():
        assert torch.isfinite(model(batch)).all()


def test_the_language_is_never_guessed(load: Load) -> None:
    model = load("whisper-tiny")
    assert len(model.languages.codes) == 99
    with pytest.raises(InputError, match=r"give --target-lang \(target_lang\): af, am"):
        model.batch(audio=SOUNDS[0])
    with pytest.raises(InputError, match="no language 'zz'"):
        model.batch(audio=SOUNDS[0], target_lang="zz")
    with pytest.raises(
        InputError, match="Sources of this model are sounds, which nothing marks, so --source-lang 'de'"
    ):
        model.batch(audio=SOUNDS[0], source_lang="de")
    assert model.tokenizer.language is None, "the tokenizer is left as it was"


def test_a_language_of_the_tokenizers_files_is_taken(home: Home, tmp_path: Path) -> None:
    folder = shutil.copytree(home("whisper-tiny"), tmp_path / "tuned")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    for said in ("german", "de"):
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"language": said, "task": "translate"}))
        model = interp.load(folder, device="cpu")
        assert model.languages.target == "de"
        text = model.batch(audio=SOUNDS[0], targets=TARGETS[:1]).target_texts[0]
        assert text.pieces[:3] == ("<|de|>", "<|translate|>", "<|notimestamps|>")


def test_other_kinds_of_sources_are_refused(load: Load, bundled: HookedEncoderDecoder) -> None:
    model = load("whisper-tiny.en")
    for call in (lambda: model.batch("text"), lambda: model.batch(ids=[[5]]), lambda: model.unanswered(["text"])):
        with pytest.raises(InputError, match=r"This model reads sounds \(source='audio'\), no texts"):
            call()
    with pytest.raises(InputError, match="got two of them"):
        model.batch("text", audio=SOUNDS[0])
    with pytest.raises(InputError, match=r"This model reads texts \(source='tokens'\)"):
        bundled.batch(audio=SOUNDS[0])
    with pytest.raises(InputError, match="Got 2 sounds and 1 targets"):
        model.batch(audio=SOUNDS, targets=TARGETS[:1])
    with pytest.raises(InputError, match="at least one sound"):
        model.batch(audio=[])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "wrapped without a feature extractor"),
        ({"feature_size": 10**9}, "feature_size = 1000000000; it is a whole number from 1 to 65,536"),
        ({"n_fft": True}, "n_fft = True"),
        ({"chunk_length": 30}, "spectrograms of 80 bands and 3000 columns, and the model reads 80 and 200"),
        ({"feature_size": 128}, "128 bands"),
        ("[]", "holds a list, not settings"),
        ({"feature_extractor_type": "NoSuchExtractor"}, "cannot be used"),
    ],
)
def test_settings_of_sounds_that_do_not_fit_are_refused(
    settings: object, message: str, home: Home, tmp_path: Path
) -> None:
    folder = shutil.copytree(home("whisper-tiny.en"), tmp_path / "copy")
    path = folder / "preprocessor_config.json"
    own = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    if settings is not None:
        path.write_text(settings if isinstance(settings, str) else json.dumps({**own, **settings}), encoding="utf-8")  # type: ignore[dict-item]
    with pytest.raises(InputError, match=message):
        interp.load(folder, device="cpu").batch(audio=SOUNDS[0])
