"""From the evidence to the result: a map of the words, how far their groups lie apart, and curves over the layers.

Groups are compared in every static space and correction, once with the words of one piece alone and once with means of
pieces added. The first row, one piece in the raw input embedding, was chosen before any number was seen; the others
say whether it depends on the choice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses._contract import Evidence
from analyses.embedding_geometry.examine import CORRECTIONS
from analyses.embedding_geometry.layers import LayerCurves, layer_curves
from analyses.embedding_geometry.settings import GeometrySettings
from analyses.embedding_geometry.spaces import STATIC_SPACES, decoder_spaces, encoder_spaces
from interp.clusters import Separation, SeparationTest, separation, separation_test
from interp.geometry import PrincipalMap, cosine_matrix, principal_map

SINGLE = "words of one piece"
ALL = "means of pieces added"


@dataclass(frozen=True, slots=True)
class Word:
    """A word: its group, its pieces, and what lies next to it in the raw and centred input embedding.

    Attributes:
        word: the word.
        group: its group.
        pieces: its pieces, with blanks between them.
        single: whether it is one piece.
        norm: length of its vector in the input embedding.
        neighbours: its nearest pieces in the input embedding, for every correction.
        cosines: their cosines.
        twin_cosines: cosine of the nearest piece in every untrained twin, for every correction.
    """

    word: str
    group: str
    pieces: str
    single: bool
    norm: float
    neighbours: dict[str, tuple[str, ...]]
    cosines: dict[str, tuple[float, ...]]
    twin_cosines: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The groups compared in one space.

    Attributes:
        space: the static space.
        correction: what was taken out of it.
        words: `SINGLE` or `ALL`.
        n_words: how many words that are.
        test: statistics, intervals and p-values of the model; None where there are too few such words.
        twins: the statistics of every untrained twin.
    """

    space: str
    correction: str
    words: str
    n_words: int
    test: SeparationTest | None
    twins: tuple[Separation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingGeometry:
    """The result.

    Attributes:
        words: the words in the order of their groups.
        map: principal components of the words in the raw input embedding.
        twin_maps: the same for every untrained twin.
        cosines: cosines of the words in the raw input embedding.
        comparisons: the groups compared, the primary comparison first.
        layers: curves over the contextual spaces.
        rows_of_kind: size of every part of the vocabulary, in the order of `interp.vocabulary.KINDS`.
        n_prompts: number of prompts.
        n_encoder_spaces: how many of the contextual spaces are the encoder's.
        target_origin: `given` or `generated`.
    """

    words: tuple[Word, ...]
    map: PrincipalMap
    twin_maps: tuple[PrincipalMap, ...]
    cosines: Float[np.ndarray, "word word"]
    comparisons: tuple[Comparison, ...]
    layers: LayerCurves
    rows_of_kind: tuple[int, ...]
    n_prompts: int
    n_encoder_spaces: int
    target_origin: str


def summarise(evidence: Evidence) -> EmbeddingGeometry:
    """The result of a run."""
    settings = evidence.settings
    assert isinstance(settings, GeometrySettings)
    encoder, decoder = encoder_spaces(evidence.cfg), decoder_spaces(evidence.cfg)
    vectors = evidence.model.weights["vectors"]
    return EmbeddingGeometry(
        words=_words(evidence, settings),
        map=principal_map(vectors[0, 0]),
        twin_maps=tuple(principal_map(twin.weights["vectors"][0, 0]) for twin in evidence.twins),
        cosines=cosine_matrix(vectors[0, 0]),
        comparisons=tuple(_comparisons(evidence, settings)),
        layers=layer_curves(encoder + decoder, evidence.model, evidence.twins, evidence.seed, settings.resamples),
        rows_of_kind=tuple(int(count) for count in evidence.model.weights["rows_of_kind"]),
        n_prompts=len(evidence.prompt_ids),
        n_encoder_spaces=len(encoder),
        target_origin=evidence.target_origin,
    )


def _words(evidence: Evidence, settings: GeometrySettings) -> tuple[Word, ...]:
    weights = evidence.model.weights
    labels = [(word, group) for group, words in settings.groups.items() for word in words]
    return tuple(
        Word(
            word=word,
            group=group,
            pieces=str(weights["word_pieces"][index]),
            single=bool(weights["n_pieces"][index] == 1),
            norm=float(weights["norms"][0, index]),
            neighbours={
                name: tuple(str(piece) for piece in weights["neighbour_pieces"][0, c, index] if piece)
                for c, name in enumerate(CORRECTIONS)
            },
            cosines={
                name: tuple(float(cosine) for cosine in weights["neighbour_cosines"][0, c, index])
                for c, name in enumerate(CORRECTIONS)
            },
            twin_cosines={
                name: tuple(float(twin.weights["neighbour_cosines"][0, c, index, 0]) for twin in evidence.twins)
                for c, name in enumerate(CORRECTIONS)
            },
        )
        for index, (word, group) in enumerate(labels)
    )


def _comparisons(evidence: Evidence, settings: GeometrySettings) -> list[Comparison]:
    """Every space, correction and choice of words, the primary comparison first."""
    groups = np.concatenate([np.full(len(words), index) for index, words in enumerate(settings.groups.values())])
    single = evidence.model.weights["n_pieces"] == 1
    subsets = {SINGLE: single, ALL: np.ones(len(groups), dtype=bool)}
    return [
        _compare(evidence, settings, (space, correction), name, kept, groups)
        for space in range(len(STATIC_SPACES))
        for name, kept in subsets.items()
        for correction in range(len(CORRECTIONS))
        if name == SINGLE or not single.all()
    ]


def _compare(
    evidence: Evidence,
    settings: GeometrySettings,
    place: tuple[int, int],
    name: str,
    kept: np.ndarray,
    groups: np.ndarray,
) -> Comparison:
    sizes = np.bincount(groups[kept], minlength=len(settings.groups))
    enough = (sizes > 0).sum() >= 2 and sizes.max() >= 2
    models = [evidence.model, *evidence.twins]
    cosines = [cosine_matrix(one.weights["vectors"][place][kept]) for one in models]
    labels = np.unique(groups[kept], return_inverse=True)[1]
    test = (
        separation_test(cosines[0], labels, evidence.seed, settings.permutations, settings.resamples)
        if enough
        else None
    )
    return Comparison(
        space=STATIC_SPACES[place[0]],
        correction=CORRECTIONS[place[1]],
        words=name,
        n_words=int(kept.sum()),
        test=test,
        twins=tuple(separation(cosine, labels) for cosine in cosines[1:]) if enough else (),
    )
