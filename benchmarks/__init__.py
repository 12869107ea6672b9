"""Benchmarks: what reading and editing activations costs; each module prints a table (`python -m benchmarks.forward`)."""
