"""Which pairs are of use for the model at hand?

Those whose corruption costs the answer its lead (`interp.circuits.usable_pairs`). Controls are asked about the same ones, so they
are chosen once, for the model. Of the bundled pairs at least four of one kind must be of use: a model of another task turns on
one or another of them by accident.
"""

from collections.abc import Sequence
from dataclasses import asdict

from analyses.circuits.settings import CircuitSettings, FittedSettings, PairTexts
from interp.circuits import LEAST_APART, usable_pairs, why_too_few
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import PromptPair, candidate_pairs
from interp.text.batch import Batch

_NO_TOKENIZER = "No circuit was sought: there is no tokenizer to read pairs with."


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
        return FittedSettings.model_construct(**{**dict(settings), "pairs": (), "lacking": _NO_TOKENIZER})
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
    chosen = [pair for pair in usable if pair.id in asked]
    reasons = {name: why for name, why in refused.items() if name in asked}
    of_kind = "" if kind is None else f" of kind {kind}"
    least, whose = (1, "pairs given") if settings.pairs else (LEAST_APART, f"bundled pairs{of_kind}")
    lacking = why_too_few(len(chosen), reasons, least, whose)
    return FittedSettings.model_construct(**{
        **dict(settings),
        "pairs": tuple(PairTexts(**asdict(pair)) for pair in chosen[: settings.most_pairs if lacking is None else 0]),
        "kind": kind,
        "refused": reasons,
        "lacking": lacking or "",
    })
