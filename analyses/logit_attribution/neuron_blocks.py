"""Presenting the neurons: two sentences and a table with its null."""

import math

import numpy as np
import pandas as pd

from analyses.logit_attribution.neurons import NULL_DIRECTIONS, Neurons
from interp.report import Block, Span, Table, visible
from interp.report.numbers import number, percent, with_interval
from interp.statistics import largest

NEURON_LIMITS = (
    "A neuron's value is read by the unembedding as if nothing came after its layer; what later layers make of it is not in the "
    "tokens shown. The activating rows are the strongest of the sample's few prompts.",
)


def neuron_findings(found: Neurons) -> tuple[str, ...]:
    """The strongest neuron, and how many values stand out from random directions."""
    best = largest(np.abs(found.contribution.point))[0]
    twin = "" if math.isnan(found.twin_largest) else f"; the largest in an untrained twin: {number(found.twin_largest)}"
    above = (found.largest_z[:, None] > found.null_z).all(1)
    shares = ", ".join(f"{percent(float(share))} in layer {layer}" for layer, share in enumerate(found.active))
    return (
        f"Of the decoder's neurons, chosen on one half of the sample and measured on the other, {found.names[best]} contributes "
        f"most: {with_interval(found.contribution[best], write=number)} logits{twin}; its value raises "
        f"{', '.join(visible(piece) for piece in found.raised[best].split('  ')[:3])}. {int(above.sum())} of the "
        f"{len(found.names)} values shown are more extreme over the vocabulary than all {NULL_DIRECTIONS} random directions of "
        "their length.",
        f"Active (not zero) at a decoder row are {shares} of the neurons.",
    )


def neuron_frame(found: Neurons) -> pd.DataFrame:
    """One row a neuron, in the order in which they were chosen."""
    return pd.DataFrame({
        "neuron": found.names,
        "contribution": found.contribution.point,
        "contribution: low": found.contribution.low,
        "contribution: high": found.contribution.high,
        "value raises": found.raised,
        "value lowers": found.lowered,
        "most active where it predicts": found.triggers,
        "largest |z|": found.largest_z,
        "largest |z|: random, 95 %": np.quantile(found.null_z, 0.95, axis=1),
        "kurtosis": found.kurtosis,
        "kurtosis: random, 95 %": np.quantile(found.null_kurtosis, 0.95, axis=1),
    })


def neuron_blocks(found: Neurons) -> tuple[Block, ...]:
    """The table."""
    return (
        Table(
            name="logit-attribution-neurons",
            caption=(
                "Decoder neurons (DL2N117: layer 2, neuron 117) with the largest contribution to the logit difference on one "
                "half of the sample; contribution: mean over the sentences of the other half in logits, 95 % bootstrap interval. "
                "Value raises, lowers: the tokens at both ends of the value's reading by the unembedding; largest |z| and excess "
                "kurtosis of that reading stand beside those of random directions of equal length in the span of the layer's "
                "values. Most active: the predicted tokens of the rows with the largest |activation|, which is given."
            ),
            frame=neuron_frame(found),
            rows_shown=None,
            spans=(Span.of("contribution", "contribution: ", controls=()),),
        ),
    )
