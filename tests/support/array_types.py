"""Shapes and types of arrays, checked at every call while tests run.

Only modules that annotate arrays are checked, and in them only what says a shape: what the others say about their types is for
the type checker. Checking all there took half of a run's time, most of it at functions that are made inside others (each is
compiled anew) and at properties that are read a hundred thousand times.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import jaxtyping

from tests.support.paths import ROOT

PACKAGES = ("interp", "analyses")
_ARRAY = re.compile(r"\b(Bool|Complex|Float|Int|Num|Shaped|UInt8)\[")

_checked = jaxtyping.jaxtyped


def annotating() -> list[str]:
    """Names of the modules whose annotations say shapes of arrays."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if "from jaxtyping import" in path.read_text(encoding="utf-8")
    ]


def says_shapes(annotated: Any) -> bool:
    """Whether a function outside of others, or a field of a dataclass, is annotated with the shape of an array."""
    if isinstance(annotated, property):
        annotated = annotated.fget
    annotated = getattr(annotated, "__func__", annotated)
    if isinstance(annotated, type):
        return dataclasses.is_dataclass(annotated) and any(map(_is_array, annotated.__annotations__.values()))
    return "<locals>" not in annotated.__qualname__ and any(map(_is_array, annotated.__annotations__.values()))


def _is_array(annotation: object) -> bool:
    if isinstance(annotation, str):
        return _ARRAY.search(annotation) is not None
    return hasattr(annotation, "dim_str") or any(map(_is_array, get_args(annotation)))


def _jaxtyped(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda annotated: _checked(annotated, typechecker=typechecker) if says_shapes(annotated) else annotated


@contextmanager
def unchecked() -> Iterator[None]:
    """No checks within the block, as where a user calls: what is of a wrong type reaches the function."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


jaxtyping.jaxtyped = _jaxtyped  # which is what the hook's modules call
jaxtyping.install_import_hook(annotating(), "beartype.beartype")
