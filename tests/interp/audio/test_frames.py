"""Frames: times, energies by hand, and the rule of categories on sounds whose parts are known."""

import numpy as np
import pytest

from interp.audio import SoundReader, categories_of_frames, energies
from interp.text.words import EVERY_CATEGORY, NO_WORD
from tests.support.models import extractor, tiny
from tests.support.sounds import RATE, silence, tone, vowel

WIDTH = 320


def named(samples: np.ndarray, n_frames: int = 50) -> list[str]:
    return [EVERY_CATEGORY[one] for one in categories_of_frames(samples, WIDTH, n_frames)]


def test_energies_are_mean_squares() -> None:
    samples = tone(0.1, hertz=500, size=0.6)
    found = energies(samples, WIDTH, 8)
    for frame in range(5):
        assert found[frame] == pytest.approx(np.mean(samples[frame * WIDTH : (frame + 1) * WIDTH] ** 2))
    assert found[0] == pytest.approx(0.18), "half of the square of a sine's size, over whole periods"
    assert (found[5:] == 0).all()


def test_speech_silence_and_padding_are_where_they_were_put() -> None:
    sound = np.concatenate([silence(0.1), vowel(0.2), silence(0.1), tone(0.2), silence(0.1)])
    assert (
        named(sound)
        == ["silence"] * 5 + ["speech"] * 10 + ["silence"] * 5 + ["speech"] * 10 + ["silence"] * 5 + ["padding"] * 15
    )


@pytest.mark.parametrize(("decibels", "category"), [(-35, "speech"), (-45, "silence")])
def test_forty_decibels_below_the_loudest_frame_is_silence(decibels: float, category: str) -> None:
    loud = tone(0.2, size=0.5)
    assert named(np.concatenate([loud, loud * 10 ** (decibels / 20)]))[15] == category


def test_a_faint_sound_has_no_speech() -> None:
    assert set(named(tone(0.2, size=1e-3))) == {"silence", "padding"}
    assert set(named(silence(0.2))) == {"silence", "padding"}


def test_a_frame_in_which_the_sound_ends_is_none_of_padding() -> None:
    assert named(tone(0.11))[4:7] == ["speech", "speech", "padding"]
    assert named(np.full(1, 0.5))[:2] == ["speech", "padding"], "one sample of 320 is 25 dB fainter"
    assert "padding" not in named(tone(1.0))


def test_a_reader_makes_frames_of_a_fiftieth_of_a_second() -> None:
    reader = SoundReader.of(extractor(), tiny("whisper").cfg)
    assert (reader.rate, reader.width, reader.seconds) == (RATE, WIDTH, 0.02)
    texts, features = reader.read([tone(0.3), vowel(0.5)])
    assert features.shape == (2, 14, 100)
    text = texts[1]
    assert text.pieces[:3] == ("0.00s", "0.02s", "0.04s")
    assert text.pieces[-1] == "0.98s"
    assert text.words == ()
    assert set(text.word_of_token) == {NO_WORD}
    assert len(text.ids) == 50


def test_the_spectrogram_of_a_tone_is_highest_where_the_tone_is() -> None:
    """Band by band, in the order of pitch: the mel scale rises, and so must the loudest band."""
    reader = SoundReader.of(extractor(), tiny("whisper").cfg)
    _, features = reader.read([tone(0.5, hertz) for hertz in (300, 1000, 3000, 6000)])
    loudest = features[:, :, 10:40].mean(-1).argmax(1).tolist()
    assert loudest == sorted(set(loudest))


def test_a_sound_is_read_alike_alone_and_beside_others() -> None:
    reader = SoundReader.of(extractor(), tiny("whisper").cfg)
    one, other = vowel(0.4), tone(0.9, size=0.05)
    together = reader.read([one, other])[1]
    apart = [reader.read([sound])[1][0] for sound in (one, other)]
    for row, alone in zip(together, apart, strict=True):
        np.testing.assert_allclose(row.numpy(), alone.numpy(), atol=1e-6)
