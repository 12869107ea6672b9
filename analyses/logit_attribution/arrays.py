"""The arrays of logit attribution; means are over the decoder rows that predict a label."""

from functools import partial

from analyses.core.arrays import array_specs
from analyses.logit_attribution.observe import READOUTS

_experiment = partial(array_specs, stage="experiment")
_neurons = partial(_experiment, prefix="neurons.")
_patching = partial(_experiment, prefix="patching.")

ARRAYS = (
    *array_specs(" ".join(f"{name}.components" for name in READOUTS), "prompt component", "logits", "rows"),
    *array_specs(" ".join(f"{name}.value" for name in READOUTS), "prompt", "logits", "rows"),
    *array_specs(
        " ".join(f"{name}.gap" for name in READOUTS), "prompt", "share of the contributions' size", content="rounding"
    ),
    *array_specs("share.components", "prompt component", "share", "rows"),
    *array_specs("difference.categories", "prompt cross_layer cross_head category", "logits", "rows"),
    *array_specs("difference.memory", "prompt cross_layer cross_head encoder_component", "logits", "rows"),
    *array_specs(
        "difference.source_gap difference.memory_gap", "prompt", "share of the contributions' size", content="rounding"
    ),
    *array_specs("tokens", "prompt category", "tokens"),
    *array_specs("rows", "prompt", "rows"),
    *array_specs("first_choice", "prompt", "share", "rows"),
    *array_specs("rows_without_a_piece", "one", "rows", content="label", stage="examine"),
    *_experiment("total frozen recomputed", "sample mode decoder_layer kind decoder_head", "logits", "rows"),
    *_experiment("accumulated", "sample decoder_depth", "logits", "rows"),
    *_experiment("lens.log_probability", "sample decoder_depth", "nats", "rows"),
    *_experiment("lens.first_choice", "sample decoder_depth", "share", "rows"),
    *_experiment("lens.rank", "sample decoder_depth", "rank", "rows"),
    *_experiment("decoder_lens.log_probability", "sample encoder_depth", "nats", "rows"),
    *_experiment("decoder_lens.first_choice", "sample encoder_depth", "share", "rows"),
    *_experiment("decoder_lens.rank", "sample encoder_depth", "rank", "rows"),
    *_experiment("decoder_lens.texts", "encoder_depth", content="label"),
    *_neurons("place", "neuron layer_and_index", content="label"),
    *_neurons("contribution", "half_sample neuron", "logits", "rows"),
    *_neurons("active", "sample decoder_layer", "share", "rows"),
    *_neurons("largest_z", "neuron", "standard deviations"),
    *_neurons("kurtosis", "neuron"),
    *_neurons("null_z", "neuron draw", "standard deviations"),
    *_neurons("null_kurtosis", "neuron draw"),
    *_neurons("raised lowered triggers", "neuron", content="label"),
    *_patching("flips used", "candidate", content="label"),
    *_patching("sites", "site", content="label"),
    *_patching("heads", "site kind_layer_and_head", content="label"),
    *_patching("denominator", "pair", "logits"),
    *_patching("denoise noise control gradient integrated", "pair site", "logits"),
)
"""All arrays of this analysis."""
