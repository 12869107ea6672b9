"""Recordings: the samples of a sound, from an array or a WAV file. Nothing is resampled, mixed down or cut: it is refused."""

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.input_files import read_regular

GivenSound = str | Path | np.ndarray | Sequence[float]
"""The path of a WAV file, or samples between -1 and 1."""

_LARGEST_SAMPLE = 2.0
"""A little more than 1 is what filters leave; whole numbers of 16 bits are far above."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One sound.

    Attributes:
        name: of its file, or its place among the sounds that were given.
        samples: float32, between -1 and 1.
    """

    name: str
    samples: Float[np.ndarray, " sample"]


def read_recording(given: GivenSound, number: int, rate: int, longest: int, given_rate: int | None = None) -> Recording:
    """One sound, as a file or an array has it.

    Args:
        given: the path of a WAV file (PCM of 8, 16, 24 or 32 bits, one channel), or samples.
        number: its place among the sounds, from 1.
        rate: samples a second that the model reads.
        longest: most samples that it may have.
        given_rate: samples a second of an array; the model's by default. Files say it themselves.

    Raises:
        InputError: if it cannot be read, has another rate, more than one channel, no sample, or more than fit.
    """
    if isinstance(given, str | Path):
        name = Path(given).name
        samples, own = _of_file(Path(given))
    else:
        name, own = f"sound {number}", rate if given_rate is None else given_rate
        samples = _of_array(given, name)
    if own != rate:
        raise InputError(
            f"{name!r} has {own:,} samples a second and this model reads {rate:,}; convert it first "
            f"(`ffmpeg -i in.wav -ar {rate} -ac 1 out.wav`)."
        )
    if not 0 < len(samples) <= longest:
        raise InputError(
            f"{name!r} lasts {len(samples) / rate:.2f} s; from one sample to {longest / rate:g} s fit into one pass, so cut it "
            "where nobody speaks."
        )
    return Recording(name, samples)


def _of_array(given: np.ndarray | Sequence[float], name: str) -> Float[np.ndarray, " sample"]:
    samples = np.asarray(given)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise InputError(
            f"{name!r} is an array of {samples.dtype} with the shape {samples.shape}; give one channel of floating-point samples "
            "between -1 and 1 (16-bit whole numbers divided by 32768)."
        )
    if not np.isfinite(samples).all() or (samples.size and np.abs(samples).max() > _LARGEST_SAMPLE):
        raise InputError(
            f"{name!r} has samples that are not finite or larger than {_LARGEST_SAMPLE:g}; they are between -1 and 1 "
            "(16-bit whole numbers divided by 32768)."
        )
    return samples.astype(np.float32)


def _of_file(path: Path) -> tuple[Float[np.ndarray, " sample"], int]:
    """Samples and rate of a WAV file."""
    try:
        content = read_regular(path)
    except OSError as error:
        raise InputError(f"The sound {str(path)!r} cannot be read ({error.strerror}); give a WAV file.") from error
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, count = file.getparams()[:4]
            raw = file.readframes(count)
    except (wave.Error, EOFError) as error:
        raise InputError(
            f"{path.name!r} is no WAV file of whole-number samples ({str(error) or 'it ends too early'}); convert it first "
            "(`ffmpeg -i in -ar 16000 -ac 1 -c:a pcm_s16le out.wav`)."
        ) from error
    if channels != 1:
        raise InputError(f"{path.name!r} has {channels} channels; mix them down to one first (`ffmpeg -ac 1`).")
    if width not in (1, 2, 3, 4) or len(raw) != count * width:
        raise InputError(f"{path.name!r} says that it has {count:,} samples and is cut short; write it again.")
    return _samples(raw, width), rate


def _samples(raw: bytes, width: int) -> Float[np.ndarray, " sample"]:
    """Whole numbers of so many bytes, the lowest first, as samples: those of one byte have no sign."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    # Put on top of four bytes, so that the sign is where numpy looks for it.
    padded = np.zeros((len(raw) // width, 4), np.uint8)
    padded[:, 4 - width :] = np.frombuffer(raw, np.uint8).reshape(-1, width)
    return (padded.view("<i4")[:, 0] / 2**31).astype(np.float32)
