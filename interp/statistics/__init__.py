"""How sure are we of a mean over prompts, and which of many heads stand out from chance?

The prompt is the unit of evidence: tokens of one prompt are not independent, so every function takes one value per
prompt (leading axis) and cell (head, layer, whatever follows), and resamples or flips whole prompts. One draw of
prompts serves all cells, which keeps cells paired. NaN means that a prompt has no value for a cell: it is left out
there and counted. Infinite values are refused. The seed alone decides a result, to the bit (see `exact`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
