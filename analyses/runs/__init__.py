"""From a configuration to a folder, and what is done with finished runs: resume, verify, compare, run again, study in memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
