"""Word links of one aligner that the caller chose, with the share of each target word's reading that lies on the link."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analyses.cross_attention_focus.alignment.evaluation import matrices_of
from analyses.cross_attention_focus.alignment.extract import Conventions, read_links
from analyses.cross_attention_focus.alignment.gold import ScoredLinks
from analyses.cross_attention_focus.alignment.texts import AlignedPair
from interp.errors import InputError, did_you_mean
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder


def chosen_links(
    model: HookedEncoderDecoder, pairs: Sequence[AlignedPair], aligner: str, conventions: Conventions
) -> list[ScoredLinks]:
    """The links of every pair.

    Args:
        model: the model; targets are given to its decoder.
        pairs: sentence pairs; links count their words.
        aligner: a head (`XL2H4`, `XL2H4 norm`), a layer (`layer 2`), or a flow (`alti layer 3`, `rollout layer 3`).
        conventions: how links are read.

    Raises:
        InputError: if the model has no such aligner.
    """
    found: list[ScoredLinks] = []
    for matrices, source, target in matrices_of(model, pairs):
        matrix = matrices[_resolve(aligner, tuple(matrices))][: len(target), : len(source)]
        (links,) = read_links(matrix[None], source, target, conventions)
        shares = _shares(matrix, np.array(source), np.array(target), conventions)
        found.append({link: float(shares[link[1], link[0]]) for link in sorted(links)})
    return found


def default_aligner(cfg: ModelConfig) -> str:
    """The layer before the last, mean over heads (Garg et al. 2019); of one layer, that one.

    Args:
        cfg: the model's facts.
    """
    return f"layer {max(cfg.n_decoder_layers - 2, 0)}"


def _resolve(aligner: str, known: tuple[str, ...]) -> str:
    name = " ".join(aligner.split())
    found = next((one for one in (name, f"{name} raw") if one in known), None)
    if found is None:
        if name.startswith(("X", "E", "D")):
            HeadId.parse(name.split()[0])
        raise InputError(
            f"No aligner is called {aligner!r}{did_you_mean(name, known)}; give a cross-attention head (XL2H4), a layer "
            "(layer 2), either followed by `norm`, or a flow (alti layer 3, rollout layer 3) of this model."
        )
    return found


def _shares(
    matrix: Float[np.ndarray, "target source"], source: np.ndarray, target: np.ndarray, conventions: Conventions
) -> Float[np.ndarray, "target_word source_word"]:
    """Mean over a target word's rows of what they read of each source word; masked readings are shares of the words alone."""
    rows, words = (matrix, target) if conventions.step == "output" else (matrix[1:], target[:-1])
    by_word = rows @ (source[:, None] == np.arange(source.max() + 1))
    if conventions.masked:
        by_word = by_word / np.maximum(by_word.sum(1, keepdims=True), np.finfo(by_word.dtype).tiny)
    of_word = (words == np.arange(words.max() + 1)[:, None]).astype(matrix.dtype)
    return np.asarray(of_word @ by_word / np.maximum(of_word.sum(1, keepdims=True), 1))
