"""Feature extractors: how a checkpoint's sounds become spectrograms, read from its files before anything is made of them."""

from typing import Any

from transformers import AutoFeatureExtractor

from interp.audio.sound_reader import EXTRACTOR_SETTINGS
from interp.errors import InputError
from interp.families.table import FAMILIES
from interp.model.checkpoint_files import read_settings
from interp.model.checkpoints import Checkpoint, first_line, read_host_config

_LARGEST = 2**16
"""Larger numbers of bands, samples or seconds would fill the memory before they could be seen to be wrong."""


def read_extractor(checkpoint: Checkpoint) -> Any:
    """The feature extractor of a checkpoint; None for models that read no sounds, and where there is no file for one.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: if the file cannot be read.
    """
    family = FAMILIES[read_host_config(checkpoint)["model_type"]]
    path = checkpoint.folder / EXTRACTOR_SETTINGS
    if family.host.constants.get("source") != "audio" or not path.is_file():
        return None
    settings = read_settings(path, checkpoint.name)
    for name in ("feature_size", "sampling_rate", "hop_length", "chunk_length", "n_fft"):
        value = settings.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
            raise InputError(
                f"The {EXTRACTOR_SETTINGS} of {checkpoint.name!r} has {name} = {value!r}; it is a whole number from 1 to "
                f"{_LARGEST:,}. Check the file."
            )
    try:
        return AutoFeatureExtractor.from_pretrained(checkpoint.folder, local_files_only=True)
    except Exception as error:  # on files that others wrote the host may raise anything
        raise InputError(
            f"The {EXTRACTOR_SETTINGS} of {checkpoint.name!r} cannot be used: {first_line(error)}"
        ) from error
