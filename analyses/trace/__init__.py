"""How heads come to be while a model learns: checkpoints of one run, seen through the same prompts and targets.

moments -> gathering (every model reads the same batches) -> moment_reader -> snapshots -> histories, order, agreement -> report,
slider
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
