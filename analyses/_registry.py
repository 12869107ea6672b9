"""The registry: analysis names in report order, and lookup. Modules are imported when asked for, not before."""

import difflib
from importlib import import_module

from analyses._contract import Analysis
from interp.errors import InputError

ANALYSES: dict[str, str] = {
    "head_specialization": "what each attention head does: position, content, sinks",
    "cross_attention_focus": "what the decoder reads in each layer",
    "logit_attribution": "which heads and layers wrote the predicted logit",
    "embedding_geometry": "how the embeddings of words lie",
}
"""Name -> one line, in the order of the report."""


def get(name: str) -> Analysis:
    """The analysis of a name.

    Raises:
        InputError: if there is none; the message offers the nearest.
    """
    if name not in ANALYSES:
        near = difflib.get_close_matches(name, ANALYSES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? Known are" if near else "known are"
        raise InputError(f"No analysis is called {name!r}; {hint} {', '.join(ANALYSES)}.")
    analysis: Analysis = import_module(f"analyses.{name}").ANALYSIS
    return analysis
