"""Which pairs are of use for the model at hand?

Those whose corruption costs the answer its lead (`interp.circuits.usable_pairs`). Controls are asked about the same ones, so they
are chosen once, for the model.
"""

from collections.abc import Sequence
from dataclasses import asdict

from analyses.circuits.settings import CircuitSettings, FittedSettings, PairTexts
from interp.circuits import usable_pairs
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import PromptPair, candidate_pairs
from interp.text.batch import Batch


def prompt_pairs(settings: CircuitSettings) -> tuple[PromptPair, ...]:
    """The pairs of some settings.

    Args:
        settings: the settings.
    """
    numbered = enumerate(settings.pairs, start=1)
    return tuple(PromptPair(**{**pair.model_dump(), "id": pair.id or f"pair-{number}"}) for number, pair in numbered)


def fit(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: CircuitSettings) -> CircuitSettings:
    """The settings with pairs that are of use for a model.

    Args:
        model: the model.
        batches: all prompts; circuits are not asked about them.
        settings: as the user gave them.

    Raises:
        InputError: if no pair is of the kind asked for.
    """
    if model.tokenizer is None:
        return FittedSettings.model_construct(**{**dict(settings), "pairs": (), "given": bool(settings.pairs)})
    candidates = prompt_pairs(settings) or candidate_pairs(model.cfg)
    kinds = tuple(dict.fromkeys(pair.kind for pair in candidates))
    if settings.kind is not None and settings.kind not in kinds:
        raise InputError(f"No pair is of kind {settings.kind!r}; there are {', '.join(kinds)}.")
    usable, refused = usable_pairs(model, candidates)
    kind = settings.kind
    if kind is None and not settings.pairs:
        counts = {name: sum(pair.kind == name for pair in usable) for name in kinds}
        kind = max(counts, key=counts.__getitem__)  # the first of several
    asked = {pair.id for pair in candidates if kind is None or pair.kind == kind}
    chosen = [pair for pair in usable if pair.id in asked][: settings.most_pairs]
    return FittedSettings.model_construct(**{
        **dict(settings),
        "pairs": tuple(PairTexts(**asdict(pair)) for pair in chosen),
        "kind": kind,
        "refused": {name: why for name, why in refused.items() if name in asked},
        "given": bool(settings.pairs),
    })
