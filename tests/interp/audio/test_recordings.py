"""Recordings: whole numbers of every width, what is refused, and in which words."""

import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from interp.audio import read_recording
from interp.errors import InputError
from tests.support.sounds import RATE, tone, write_wav


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_every_width_are_those_that_were_written(width: int, tmp_path: Path) -> None:
    samples = np.concatenate([tone(0.05, 997, size=0.9), [-1.0, 0.0, 1.0]])
    read = read_recording(write_wav(tmp_path / "a.wav", samples, width=width), 1, RATE, RATE)
    assert read.name == "a.wav"
    assert read.samples.dtype == np.float32
    np.testing.assert_allclose(read.samples, samples, atol=1.6 * 2.0 ** (1 - 8 * width))
    assert read.samples[-3] == pytest.approx(-1, abs=0.01)


def test_an_array_is_taken_as_it_is() -> None:
    samples = tone(0.1)
    for given in (samples, samples.astype(np.float32), samples.tolist()):
        read = read_recording(given, 3, RATE, RATE)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read.samples, samples.astype(np.float32))
        assert read.name == "sound 3"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 100)), r"shape \(2, 100\); give one channel"),
        (np.zeros(100, dtype=np.int16), "an array of int16"),
        (np.array([0.0, np.nan]), "not finite or larger than 2"),
        (np.array([0.0, 12_000.0]), "not finite or larger than 2"),
        (np.zeros(0), "lasts 0.00 s; from one sample to 1 s fit"),
        (np.zeros(RATE + 1), "lasts 1.00 s; from one sample to 1 s fit"),
        (np.zeros(2 * RATE), "lasts 2.00 s; from one sample to 1 s fit into one pass, so cut it"),
    ],
)
def test_what_is_no_sound_is_refused(given: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recording(given, 1, RATE, RATE)


def test_other_rates_are_refused_and_never_resampled(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 44,100 samples a second and this model reads 16,000; convert it first"):
        read_recording(write_wav(tmp_path / "a.wav", tone(0.1), rate=44_100), 1, RATE, RATE)
    with pytest.raises(InputError, match="'sound 1' has 8,000 samples a second"):
        read_recording(tone(0.1), 1, RATE, RATE, given_rate=8_000)


def test_two_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 2 channels; mix them down"):
        read_recording(write_wav(tmp_path / "a.wav", tone(0.1), channels=2), 1, RATE, RATE)


def test_files_that_are_no_sounds_are_refused(tmp_path: Path) -> None:
    whole = write_wav(tmp_path / "a.wav", tone(0.1)).read_bytes()
    # The format of floating-point samples is 3, which is not read.
    floating = whole[:20] + struct.pack("<H", 3) + whole[22:]
    for content, message in (
        (b"", "no WAV file"),
        (b"ID3 an mp3", "no WAV file"),
        (whole[:30], "no WAV file"),
        (whole[:-100], "is cut short"),
        (floating, "no WAV file of whole-number samples"),
    ):
        (tmp_path / "b.wav").write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_recording(tmp_path / "b.wav", 1, RATE, RATE)
    with pytest.raises(InputError, match="cannot be read"):
        read_recording(tmp_path / "none.wav", 1, RATE, RATE)
    with pytest.raises(InputError, match="cannot be read"):
        read_recording(str(tmp_path), 1, RATE, RATE)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="cannot be read"):
        read_recording(tmp_path / "pipe.wav", 1, RATE, RATE)


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(0.01))
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 2**31 - 2)
    path.write_bytes(bytes(content))
    with pytest.raises((InputError, wave.Error), match="cut short"):
        read_recording(path, 1, RATE, RATE)
