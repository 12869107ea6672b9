"""Which heads and layers wrote the predicted logit, and from which source tokens did they take it?

The logit of every label, and its difference to the model's own best other token, is a sum over the decoder's embedding, heads
and MLPs (positions and biases too, where a family has them), and every cross head is a sum over source tokens; nothing is left
over but rounding, which is measured and printed (Elhage et al. 2021; Wang et al. 2022). What is explained is the
direct path: see the section's limits.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
