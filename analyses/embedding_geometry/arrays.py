"""The arrays of embedding geometry; `observe` and `examine` define them."""

from functools import partial

from analyses.core.arrays import array_specs
from analyses.embedding_geometry.measure.word_lists import TRANSLATIONS, WORD_PAIRS

_examine = partial(array_specs, stage="examine")
_vectors = partial(_examine, content="coordinates")

ARRAYS = (
    *array_specs("mean_direction mean_state", "prompt space d_model", "", "tokens", "coordinates"),
    *array_specs("intra_similarity", "prompt space", "cosine", "tokens"),
    *array_specs("sentence", "prompt byte", content="key"),
    *_vectors("vectors", "static_space correction word d_model"),
    *_vectors("control_vectors", "static_space correction control d_model"),
    *_vectors("template_states", "word encoder_space d_model", over="sentences"),
    *_vectors("usage_states usage_directions", "usage encoder_space d_model"),
    *(
        spec
        for languages, part in ((WORD_PAIRS, ""), (set(TRANSLATIONS) - {"English"}, "alone_"))
        for language in languages
        for spec in _vectors(f"translation_{part}{language}", f"side {part}{language}_pair encoder_space d_model")
    ),
    *_examine("neighbor_cosines", "static_space correction word neighbor", "cosine"),
    *_examine("neighbor_pieces", "static_space correction word neighbor", content="label"),
    *_examine("norms", "static_space word", "length"),
    *_examine("word_pieces", "word", content="label"),
    *_examine("n_pieces", "word", "pieces"),
    *_examine("log_probabilities", "word", "nats"),
    *_examine("control_words", "control", content="label"),
    *_examine("control_log_probabilities", "control", "nats"),
    *_examine("rows_of_kind", "kind", "rows"),
    *_examine("table", "static_space statistic"),
    *_examine("dimension", "static_space size", "dimensions"),
    *_examine("hub_pieces", "hub", content="label"),
    *_examine("hub_counts", "hub", "pieces"),
    *_examine("hub_norms", "hub", "length"),
    *_examine("same_row_cosine", "one", "cosine", "rows"),
    *_examine("logit_bias", "one", "logits"),
    *_examine("tied embedding_norm tokenizer_kind", "one", content="label"),
)
"""All arrays of this analysis."""
