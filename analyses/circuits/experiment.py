"""The experiment: a circuit is found and judged, on the model and on one untrained twin."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from analyses.circuits.fitting import prompt_pairs
from analyses.circuits.settings import CircuitSettings
from analyses.core.contract import Arrays
from interp.circuits import CircuitSearch, edge_weights, find_circuit, usable_pairs
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import PromptPair
from interp.text.batch import Batch

_SEED = 0
"""Of samples and of random circuits."""


def experiment(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: CircuitSettings) -> Arrays:
    """The circuit of the settings' pairs, and what it and others keep.

    Args:
        model: the model, or an untrained twin, which is told by not knowing the answers.
        batches: all prompts of the run, which are not asked about.
        settings: with pairs that are of use for the model.

    Returns:
        The arrays of `arrays.ARRAYS`, of a twin without random circuits; nothing where no pair is of use.
    """
    pairs = prompt_pairs(settings)
    if not pairs:
        return {}
    control = len(usable_pairs(model, pairs)[0]) < len(pairs)
    if control:
        return control_arrays(model, pairs, settings, _SEED)
    return arrays_of(model, search(model, pairs, settings, _SEED))


def control_arrays(
    twin: HookedEncoderDecoder, pairs: Sequence[PromptPair], settings: CircuitSettings, seed: int
) -> Arrays:
    """The arrays of an untrained twin; none where the corruption does not change its metric.

    Args:
        twin: the twin.
        pairs: those of the model.
        settings: as they were used on the model.
        seed: of the sample of edges.
    """
    try:
        return arrays_of(twin, search(twin, pairs, settings, seed, control=True))
    except InputError:
        return {}


def search(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    settings: CircuitSettings,
    seed: int,
    control: bool = False,
    batch_size: int = 16,
    least: int = 1,
) -> CircuitSearch:
    """The circuit of some pairs, as settings ask for it.

    Args:
        model: the model, or an untrained twin.
        pairs: the pairs.
        settings: method, metric, and how much is enough.
        seed: of samples and random circuits.
        control: whether it is a twin, see `find_circuit`.
        batch_size: pairs scored at once.
        least: how many pairs must be of use.

    Raises:
        InputError: if too few pairs are of use, or the corruption does not change the metric.
    """
    return find_circuit(
        model,
        pairs,
        settings.method,
        settings.metric,
        settings.keeps,
        settings.check,
        settings.draws,
        seed,
        batch_size,
        control,
        settings.needed,
        least,
    )


def arrays_of(model: HookedEncoderDecoder, found: CircuitSearch) -> Arrays:
    """A search as arrays.

    Args:
        model: the model that was searched.
        found: the search.
    """
    curves = (found.signed, found.absolute)
    arrays = {
        "scores": _numbers(found.scores.values),
        "circuit": found.circuit.kept.cpu().numpy(),
        "weights": _numbers(edge_weights(model, found.circuit.edges)),
        "kept": np.array([found.kept]),
        **{name: _numbers(getattr(found, name)) for name in ("alone", "whole", "empty")},
        "faithfulness": np.array([curve.values for curve in curves]),
        "sizes": np.array([curve.sizes for curve in curves]),
        "steps": np.array([found.scores.steps]),
    }
    if len(found.same_size):
        arrays |= {name: _numbers(getattr(found, name)) for name in ("same_size", "same_degree", "completeness")}
    if found.minimality is not None:
        one, number = found.minimality, found.circuit.graph.number
        arrays |= {"minimality": _numbers(one.values), "minimality_outside": _numbers(one.controls)}
        arrays |= {
            "needed": np.array([*map(number, one.inside)]),
            "lacking": np.array([*map(number, one.outside)], int),
        }
    if found.agreement is not None:
        check = found.agreement
        ranks = {"rank": check.rank, "rank_of_both": check.both}
        arrays |= {"sampled": np.array(check.numbers)}
        arrays |= {"exact": _numbers(check.exact), "restored": _numbers(check.restored)}
        arrays |= {name: np.array([rank.point, rank.low, rank.high]) for name, rank in ranks.items()}
        arrays |= {"error": np.array([check.error])}
    return arrays


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().to(torch.float32).cpu().numpy()
