"""Geometry of sets of vectors: isotropy, nearest neighbors, hubness, intrinsic dimension, separation of groups, similarity of spaces."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
