"""Do languages meet in the encoder, and do the two stacks, while a model learns?

    languages    a sentence under another task prefix is the nearest of all sentences under that prefix, by its mean state
    stacks       the mean encoder state nearest to a target's mean decoder state, of those under its prefix, is its own source's

Nearest is by cosine, after the mean over the prompts of a prefix (and stack) is taken out, since it is shared by all of them.
Chance is one over the number of candidates. A model that translates into two languages may keep them apart until its last
layers.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.statistics import merge_ties


def languages_meeting(
    states: Float[np.ndarray, "prompt space d_model"], sentences: Sequence[int], prefixes: Sequence[str]
) -> tuple[Float[np.ndarray, "prompt space"], float]:
    """For every prompt and space the share of other prefixes under which its sentence is found; and what chance gives.

    Args:
        states: mean state of every prompt's tokens in every space.
        sentences: number of every prompt's sentence.
        prefixes: its task prefix.

    Returns:
        NaN for prompts whose sentence stands under no other prefix; chance is NaN if that holds of all.
    """
    places = _places(prefixes)
    centered = _centered(states, list(places.values()))
    number = np.asarray(sentences)
    hits = np.full((len(places), *states.shape[:2]), np.nan)
    chances = []
    for index, (prefix, candidates) in enumerate(places.items()):
        for asker, other in enumerate(prefixes):
            own = np.flatnonzero(number[candidates] == number[asker])
            if other != prefix and len(own) and len(candidates) > 1:
                hits[index, asker] = _found(centered[asker], centered[candidates], own)
                chances.append(len(own) / len(candidates))
    told = ~np.isnan(hits)
    count = told.sum(0)
    total = np.where(told, hits, 0.0).sum(0)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean, float(np.mean(chances)) if chances else np.nan


def stacks_meeting(
    sources: Float[np.ndarray, "prompt d_model"],
    targets: Float[np.ndarray, "prompt space d_model"],
    prefixes: Sequence[str],
) -> tuple[Float[np.ndarray, "prompt space"], float]:
    """For every prompt and decoder space, whether its own source is the nearest; and what chance gives.

    Args:
        sources: mean encoder output of every prompt.
        targets: mean state of its target's tokens in every space of the decoder.
        prefixes: its task prefix.
    """
    places = _places(prefixes)
    groups = list(places.values())
    left, right = _centered(sources[:, None], groups), _centered(targets, groups)
    hits, chances = np.full(targets.shape[:2], np.nan), []
    for candidates in groups:
        if len(candidates) > 1:
            spread = np.broadcast_to(left[candidates], (len(candidates), *targets.shape[1:]))
            for own, asker in enumerate(candidates):
                hits[asker] = _found(right[asker], spread, np.array([own]))
            chances.append(1.0 / len(candidates))
    return hits, float(np.mean(chances)) if chances else np.nan


def _places(prefixes: Sequence[str]) -> dict[str, np.ndarray]:
    return {prefix: np.flatnonzero([one == prefix for one in prefixes]) for prefix in dict.fromkeys(prefixes)}


def _centered(states: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors after the mean of every group is taken out; zero where nothing is left."""
    found = np.array(states, dtype=np.float64)
    for group in groups:
        found[group] -= np.nanmean(found[group], axis=0, keepdims=True)
    length = np.linalg.norm(found, axis=-1, keepdims=True)
    return np.asarray(np.divide(found, length, out=np.zeros_like(found), where=length > 1e-12))


def _found(asker: np.ndarray, candidates: np.ndarray, own: np.ndarray) -> np.ndarray:
    """For every space whether one of `own` is the most similar of the candidates; several equally near ones share it."""
    cosines = merge_ties(np.einsum("sd,csd->sc", asker, candidates))
    best = cosines == cosines.max(1, keepdims=True)
    return np.asarray(best[:, own].sum(1) / best.sum(1))
