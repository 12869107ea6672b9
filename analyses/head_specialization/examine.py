"""What is known of a model's heads without any prompt: random repeated sequences and the position-bias tables."""

from analyses._contract import Arrays, Settings
from analyses.head_specialization.position import bias_tables
from analyses.head_specialization.repeats import examine_repeats
from interp.model import HookedEncoderDecoder


def examine(model: HookedEncoderDecoder, settings: Settings) -> Arrays:
    """The arrays of `repeats` and `position.bias_tables`."""
    return {**examine_repeats(model, settings), **bias_tables(model)}
