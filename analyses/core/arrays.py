"""Arrays of an analysis held to what it declares of them: names, axes, sizes."""

from collections.abc import Mapping, Sequence

import numpy as np

from analyses.core.contract import Arrays, ArraySpec, Content, Stage
from interp.axes import ATTENTION_KINDS
from interp.families.config import ModelConfig
from interp.text.words import CATEGORIES


def array_specs(
    names: str,
    axes: str,
    unit: str = "",
    over: str = "",
    content: Content = "number",
    stage: Stage = "observe",
    prefix: str = "",
) -> tuple[ArraySpec, ...]:
    """Declarations of several arrays with the same axes and unit.

    Args:
        names: their names, separated by spaces.
        axes: names of their axes, separated by spaces.
        unit: see `ArraySpec`, as for the following.
        over: over what one number is a mean or a sum.
        content: what they hold.
        stage: which function gives them.
        prefix: what stands before every name.
    """
    places = tuple(axes.split())
    return tuple(ArraySpec(prefix + name, places, unit, over, content, stage) for name in names.split())


def joined(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Observations of several batches as those of one: arrays of one name one after another along the prompt axis."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def specs_of(specs: Sequence[ArraySpec], stage: Stage) -> dict[str, ArraySpec]:
    """The declarations of one stage by name."""
    return {spec.name: spec for spec in specs if spec.stage == stage}


def model_sizes(cfg: ModelConfig) -> dict[str, int]:
    """The sizes of axes that the facts of a model decide."""
    layers = {f"{kind}_layer": cfg.layers_of(kind) for kind in ATTENTION_KINDS}
    heads = {f"{kind}_head": cfg.heads_of(kind) for kind in ATTENTION_KINDS}
    return layers | heads | {"d_model": cfg.d_model, "category": len(CATEGORIES)}


def axis_sizes(
    arrays: Arrays, specs: Mapping[str, ArraySpec], known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The size of every axis by name, from the arrays of one stage, their declarations and the sizes known beforehand.

    Raises:
        ValueError: naming the array that is not declared, or has other axes or another size of an axis.
    """
    sizes = dict(known or {})
    for name, values in arrays.items():
        if name not in specs:
            raise ValueError(f"the array {name} is given and not declared")
        axes = specs[name].axes
        if len(axes) != values.ndim or any(
            sizes.setdefault(axis, size) != size for axis, size in zip(axes, values.shape, strict=True)
        ):
            wanted = ", ".join(f"{axis} {sizes.get(axis, '')}".rstrip() for axis in axes)
            raise ValueError(f"the array {name} has the shape {values.shape}; declared is [{wanted}]")
    return sizes
