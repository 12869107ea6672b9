"""Circuits: which edges between the nodes of both stacks carry an answer, and what is left of it with these edges alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
