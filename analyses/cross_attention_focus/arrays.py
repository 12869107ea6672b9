"""The arrays of cross-attention focus; `observe`, `source_flow`, `token_swaps` and `gradients` define them."""

from collections.abc import Iterator

from analyses.core.arrays import array_specs
from analyses.core.contract import ArraySpec
from analyses.cross_attention_focus.measure.token_swaps import SWAP_KINDS
from interp.statistics import CORRELATION, SHARE, Support

_LAYERS, _HEADS = "prompt cross_layer", "prompt cross_layer cross_head"


def _reading(prefix: str, axes: str) -> Iterator[ArraySpec]:
    yield from array_specs("entropy span_entropy", axes, "share of the largest entropy", "rows", prefix=prefix)
    yield from array_specs("evenness", axes, "share of the largest entropy", prefix=prefix)
    yield from array_specs("retained usable", axes, "share", "rows", prefix=prefix)
    yield from array_specs("center spread", axes, "share of the span", "rows", prefix=prefix)
    yield from array_specs("monotonicity", axes, "Kendall's tau", "rows", prefix=prefix)
    yield from array_specs("diagonality", axes, "correlation", "rows", prefix=prefix)
    yield from array_specs("mass span_mass", f"{axes} category", "share", "rows", prefix=prefix)


def _swap(kind: str) -> Iterator[ArraySpec]:
    yield from array_specs("moved", _HEADS, "share of ln 2", "rows", prefix=f"swap.{kind}.")
    yield from array_specs("gained", _HEADS, "share", "rows", prefix=f"swap.{kind}.")
    yield from array_specs("start", _HEADS, "share of ln 2", prefix=f"swap.{kind}.")


ARRAYS = (
    *(spec for version in ("raw", "norm") for spec in _reading(f"{version}.head.", _HEADS)),
    *(spec for version in ("raw", "norm") for spec in _reading(f"{version}.layer.", _LAYERS)),
    *array_specs("base_rate", "prompt category", "share", "source tokens"),
    *array_specs("alti.mass rollout.mass", f"{_LAYERS} category", "share", "rows"),
    *array_specs("alti.target", _LAYERS, "share", "rows"),
    *array_specs("alti.quarters", "prompt quarter", "share", "rows"),
    *array_specs("alti.decline", "prompt", "Kendall's tau", "rows"),
    *(spec for kind in SWAP_KINDS for spec in _swap(kind)),
    *array_specs("source", "sample", "share", "rows", stage="experiment"),
    *array_specs("mass", "sample category", "share", "rows", stage="experiment"),
    *array_specs("base_rate", "sample category", "share", "source tokens", stage="experiment"),
    *array_specs("example_source", "example_row example_token", "share", stage="experiment"),
    *array_specs("example_target", "example_row example_prefix", "share", stage="experiment"),
)
"""All arrays of this analysis."""

_SIGNED = ("monotonicity", "diagonality", "decline", "gained")
"""Correlations, and what one share is more than another."""


def support_of(name: str) -> Support:
    """The smallest and the largest value of an array or statistic of this analysis: of all but a few, those of a share."""
    return CORRELATION if name.rpartition(".")[2] in _SIGNED else SHARE
