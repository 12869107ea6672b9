"""The run that is committed as `reports/example`."""

from analyses.core.registry import DEFAULT
from analyses.runs.config import RunConfig

EXAMPLE = RunConfig(analyses=(*DEFAULT, "circuits"), limit=6, twins=2, batch_size=4)
"""What `make example` runs: small, the usual analyses and circuits, two batches."""
