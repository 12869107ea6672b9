"""What a run was trained on and from, told by digests, so that a model card can name its data without shipping them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run comes from.

    Attributes:
        pairs: how many translation pairs it was given.
        pairs_sha256: digest of the pairs, as the lines of an uncompressed pair file.
        start_sha256: digest of the weights it started from, all their files in a row, or None for fresh weights.
    """

    pairs: int
    pairs_sha256: str
    start_sha256: str | None


def origin(pairs: Sequence[TranslationPair], start: Path | None) -> Origin:
    """The origin of a run on `pairs`, started from the checkpoint folder `start` or from fresh weights.

    Raises:
        InputError: if the folder holds no weights.
    """
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(f"{pair.corpus}\t{pair.language}\t{pair.source}\t{pair.target}\n".encode())
    return Origin(len(pairs), digest.hexdigest(), None if start is None else _weights(start))


def _weights(start: Path) -> str:
    files = sorted(start.glob("*.safetensors")) or sorted(start.glob("pytorch_model*.bin"))
    if not files:
        raise InputError(f"There are no weights in {str(start)!r}. Give the folder of a checkpoint.")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
