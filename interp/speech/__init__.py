"""What a model does with a sound over time: where it listens, when words are said, which frames a token comes from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
