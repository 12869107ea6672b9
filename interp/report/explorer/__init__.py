"""The page to explore: attention, heads, contributions and lens of chosen prompts, in one file without a network.

page = explorer_page(Explorer("bundled", prompts, heads, neighbors), "Explorer")    # bytes; writing them is the caller's business
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
