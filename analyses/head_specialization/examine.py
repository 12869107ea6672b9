"""What is known of a model's heads without the user's prompts: random repeats, position biases, and words aligned by hand."""

from analyses.core.contract import Arrays, Settings
from analyses.head_specialization.measure.parallel import examine_alignment
from analyses.head_specialization.measure.position import bias_tables
from analyses.head_specialization.measure.repeats import examine_repeats
from analyses.head_specialization.settings import HeadSettings
from interp.model.hooked_model import HookedEncoderDecoder


def examine(model: HookedEncoderDecoder, settings: Settings) -> Arrays:
    """The arrays of `repeats`, `position.bias_tables` and, if the settings ask for it, `parallel`."""
    assert isinstance(settings, HeadSettings)
    aligned = examine_alignment(model) if settings.parallel == "all" else {}
    return {**examine_repeats(model, settings), **bias_tables(model), **aligned}
