"""Sounds made by code: tones, vowels of three formants, silence, and WAV files of them."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

RATE = 16_000

VOWELS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
"""First three formants of a man's vowels in hertz (Peterson and Barney 1952)."""


def times(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE)) / RATE


def tone(seconds: float, hertz: float = 440.0, size: float = 0.5) -> np.ndarray:
    """A sine."""
    return size * np.sin(2 * np.pi * hertz * times(seconds))


def vowel(seconds: float, name: str = "a", pitch: float = 120.0, size: float = 0.5) -> np.ndarray:
    """Harmonics of a pitch, the stronger the nearer they are to a formant."""
    harmonics = pitch * np.arange(1, int(RATE / 2 / pitch))
    strength = sum(1 / (1 + ((harmonics - formant) / 80) ** 2) for formant in VOWELS[name])
    made = (strength[:, None] * np.sin(2 * np.pi * harmonics[:, None] * times(seconds))).sum(0)
    return size * made / np.abs(made).max()


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE))


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """A vowel, silence and a tone, all of which depend on the seed."""
    name = "aiu"[seed % 3]
    third = seconds / 3
    parts = vowel(third, name, 100 + 20 * seed), silence(third), tone(third, 300 + 150 * seed)
    return np.concatenate(parts)


def write_wav(
    path: Path, samples: Sequence[float] | np.ndarray, rate: int = RATE, width: int = 2, channels: int = 1
) -> Path:
    """A WAV file of whole numbers of so many bytes."""
    whole = np.round(np.asarray(samples) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    raw = (whole + 128).astype(np.uint8) if width == 1 else whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(raw.reshape(len(whole), -1), channels, 0).tobytes())
    return path
