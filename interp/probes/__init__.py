"""What is trained on stored activations: linear probes with control tasks, tuned lenses, learned decoder lenses."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
