"""What is known of a model's heads without any prompt: random repeated sequences and the position-bias tables."""

from analyses.core.contract import Arrays, Settings
from analyses.head_specialization.measure.position import bias_tables
from analyses.head_specialization.measure.repeats import examine_repeats
from interp.model.hooked_model import HookedEncoderDecoder


def examine(model: HookedEncoderDecoder, settings: Settings) -> Arrays:
    """The arrays of `repeats` and `position.bias_tables`."""
    return {**examine_repeats(model, settings), **bias_tables(model)}
