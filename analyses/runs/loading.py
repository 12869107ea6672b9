"""Loading the model of a run as its configuration asks for it."""

from analyses.runs.config import RunConfig
from interp.model.checkpoints import Checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.loading import load_checkpoint
from interp.model.placement import Placement


def load_for(config: RunConfig, checkpoint: Checkpoint, placement: Placement | None = None) -> HookedEncoderDecoder:
    """The model of a checkpoint as a configuration asks for it.

    Raises:
        InputError: as for `interp.load`.
    """
    return load_checkpoint(
        checkpoint, config.device, config.dtype, config.max_length, config.source_lang, config.target_lang, placement
    )
