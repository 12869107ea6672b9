"""Shapes and types of arrays, checked at every call while tests run.

Only modules that annotate arrays are checked: what the others say about their types is for the type checker, and a check at each
of their calls took a quarter of the suite's time.
"""

from jaxtyping import install_import_hook

from tests.support.paths import ROOT

PACKAGES = ("interp", "analyses")


def annotating() -> list[str]:
    """Names of the modules whose annotations say shapes of arrays."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if "from jaxtyping import" in path.read_text(encoding="utf-8")
    ]


install_import_hook(annotating(), "beartype.beartype")
