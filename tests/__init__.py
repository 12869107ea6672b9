"""Tests; they mirror the packages."""

import os

# Threads that wait for each other by spinning take the core from the other process of `make test`, and a test on two threads
# takes five times as long. OpenMP reads this once, when torch is imported, which is after this.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
