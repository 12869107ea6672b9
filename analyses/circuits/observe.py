"""Observing: nothing of the prompts; circuits are asked about minimal pairs."""

from analyses.core.contract import Arrays, Pass


def observe(run: Pass) -> Arrays:
    """No arrays: the sentences are the pairs' own.

    Args:
        run: one forward pass.
    """
    return {}
