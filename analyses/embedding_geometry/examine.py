"""What needs no prompts: words in the static spaces, the whole table, and words in sentences of our own.

Run once on the model and once on every untrained twin, so that all that follows has its control. Arrays (see `arrays`) by part:

    vectors, neighbor_*, control_*, norms, ...    words in every static space              (`static_words`)
    table, dimension, hub_*                        whole tables                             (`whole_table`)
    template_*, usage_*, translation_*             encoder states of words in sentences     (`word_states`)
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from transformers import PreTrainedTokenizerBase

from analyses.core.contract import Arrays, Settings
from analyses.embedding_geometry.measure.spaces import INPUT, OUTPUT, static_spaces, static_table
from analyses.embedding_geometry.measure.static_words import static_words
from analyses.embedding_geometry.measure.whole_table import count_hubs, table_geometry
from analyses.embedding_geometry.measure.word_lists import TEMPLATES, TRANSLATIONS, USAGES, WORD_PAIRS
from analyses.embedding_geometry.measure.word_states import word_states
from analyses.embedding_geometry.settings import GeometrySettings
from interp.errors import InputError
from interp.geometry import two_nn_at_sizes
from interp.geometry.isotropy import row_blocks, unit_rows
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import unembedding_bias
from interp.statistics import falling_order
from interp.text.text_memory import remembered
from interp.text.vocabulary import Vocabulary, kind_of_tokenizer

_TOP_HUBS = 10


def examine(model: HookedEncoderDecoder, settings: Settings) -> Arrays:
    """Everything that needs no prompts.

    Raises:
        InputError: without a tokenizer, or if it cannot spell a word.
    """
    assert isinstance(settings, GeometrySettings)
    if model.tokenizer is None:
        raise InputError("Embedding geometry looks words up by their spelling; wrap the model with its tokenizer.")
    rows = model.cfg.d_vocab
    vocabulary = remembered(model.tokenizer, ("vocabulary", rows), partial(Vocabulary.of, model.tokenizer, rows))
    prefix = settings.prefix_for(model.cfg)
    return {
        **static_words(model, settings, vocabulary),
        **_tables(model, settings, vocabulary),
        **_facts(model, model.tokenizer),
        **_sentence_states(model, settings, prefix),
        **_translation_states(model, prefix, settings.languages),
    }


def _tables(model: HookedEncoderDecoder, settings: GeometrySettings, vocabulary: Vocabulary) -> Arrays:
    """Numbers of the whole tables; `same_row_cosine` is the mean cosine of a piece's rows in the two of them."""
    tables = {space: static_table(model, space) for space in static_spaces(model.cfg, model.one_table)}
    hubs = count_hubs(tables[INPUT], vocabulary, settings.most_compared, settings.sampling_seed)
    top = falling_order(hubs.counts)[:_TOP_HUBS]
    numbers = [table_geometry(table, vocabulary, hubs if space == INPUT else None) for space, table in tables.items()]
    output = tables.get(OUTPUT, tables[INPUT])
    pieces = np.flatnonzero(vocabulary.ordinary)
    same = np.concatenate([
        (unit_rows(tables[INPUT][some]) * unit_rows(output[some])).sum(axis=1)
        for some in map(pieces.__getitem__, row_blocks(len(pieces)))
    ]).mean()
    return {
        "table": np.array(numbers),
        "dimension": np.stack([
            two_nn_at_sizes(table, settings.dimension_sizes, settings.sampling_seed, rows=pieces)
            for table in tables.values()
        ]),
        "hub_pieces": np.array(vocabulary.pieces)[hubs.rows[top]],
        "hub_counts": hubs.counts[top],
        "hub_norms": np.linalg.norm(tables[INPUT][hubs.rows[top]], axis=1),
        "same_row_cosine": same[None],
        "tied": np.array([model.one_table]),
    }


def _facts(model: HookedEncoderDecoder, tokenizer: PreTrainedTokenizerBase) -> Arrays:
    """What the section says of the model beyond its configuration; `logit_bias` is the largest that is added to a logit."""
    return {
        "logit_bias": unembedding_bias(model).detach().abs().amax().float().cpu().numpy()[None],
        "embedding_norm": np.array(["encoder.ln_embed.hook_scale" in model.hook_points()]),
        "tokenizer_kind": np.array([kind_of_tokenizer(tokenizer)]),
    }


def _sentence_states(model: HookedEncoderDecoder, settings: GeometrySettings, prefix: str) -> Arrays:
    """The words, and words of two senses, in sentences of our own; nothing where these are not asked."""
    if settings.sentences is False:
        return {}
    return {**_template_states(model, settings.words, prefix), **_usage_states(model, prefix)}


def _template_states(model: HookedEncoderDecoder, words: Sequence[str], prefix: str) -> Arrays:
    """Every word in the same sentences, mean over the sentences."""
    sentences = [template.format(word=word) for word in words for template in TEMPLATES]
    states, _ = word_states(model, prefix, sentences, np.repeat(words, len(TEMPLATES)).tolist())
    return {"template_states": states.reshape(len(words), len(TEMPLATES), *states.shape[1:]).mean(axis=1)}


def _usage_states(model: HookedEncoderDecoder, prefix: str) -> Arrays:
    """Words of two senses, and their sentences."""
    states, directions = word_states(
        model, prefix, [usage.sentence for usage in USAGES], [usage.word for usage in USAGES]
    )
    return {"usage_states": states, "usage_directions": directions}


def _translation_states(model: HookedEncoderDecoder, prefix: str, languages: Sequence[str]) -> Arrays:
    """Words and their translations, English first: aligned words in parallel sentences, listed words each behind the prefix."""

    def read(sentences: Sequence[str], words: Sequence[str]) -> np.ndarray:
        return word_states(model, prefix, sentences, words)[0].astype(np.float32)

    states = {}
    for language in languages:
        pairs = WORD_PAIRS[language]
        english = read([pair.english_sentence for pair in pairs], [pair.english for pair in pairs])
        foreign = read([pair.foreign_sentence for pair in pairs], [pair.foreign for pair in pairs])
        states[f"translation_{language}"] = np.stack([english, foreign])
    alone = {
        language: read(TRANSLATIONS[language], TRANSLATIONS[language])
        for language in ("English", *languages)
        if languages
    }
    return states | {f"translation_alone_{name}": np.stack([alone["English"], alone[name]]) for name in languages}
