"""A store of activations on disk: written from a corpus, one row a token, and read to train on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
