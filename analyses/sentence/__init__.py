"""One sentence in full: what the model could have said at each step, what it read, and which parts wrote what it said.

No control and no interval: a sentence is a description. What holds over sentences is what runs are for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
