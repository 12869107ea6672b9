"""Programs compiled to T5 checkpoints, whose circuits are known: what methods of finding circuits are tried on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
