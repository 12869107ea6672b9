"""From the evidence to the result: one frozen noun that holds every part of the analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Evidence
from analyses.embedding_geometry.measure.contexts import ContextCurves, context_curves
from analyses.embedding_geometry.measure.group_comparisons import (
    Comparison,
    Matched,
    encoder_comparisons,
    matched_words,
    static_comparisons,
)
from analyses.embedding_geometry.measure.layers import LayerCurves, layer_curves
from analyses.embedding_geometry.measure.space_agreement import SpaceAgreement, space_agreement
from analyses.embedding_geometry.measure.spaces import decoder_spaces, encoder_spaces, static_spaces
from analyses.embedding_geometry.measure.static_words import CORRECTIONS
from analyses.embedding_geometry.measure.translation import ALIGNED, ALONE, TranslationRetrieval, translation_retrieval
from analyses.embedding_geometry.measure.whole_table import TableGeometry
from analyses.embedding_geometry.settings import FittedSettings, GeometrySettings
from interp.families.config import ModelConfig
from interp.geometry.isotropy import PrincipalMap, cosine_matrix, principal_map
from interp.statistics import Estimate, controlled

_HUBS = ("pieces", "counts", "norms")


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """A word: its group, its pieces, and what lies next to it in the input embedding.

    Attributes:
        word: the word.
        group: its group.
        pieces: its pieces, with blanks between them.
        single: whether it is one piece.
        norm: length of its vector in the input embedding.
        neighbors: its nearest pieces in the input embedding with their cosines, for every correction.
        nearest: cosine of the nearest piece beside that in every untrained twin, for every correction.
    """

    word: str
    group: str
    pieces: str
    single: bool
    norm: float
    neighbors: Mapping[str, Sequence[tuple[str, float]]]
    nearest: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class StaticTable:
    """The whole table of one static space.

    Attributes:
        space: the space.
        geometry: its numbers.
        statistics: the same by name, each beside that of every untrained twin.
        dimensions: sample size -> intrinsic dimension, beside that of every untrained twin.
    """

    space: str
    geometry: TableGeometry
    statistics: Mapping[str, Estimate]
    dimensions: Mapping[int, Estimate]


@dataclass(frozen=True, slots=True)
class Hub:
    """A piece that is the neighbor of many.

    Attributes:
        piece: the piece.
        lists: in how many lists of ten it stands, in part where it ties for the last place.
        norm: length of its row.
    """

    piece: str
    lists: float
    norm: float


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingGeometry:
    """The result.

    Attributes:
        words: the words in the order of their groups.
        map: principal components of the words in the raw input embedding; None without words.
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
        contexts: curves of words in sentences over the encoder's spaces; None where English is not asked.
        agreement: of the contextual spaces; None with too few sentences.
        translation: retrieval of translations in the encoder's spaces, by aligned words and by words alone; none where the
            prompts are no such translations.
        rows_of_kind: size of every part of the vocabulary, in the order of `interp.text.vocabulary.KINDS`.
        n_prompts: number of prompts.
        n_encoder_spaces: how many of the contextual spaces are the encoder's.
        target_origin: `given` or `generated`.
        prefix: task prefix of the sentences of our own; empty where the model knows none.
        settings: as they were used on these prompts.
        cfg: the model's facts.
        embedding_norm: whether the embedding is normed before the first layer.
        logit_bias: largest absolute value added to a logit behind the unembedding; no part of any space.
        tokenizer_kind: class and model of the tokenizer.
    """

    words: tuple[Word, ...]
    map: PrincipalMap | None
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
    contexts: ContextCurves | None
    agreement: SpaceAgreement | None
    translation: tuple[TranslationRetrieval, ...]
    rows_of_kind: tuple[int, ...]
    n_prompts: int
    n_encoder_spaces: int
    target_origin: str
    prefix: str
    settings: FittedSettings
    cfg: ModelConfig
    embedding_norm: bool
    logit_bias: float
    tokenizer_kind: str

    @property
    def absolute(self) -> bool:
        """Whether a token's position is in encoder 0 and decoder 0 already."""
        return self.cfg.adds_positions

    @property
    def start(self) -> str:
        """What drift is measured from, in words."""
        return "encoder 0, which holds its position" if self.absolute else "the static vector"


def summarize(evidence: Evidence) -> EmbeddingGeometry:
    """The result of a run."""
    settings = evidence.settings
    assert isinstance(settings, GeometrySettings)
    encoder, decoder = encoder_spaces(evidence.cfg), decoder_spaces(evidence.cfg)
    model, twins, seed = evidence.model, evidence.twins, evidence.seed
    vectors = model.weights["vectors"]
    word_map = principal_map(vectors[0, 0]) if settings.words else None
    tied = bool(model.weights["tied"][0])
    return EmbeddingGeometry(
        words=_words(evidence, settings),
        map=word_map,
        twin_maps=tuple(principal_map(twin.weights["vectors"][0, 0]) for twin in twins if word_map),
        background=tuple(str(word) for word in model.weights["control_words"]),
        background_places=word_map.place(model.weights["control_vectors"][0, 0]) if word_map else np.empty((0, 2)),
        cosines=cosine_matrix(vectors[0, 0]),
        comparisons=static_comparisons(evidence, settings),
        matched=matched_words(evidence, settings),
        in_sentences=encoder_comparisons(evidence, settings),
        tables=tuple(_table(evidence, settings, space) for space in enumerate(static_spaces(evidence.cfg, tied))),
        hubs=tuple(
            Hub(str(piece), float(count), float(norm))
            for piece, count, norm in zip(*(model.weights[f"hub_{name}"] for name in _HUBS), strict=True)
        ),
        same_row_cosine=float(model.weights["same_row_cosine"][0]),
        tied=tied,
        layers=layer_curves(encoder + decoder, model, twins, seed, settings.resamples),
        contexts=context_curves(encoder, model, twins, seed, settings.resamples)
        if "usage_states" in model.weights
        else None,
        agreement=space_agreement(encoder + decoder, model, twins, seed),
        translation=tuple(
            translation_retrieval(evidence_of, encoder, model, twins, seed, settings.resamples, settings.languages)
            for evidence_of in (ALIGNED, ALONE)
            if settings.languages
        ),
        rows_of_kind=tuple(int(count) for count in model.weights["rows_of_kind"]),
        n_prompts=len(evidence.prompt_ids),
        n_encoder_spaces=len(encoder),
        target_origin=evidence.target_origin,
        prefix=settings.prefix_for(evidence.cfg),
        settings=settings if isinstance(settings, FittedSettings) else FittedSettings(**dict(settings)),
        cfg=evidence.cfg,
        embedding_norm=bool(model.weights["embedding_norm"][0]),
        logit_bias=float(model.weights["logit_bias"][0]),
        tokenizer_kind=str(model.weights["tokenizer_kind"][0]),
    )


def _words(evidence: Evidence, settings: GeometrySettings) -> tuple[Word, ...]:
    weights = evidence.model.weights
    pieces, cosines = weights["neighbor_pieces"][0], weights["neighbor_cosines"][0]
    twins = [twin.weights["neighbor_cosines"][0, ..., 0] for twin in evidence.twins]
    corrections = tuple(enumerate(CORRECTIONS))
    return tuple(
        Word(
            word=word,
            group=group,
            pieces=str(weights["word_pieces"][index]),
            single=bool(weights["n_pieces"][index] == 1),
            norm=float(weights["norms"][0, index]),
            neighbors={
                name: [
                    (str(piece), float(cosine))
                    for piece, cosine in zip(pieces[place, index], cosines[place, index], strict=True)
                    if piece
                ]
                for place, name in corrections
            },
            nearest={
                name: controlled(cosines[place, index, 0], [twin[place, index] for twin in twins])
                for place, name in corrections
            },
        )
        for index, (word, group) in enumerate((word, group) for group, some in settings.groups.items() for word in some)
    )


def _table(evidence: Evidence, settings: GeometrySettings, space: tuple[int, str]) -> StaticTable:
    """The numbers of one static space, given by its place and name."""
    place, name = space

    def beside_twins(array: str) -> list[Estimate]:
        point, *twins = (one.weights[array][place] for one in (evidence.model, *evidence.twins))
        found = controlled(point, twins)
        return [found[number] for number in range(len(point))]

    statistics = beside_twins("table")
    return StaticTable(
        space=name,
        geometry=TableGeometry(*(float(value.point) for value in statistics)),
        statistics=dict(zip(TableGeometry._fields, statistics, strict=True)),
        dimensions=dict(zip(settings.dimension_sizes, beside_twins("dimension"), strict=True)),
    )
