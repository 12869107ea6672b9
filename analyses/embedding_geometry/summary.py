"""From the evidence to the result: one frozen noun that holds every part of the analysis."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Evidence
from analyses.embedding_geometry.comparisons import (
    Comparison,
    Matched,
    encoder_comparisons,
    matched_words,
    static_comparisons,
)
from analyses.embedding_geometry.contexts import ContextCurves, context_curves
from analyses.embedding_geometry.correspondence import Correspondence, correspondence
from analyses.embedding_geometry.layers import LayerCurves, layer_curves
from analyses.embedding_geometry.settings import GeometrySettings
from analyses.embedding_geometry.spaces import decoder_spaces, encoder_spaces, static_spaces
from analyses.embedding_geometry.static_words import CORRECTIONS
from analyses.embedding_geometry.translation import ALIGNED, ALONE, TranslationRetrieval, translation_retrieval
from analyses.embedding_geometry.whole_table import TableGeometry
from interp.families.config import ModelConfig
from interp.geometry.isotropy import PrincipalMap, cosine_matrix, principal_map


@dataclass(frozen=True, slots=True)
class Word:
    """A word: its group, its pieces, and what lies next to it in the input embedding.

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
class StaticTable:
    """The whole table of one static space.

    Attributes:
        space: the space.
        geometry: its numbers.
        twins: the same numbers of every untrained twin.
        dimensions: sample size -> intrinsic dimension.
        twin_dimensions: the same of every untrained twin.
    """

    space: str
    geometry: TableGeometry
    twins: tuple[TableGeometry, ...]
    dimensions: dict[int, float]
    twin_dimensions: tuple[dict[int, float], ...]


@dataclass(frozen=True, slots=True)
class Hub:
    """A piece that is the neighbour of many.

    Attributes:
        piece: the piece.
        count: in how many lists of ten it stands.
        norm: length of its row.
    """

    piece: str
    count: int
    norm: float


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingGeometry:
    """The result.

    Attributes:
        words: the words in the order of their groups.
        map: principal components of the words in the raw input embedding.
        twin_maps: the same for every untrained twin.
        background: everyday words.
        background_places: where they lie on the axes of the map.
        cosines: cosines of the words in the raw input embedding.
        comparisons: the groups compared in the static spaces, the primary comparison first.
        matched: the primary comparison against words of like frequency.
        in_sentences: the groups compared in the encoder's spaces.
        tables: the whole tables of the static spaces.
        hubs: the strongest hubs of the input embedding.
        same_row_cosine: mean cosine of a piece's rows in the two static spaces.
        tied: whether the two tables are one tensor.
        layers: curves of the prompts over the contextual spaces.
        contexts: curves of words in sentences over the encoder's spaces.
        correspondence: agreement of the contextual spaces; None with too few sentences.
        translation: retrieval of translations in the encoder's spaces, by aligned words and by words alone.
        rows_of_kind: size of every part of the vocabulary, in the order of `interp.text.vocabulary.KINDS`.
        n_prompts: number of prompts.
        n_encoder_spaces: how many of the contextual spaces are the encoder's.
        target_origin: `given` or `generated`.
        prefix: task prefix of the sentences of our own; empty where the model knows none.
        cfg: the model's facts.
        embedding_norm: whether the embedding is normed before the first layer.
        logit_bias: largest absolute value added to a logit behind the unembedding; no part of any space.
        tokenizer_kind: class and model of the tokenizer.
    """

    words: tuple[Word, ...]
    map: PrincipalMap
    twin_maps: tuple[PrincipalMap, ...]
    background: tuple[str, ...]
    background_places: Float[np.ndarray, "background component"]
    cosines: Float[np.ndarray, "word word"]
    comparisons: tuple[Comparison, ...]
    matched: Matched | None
    in_sentences: tuple[Comparison, ...]
    tables: tuple[StaticTable, ...]
    hubs: tuple[Hub, ...]
    same_row_cosine: float
    tied: bool
    layers: LayerCurves
    contexts: ContextCurves
    correspondence: Correspondence | None
    translation: tuple[TranslationRetrieval, ...]
    rows_of_kind: tuple[int, ...]
    n_prompts: int
    n_encoder_spaces: int
    target_origin: str
    prefix: str
    cfg: ModelConfig
    embedding_norm: bool
    logit_bias: float
    tokenizer_kind: str

    @property
    def absolute(self) -> bool:
        """Whether a token's position is in encoder 0 and decoder 0 already."""
        return self.cfg.positions != "relative"

    @property
    def start(self) -> str:
        """What drift is measured from, in words."""
        return "encoder 0, which holds its position" if self.absolute else "the static vector"


def summarise(evidence: Evidence) -> EmbeddingGeometry:
    """The result of a run."""
    settings = evidence.settings
    assert isinstance(settings, GeometrySettings)
    encoder, decoder = encoder_spaces(evidence.cfg), decoder_spaces(evidence.cfg)
    model, twins, seed = evidence.model, evidence.twins, evidence.seed
    vectors = model.weights["vectors"]
    word_map = principal_map(vectors[0, 0])
    tied = bool(model.weights["tied"][0])
    return EmbeddingGeometry(
        words=_words(evidence, settings),
        map=word_map,
        twin_maps=tuple(principal_map(twin.weights["vectors"][0, 0]) for twin in twins),
        background=tuple(str(word) for word in model.weights["control_words"]),
        background_places=word_map.place(model.weights["control_vectors"][0, 0]),
        cosines=cosine_matrix(vectors[0, 0]),
        comparisons=static_comparisons(evidence, settings),
        matched=matched_words(evidence, settings),
        in_sentences=encoder_comparisons(evidence, settings),
        tables=tuple(_table(evidence, settings, space) for space in enumerate(static_spaces(evidence.cfg, tied))),
        hubs=_hubs(evidence),
        same_row_cosine=float(model.weights["same_row_cosine"][0]),
        tied=tied,
        layers=layer_curves(encoder + decoder, model, twins, seed, settings.resamples),
        contexts=context_curves(encoder, model, twins, seed, settings.resamples),
        correspondence=correspondence(encoder + decoder, model, twins, seed),
        translation=tuple(
            translation_retrieval(evidence_of, encoder, model, twins, seed, settings.resamples)
            for evidence_of in (ALIGNED, ALONE)
        ),
        rows_of_kind=tuple(int(count) for count in model.weights["rows_of_kind"]),
        n_prompts=len(evidence.prompt_ids),
        n_encoder_spaces=len(encoder),
        target_origin=evidence.target_origin,
        prefix=settings.prefix_for(evidence.cfg),
        cfg=evidence.cfg,
        embedding_norm=bool(model.weights["embedding_norm"][0]),
        logit_bias=float(model.weights["logit_bias"][0]),
        tokenizer_kind=str(model.weights["tokenizer_kind"][0]),
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


def _table(evidence: Evidence, settings: GeometrySettings, space: tuple[int, str]) -> StaticTable:
    """The numbers of one static space, given by its place and name."""
    place, name = space

    def geometry(weights: dict[str, np.ndarray]) -> TableGeometry:
        return TableGeometry(*(float(value) for value in weights["table"][place]))

    def dimensions(weights: dict[str, np.ndarray]) -> dict[int, float]:
        return {
            size: float(value)
            for size, value in zip(settings.dimension_sizes, weights["dimension"][place], strict=True)
        }

    return StaticTable(
        space=name,
        geometry=geometry(dict(evidence.model.weights)),
        twins=tuple(geometry(dict(twin.weights)) for twin in evidence.twins),
        dimensions=dimensions(dict(evidence.model.weights)),
        twin_dimensions=tuple(dimensions(dict(twin.weights)) for twin in evidence.twins),
    )


def _hubs(evidence: Evidence) -> tuple[Hub, ...]:
    weights = evidence.model.weights
    return tuple(
        Hub(str(piece), int(count), float(norm))
        for piece, count, norm in zip(weights["hub_pieces"], weights["hub_counts"], weights["hub_norms"], strict=True)
    )
