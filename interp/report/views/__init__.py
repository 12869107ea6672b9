"""Interactive pieces of a page as offline, escaped, reproducible fragments: BertViz, a slider over layers, a map of words.

View("cross", "Cross-attention of one prompt", head_view(patterns, "cross"), fallback="cross-attention")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
