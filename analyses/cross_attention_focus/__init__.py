"""What does the decoder read in each layer? Cross-attention in three honest versions: raw, masked, norm-weighted.

Everybody repeats that early decoder layers look at the task prefix and later ones at the content. This analysis confirms or
refutes it for a model and a prompt set, per layer and head, with base rates, intervals, tests and untrained controls
(definitions: `observe`, `category_mass`, `trend`; Kobayashi et al. 2020; Ferrando and Costa-jussà 2021).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
