"""Which tokens does each expert compute? An atlas of the experts of a model by the kind of token (Fedus et al. 2022).

Routers choose one expert a token; whether their choice follows what kind of token it is, is measured by pairs of tokens of one
prompt: how much more often two of one kind share an expert than two of different kinds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
