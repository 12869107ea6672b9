"""Texts: words and categories of tokens, padded batches, sets of positions, word links, translation pairs and their scores."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
