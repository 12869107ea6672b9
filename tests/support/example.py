"""The run that is committed as `reports/example`."""

from analyses.runs.config import RunConfig

EXAMPLE = RunConfig(limit=6, twins=2, batch_size=4)
"""What `make example` runs: small, all analyses, two batches."""
