"""Which analyses a trace can follow; to name them imports nothing heavy."""

from analyses.core.registry import ANALYSES

SHOWN = tuple(name for name in ANALYSES if name != "expert_routing")
