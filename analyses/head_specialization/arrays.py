"""The arrays of head specialization. Names begin with the kind of attention; means are over the rows that count in a prompt.

    entropy, confidence           normalized entropy; mean largest weight, special keys excluded (Voita et al. 2019)
    entropy_smoothed              entropy of 0.9999 a + 0.0001 / n, for comparison (Clark et al. 2019)
    retained, *_ordinary          mass on ordinary keys, and numbers of the pattern renormalized on them
    vertical                      largest mean weight on one key: how far a pattern is one column [ours]
    <category>_mass, _base        Σ a on the first key, eos, prefix, punctuation, sentinel; what an even spread would give
    <category>_apart, *_apart_base   the same on rows without such a key within one step; NaN without any
    deciding_*                    share, chance, mass, base and coverage on rows whose key at an offset is no sink
    <category>_norm               norm of what is written from these keys, over all keys' (see `measure.values`)
    distance, share, chance, mass, coverage, tied      self-attention (Vig and Belinkov 2019; see `measure.offsets`)
    near_share                    argmax at -1, 0, +1 among ordinary keys, self-attention
    position_*, content_*, covariance_*                self-attention with position biases (see `measure.position`)
    rarest_*, two_rarest_*, *_correlation              encoder and cross (see `measure.rarity`)
    monotone, sharpness           Kendall's tau of the center of mass with the row, and how sharply the source is read, cross
    linked_*, align_*             share of target words with a link, agreement with gold links, cross (see `measure.alignment`)
    text                          what the queries and keys were made from: a text given twice is one observation

Special keys are end-of-sentence and prefix (encoder, cross) and the start token (decoder). Rows of padding and rows with one
legal key (decoder row 0) are left out; padded keys are illegal.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from analyses.core.arrays import array_specs
from analyses.core.contract import ArraySpec
from analyses.head_specialization.measure.observe import SOURCE_CATEGORIES
from interp.axes import ATTENTION_KINDS, AttentionKind

_SHARE = ("share", "rows")


def _each(names: Iterable[str], ending: str) -> str:
    return " ".join(f"{name}_{ending}" for name in names)


def _observed(kind: AttentionKind) -> Iterator[ArraySpec]:
    of = partial(array_specs, prefix=f"{kind}.")
    heads = f"prompt {kind}_layer {kind}_head"
    yield from of("entropy entropy_smoothed entropy_ordinary", heads, "share of the largest entropy", "rows")
    yield from of("confidence retained vertical first_mass", heads, *_SHARE)
    yield from of("first_norm", heads, "share of the norm", "keys")
    yield from of("first_base first_apart_base", "prompt", *_SHARE)
    yield from of("first_apart", heads, *_SHARE)
    yield from of("text", "prompt byte", content="key")
    pairs = f"prompt {kind}_heads_together {kind}_heads_together"
    yield from of("similarity", pairs, "nats", "rows")
    if kind != "decoder":
        yield from of(_each(SOURCE_CATEGORIES, "mass"), heads, *_SHARE)
        yield from of(_each(SOURCE_CATEGORIES, "apart"), heads, *_SHARE)
        yield from of(_each(SOURCE_CATEGORIES, "apart_base"), "prompt", *_SHARE)
        yield from of(_each(SOURCE_CATEGORIES, "norm"), heads, "share of the norm", "keys")
        yield from of("rarest_share two_rarest_share", heads, *_SHARE)
        yield from of("rarity_correlation place_correlation norm_correlation", heads, "correlation", "keys")
        yield from of(_each((*SOURCE_CATEGORIES, "rarest", "two_rarest"), "base"), "prompt", *_SHARE)
    if kind == "cross":
        yield from of("monotone", heads, "Kendall's tau", "rows")
        yield from of("sharpness", heads, "share of the largest entropy", "rows")
        yield from of("linked_output linked_input", heads, "share", "target words")
        yield from of("align_output align_input align_base", heads, "1 - AER", "links")
        return
    yield from of("distance signed_distance distance_ordinary", heads, "tokens", "rows")
    yield from of("distance_base", "prompt", "tokens", "rows")
    yield from of("share chance mass", f"{heads} offset", *_SHARE)
    yield from of("tied", heads, *_SHARE)
    yield from of("near_share", f"{heads} near_offset", *_SHARE)
    yield from of("deciding_share deciding_chance deciding_mass", f"{heads} offset", *_SHARE)
    yield from of("coverage offset_base deciding_coverage deciding_base", "prompt offset", *_SHARE)
    yield from of("position_divergence content_divergence", heads, "nats", "rows")
    yield from of("position_share covariance_share", heads, "share of the variance", "rows")


OBSERVED: Mapping[AttentionKind, tuple[ArraySpec, ...]] = {kind: tuple(_observed(kind)) for kind in ATTENTION_KINDS}
"""What `observe` gives, by kind."""


def _examined(kind: AttentionKind) -> Iterator[ArraySpec]:
    """Random repeats (see `measure.repeats`) and position biases."""
    of = partial(array_specs, prefix=f"{kind}.", stage="examine")
    heads = f"sequence {kind}_layer {kind}_head"
    yield from of("before same after before_null same_null after_null blind", heads, *_SHARE)
    yield from of("blind_base", "sequence", *_SHARE)


EXAMINED = tuple(spec for kind in ATTENTION_KINDS for spec in _examined(kind))
"""What `examine` gives of every kind."""


def _experiment(kind: AttentionKind) -> Iterator[ArraySpec]:
    """Importance, copying, similarity and kept patterns."""
    of = partial(array_specs, prefix=f"{kind}.", stage="experiment")
    heads = f"{kind}_layer {kind}_head"
    ablations = tuple(f"importance_{name}" for name in ("zero", "mean", "resample", "unbiased"))
    yield from of("importance_gradient", f"sample {heads}", "nats", "rows")
    yield from of(_each(ablations, "loss"), f"sample {heads}", "nats", "rows")
    yield from of(_each(ablations, "difference"), f"sample {heads}", "logits", "rows")
    yield from of("copying_score copying_null copying_null_high", heads, "share", "eigenvalues")
    yield from of("copying_p", heads, "p-value")
    yield from of("copying_hits", f"sample {heads}", "share", "words")
    pairs = f"{kind}_compared {kind}_heads_together {kind}_heads_together"
    yield from of("similarity", pairs, "nats", "rows")
    sides = {"encoder": "source source", "decoder": "target target", "cross": "target source"}[kind]
    yield from array_specs(kind, f"kept {heads} {sides}", "1/255", prefix="specimen.", stage="experiment")


EXPERIMENT: Mapping[AttentionKind, tuple[ArraySpec, ...]] = {kind: tuple(_experiment(kind)) for kind in ATTENTION_KINDS}
"""What `experiment` gives, by kind."""


def of_null(null: str, spec: ArraySpec) -> ArraySpec:
    """What `measure.nulls` gives of a declared array for one of its controls, on the prompts of the sample."""
    axes = tuple("sample" if axis == "prompt" else axis for axis in spec.axes)
    return replace(spec, name=f"{null}/{spec.stage}/{spec.name}", axes=axes, stage="experiment")


_PARALLEL = "parallel language cross_layer cross_head"

SENTENCE = array_specs("sentence", "prompt byte", content="key")
"""Which prompts read one sentence under different task prefixes."""

ARRAYS = (
    *SENTENCE,
    *(spec for kind in ATTENTION_KINDS for spec in OBSERVED[kind]),
    *EXAMINED,
    *array_specs("parallel.likelier", "parallel language", "share", stage="examine"),
    *array_specs(
        "parallel_output parallel_input parallel_base", _PARALLEL, "1 - AER", "links", stage="examine", prefix="cross."
    ),
    *array_specs(
        "translation translation_other translation_copy",
        _PARALLEL,
        "share",
        "words",
        stage="experiment",
        prefix="cross.",
    ),
    *array_specs(
        "translation_cost_read translation_cost_other",
        "parallel cross_layer cross_head",
        "nats",
        "words",
        stage="experiment",
        prefix="cross.",
    ),
    *array_specs("bias.encoder", "encoder_table encoder_head encoder_distance", "score", stage="examine"),
    *array_specs("bias.decoder", "decoder_table decoder_head decoder_distance", "score", stage="examine"),
    *(spec for kind in ATTENTION_KINDS for spec in EXPERIMENT[kind]),
    *array_specs("copying_chance", "one", "share", stage="experiment"),
    *array_specs("specimen.source", "kept source", content="label", stage="experiment"),
    *array_specs("specimen.target", "kept target", content="label", stage="experiment"),
    *array_specs("syntax.hits", "parse direction relation encoder_layer encoder_head", "pairs", stage="experiment"),
    *array_specs("syntax.pairs", "parse direction relation", "pairs", stage="experiment"),
    *(
        of_null(null, spec)
        for null in ("permuted", "shuffled")
        for spec in (*SENTENCE, *(spec for kind in ATTENTION_KINDS for spec in OBSERVED[kind]), *EXAMINED)
    ),
)
"""All arrays of this analysis."""
