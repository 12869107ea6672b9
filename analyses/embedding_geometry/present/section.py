"""The section: sentences with their numbers, then the figures and tables they come from, then the limits."""

import numpy as np

from analyses.embedding_geometry.measure.word_lists import GROUPS
from analyses.embedding_geometry.present.assumptions import (
    absolute_tables,
    before_sentences,
    first_states,
    memory,
    position_limits,
    unasked,
)
from analyses.embedding_geometry.present.glance import headline, highlights
from analyses.embedding_geometry.present.layer_figures import (
    agreement_figure,
    context_figure,
    group_figure,
    prompt_figures,
    sense_figure,
)
from analyses.embedding_geometry.present.layer_findings import layer_findings
from analyses.embedding_geometry.present.layer_tables import (
    agreement_table,
    context_table,
    hub_table,
    layer_table,
    sense_table,
    vocabulary_tables,
)
from analyses.embedding_geometry.present.translation_blocks import translation_figure, translation_table
from analyses.embedding_geometry.present.word_figures import cosine_figure, map_figure
from analyses.embedding_geometry.present.word_findings import word_findings
from analyses.embedding_geometry.present.word_tables import (
    comparison_table,
    cosine_table,
    neighbor_table,
    with_cosines,
    word_table,
)
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.geometry.isotropy import PrincipalMap
from interp.report import Block, Section, View
from interp.report.numbers import between, counted, fixed
from interp.report.views import MapPoint, map_view
from interp.text.vocabulary import KINDS

TITLE = "Embedding geometry"
QUESTION = "Do words of one kind lie together, and what becomes of words, senses and translations from layer to layer?"

_QUESTION_OF_WORDS = "Do words of one kind lie together, and what becomes of the texts from layer to layer?"


def present(result: EmbeddingGeometry) -> Section:
    """The section of a result."""
    return Section(
        name="embedding-geometry",
        title=TITLE,
        question=QUESTION if result.contexts else _QUESTION_OF_WORDS,
        findings=(*word_findings(result), *layer_findings(result), *unasked(result)),
        blocks=(*_word_blocks(result), *_layer_blocks(result)),
        limits=_limits(result),
        cites=("ethayarajh2019", "rudman2022", "kornblith2019", "radovanovic2010", "facco2017", "conneau2018"),
        headline=headline(result),
        highlights=highlights(result),
        methods=(_static_definitions(result), *_contextual_definitions(result).split("\n\n")),
    )


def _word_blocks(result: EmbeddingGeometry) -> tuple[Block, ...]:
    vocabulary = (*vocabulary_tables(result), hub_table(result))
    if result.map is None:
        return vocabulary
    return (
        map_figure(result, result.map),
        _interactive_map(result, result.map),
        cosine_figure(result),
        word_table(result),
        comparison_table(result),
        *vocabulary,
        neighbor_table(result),
        cosine_table(result),
    )


def _layer_blocks(result: EmbeddingGeometry) -> tuple[Block, ...]:
    groups, agreement = group_figure(result), result.agreement
    compared = (agreement_figure(agreement), agreement_table(result, agreement)) if agreement else ()
    contexts, translation = result.contexts, result.translation
    start = result.start
    in_context = (
        (
            context_figure(contexts, start),
            sense_figure(contexts),
            context_table(contexts, start),
            sense_table(contexts),
        )
        if contexts
        else ()
    )
    return (
        *prompt_figures(result),
        layer_table(result),
        *((groups,) if groups else ()),
        *in_context,
        *compared,
        *((translation_figure(translation[0]), translation_table(translation)) if translation else ()),
    )


def _interactive_map(result: EmbeddingGeometry, word_map: PrincipalMap) -> View:
    """The map of the figure, with everyday words on the same axes."""
    groups = tuple(dict.fromkeys(word.group for word in result.words))
    everyday = f" with {len(result.background)} everyday words" if result.background else ""
    points = [
        MapPoint(float(x), float(y), f"{name} (everyday word)", None)
        for name, (x, y) in zip(result.background, result.background_places[:, :2], strict=True)
    ]
    for word, (x, y) in zip(result.words, word_map.coordinates[:, :2], strict=True):
        vector = "one piece" if word.single else f"mean of {word.pieces}"
        detail = f"{word.word}, {word.group}, {vector}; nearest: {with_cosines(word, 'raw')}"
        points.append(MapPoint(float(x), float(y), detail, groups.index(word.group)))
    return View(
        name="word-map-interactive",
        title=f"The same map{everyday}; point at a mark to read its name and neighbors",
        html=map_view(tuple(points), groups, f"Map of {len(points)} words on the principal axes of the chosen words."),
        fallback="word-map",
    )


def _static_definitions(result: EmbeddingGeometry) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in zip(KINDS, result.rows_of_kind, strict=True))
    rows = f"The table of embeddings has {sum(result.rows_of_kind)} rows: {kinds}; only pieces enter any number here."
    if result.map is None:
        return f"{rows}{absolute_tables(result)}"
    means = sum(not word.single for word in result.words)
    axes = ", ".join(fixed(share) for share in result.map.explained[:2])
    by_twin = np.array([twin.explained[:2] for twin in result.twin_maps])
    twins = ", ".join(map(between, by_twin.min(axis=0), by_twin.max(axis=0)))
    return (
        f"{rows} Of the {len(result.words)} words {means} are means of several pieces, which are no row the model ever reads; "
        f"they are marked and tested apart. The first two principal axes of the words hold {axes} of their variance (untrained "
        f"twins {twins}); {len(result.words)} points in a wide space always spread over about as many axes, so compare with "
        f"the twins.{absolute_tables(result)}"
    )


def _contextual_definitions(result: EmbeddingGeometry) -> str:
    spaces = (
        f"Contextual spaces count the tokens of the sentence itself, without task prefix and end of sentence, over "
        f"{counted(result.n_prompts, 'prompt')} with {counted(result.layers.n_sentences, 'distinct sentence')} "
        f"(targets {result.target_origin}); "
        f"prompts with the same sentence are never compared with each other. {first_states(result)} {memory(result)}"
    )
    own = f"Words in sentences are read from sentences of our own, {before_sentences(result)}"
    return "\n\n".join([spaces, *([f"{own}.{_translated(result)}"] if result.contexts or result.translation else [])])


def _translated(result: EmbeddingGeometry) -> str:
    """What the evidence of translations is, if there is some."""
    if not result.translation:
        return ""
    parallel, languages = result.translation[0], " and ".join(result.translation[0].languages)
    how = "behind it" if result.prefix else "without one"
    return (
        f" Translations are read {how} too, in all {len(parallel.languages) + 1} languages: the {parallel.n_sentences[0]} "
        f"sentences of the bundled prompts with our {languages} versions, in which {' and '.join(map(str, parallel.n_words))} "
        "pairs of content words were aligned by hand, one word to one word; and a list of nouns, each alone. Pairs spelled "
        "alike are left out, and a word is a translation if it is linked to the English one in any of the sentences."
    )


def _limits(result: EmbeddingGeometry) -> tuple[str, ...]:
    if result.settings.from_prompts:
        others = "other words: they are those that occur most in these prompts"
    else:
        others = "furniture or animals at large" if result.settings.groups == GROUPS else "other words of these kinds"
    words = (
        "Words lying near each other says what the training text put in like places; it is no evidence that the model uses "
        "the nearness, nor that the group is the reason: frequency and grammar also place words.",
        "Pairs of words share words, so Cohen's d is a size and no test; p-values come from permuting the labels of words, and "
        f"hold for these {len(result.words)} words, not for {others}. Intervals over a few words are wide.",
        "A map of two axes shows part of the variance; nearness on it is to be checked in the cosine matrix.",
    )
    spaces = (
        "Cosines in a narrow space are high for all pairs; compare adjusted or centered numbers between layers, not raw ones. "
        "A few dimensions of large variance can dominate a cosine.",
        "The spaces of encoder and decoder hold different tokens (source against target words), so their levels are not to be "
        "compared with each other; CKA and RSA compare arrangements of whole sentences, and agree in part because the same "
        "rare words stand in both, which the twins measure.",
    )
    senses = (
        "Senses differ in the words around them, so a split shows that context reaches the word, and the twins show how much of "
        "it any mixing of tokens would bring; it does not show that the model tells senses apart when it translates.",
    )
    translations = (
        f"An encoder that was trained on English sources alone reads {' and '.join(result.settings.languages)} words through "
        f"pieces it knows from targets; words alone {'behind a prefix ' if result.prefix else ''}are no sentences. Aligned words "
        "are those of the bundled prompts, whatever prompts a run has, and stand at like places in like sentences; retrieval "
        "among a hundred words is easier than among a vocabulary.",
    )
    return (
        *(words if result.words else ()),
        *spaces,
        *(senses if result.contexts else ()),
        *(translations if result.translation else ()),
        *position_limits(result),
    )
