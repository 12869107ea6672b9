"""The page with a slider over the steps of a training run: atlas, roles, curves, patterns, in one file without a network.

page = timeline_page(Timeline(runs, prompts), "Steps")    # bytes; writing them is the caller's business
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
