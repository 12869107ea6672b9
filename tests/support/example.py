"""The run that is committed as `reports/example`."""

from analyses.core.registry import DEFAULT
from analyses.runs.config import RunConfig

EXAMPLE = RunConfig(
    analyses=(*DEFAULT, "circuits"),
    limit=6,
    twins=2,
    batch_size=4,
    settings={"circuits": {"check": 60, "draws": 20, "most_pairs": 16}},
)
"""What `make example` runs: small, the usual analyses and circuits of few pairs, two batches."""
