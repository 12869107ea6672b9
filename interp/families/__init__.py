"""The table of model families: where each hook point lives in the host's module tree, and the facts that differ.

This package alone knows Hugging Face module names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
