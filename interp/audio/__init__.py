"""Sounds: recordings as samples, and as frames with times and categories, for models whose encoder reads audio."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
