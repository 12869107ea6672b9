"""Hook points: their names, how they are put on the host's modules, and the attention function that makes patterns editable."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
