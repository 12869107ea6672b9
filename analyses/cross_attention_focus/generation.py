"""The same numbers while the model writes: every decoder step as it happens, with the key-value cache on.

A generation's cache is laid out like that of one teacher-forced pass over the tokens it wrote, and equals it up to rounding, so
`observe` serves both; what differs is whose words the decoder reads, and `Batch.target_origin` says which.
"""

from collections.abc import Sequence

from analyses.core.contract import Arrays, Pass
from analyses.cross_attention_focus.measure.observe import HOOKS, observe
from analyses.cross_attention_focus.settings import FocusSettings
from interp.model.generation import Decoding, Generation
from interp.model.hooked_model import HookedEncoderDecoder


def observe_generation(
    model: HookedEncoderDecoder,
    sources: Sequence[str],
    decoding: Decoding | None = None,
    settings: FocusSettings | None = None,
) -> tuple[Generation, Arrays]:
    """Let the model write, and observe every step.

    Args:
        model: a model with a tokenizer.
        sources: source texts with their prefixes.
        decoding: how tokens are chosen; greedily by default.
        settings: as for `observe`.

    Returns:
        What was written, and the numbers of `observe`, one row a source.
    """
    written = model.generate(list(sources), HOOKS, decoding)
    run = Pass(model, written.batch, written.logits, written.cache, settings or FocusSettings())
    return written, observe(run)
