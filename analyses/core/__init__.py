"""What every analysis is built on: the contract, the registry, observing, evidence. Plug-ins import from here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
