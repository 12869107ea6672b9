"""Reports: blocks, charts and pages. This package knows no model and imports no torch.

files = render(Report(...))    # relative path -> bytes; writing them is the caller's business
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
