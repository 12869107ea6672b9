"""Engines: who computes the units of a run. Processes of this machine, the ranks of torchrun, or a Ray cluster."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
