"""Reading sounds as a model does: samples become a log-mel spectrogram by the host's own feature extractor, and frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from interp.audio.frames import as_text, categories_of_frames
from interp.audio.recordings import GivenSound, read_recording
from interp.errors import InputError
from interp.text.tokenized_text import Text

if TYPE_CHECKING:
    from interp.families.config import ModelConfig

EXTRACTOR_SETTINGS = "preprocessor_config.json"
"""The file of a checkpoint that says how sounds become spectrograms."""


@dataclass(frozen=True, slots=True)
class SoundReader:
    """Makes sources of sounds for one model.

    Attributes:
        extractor: the host's feature extractor.
        n_frames: source positions of the model.
    """

    extractor: Any
    n_frames: int

    @classmethod
    def of(cls, extractor: Any, cfg: "ModelConfig") -> "SoundReader":
        """The reader of a model.

        Args:
            extractor: its feature extractor.
            cfg: its facts.

        Raises:
            InputError: if the extractor makes other spectrograms than the model reads.
        """
        if cfg.source != "audio" or cfg.n_frames is None:
            raise InputError(f"A feature extractor is for models that read sounds; this one has source={cfg.source!r}.")
        made = (extractor.feature_size, extractor.nb_max_frames)
        if made != (cfg.n_mels, 2 * cfg.n_frames):
            raise InputError(
                f"The feature extractor makes spectrograms of {made[0]} bands and {made[1]} columns, and the model reads "
                f"{cfg.n_mels} and {2 * cfg.n_frames}; check that the files belong together."
            )
        return cls(extractor, cfg.n_frames)

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self.extractor.sampling_rate)

    @property
    def width(self) -> int:
        """Samples a frame: two columns of the spectrogram."""
        return 2 * int(self.extractor.hop_length)

    @property
    def seconds(self) -> float:
        """How long a frame lasts; 0.02 in all public models."""
        return self.width / self.rate

    def read(
        self, sounds: Sequence[GivenSound], given_rate: int | None = None
    ) -> tuple[list[Text], Float[Tensor, "batch mel column"]]:
        """Sounds as frames, and their spectrograms.

        Args:
            sounds: paths of WAV files, or samples.
            given_rate: samples a second of arrays.

        Raises:
            InputError: as for `read_recording`.
        """
        longest = self.n_frames * self.width
        read = [read_recording(one, place, self.rate, longest, given_rate) for place, one in enumerate(sounds, 1)]
        texts = [
            as_text(one.name, categories_of_frames(one.samples, self.width, self.n_frames), self.seconds)
            for one in read
        ]
        samples = [one.samples for one in read]
        made = self.extractor(samples, sampling_rate=self.rate, return_tensors="pt", max_length=longest)
        return texts, made["input_features"]
