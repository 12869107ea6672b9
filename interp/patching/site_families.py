"""Families of sites that can be patched, by name: what settings may choose among, without a model."""

from typing import Literal

SiteFamily = Literal[
    "encoder_resid", "decoder_resid", "encoder_z", "decoder_z", "cross_z", "cross_pattern", "cross_k", "cross_v"
]
"""Sites of one kind over all layers (and heads): the streams at every position, heads' z, and parts of cross-attention."""
