"""Down to which source words does a prediction go? Attribution of inputs, by every method, and a judge of the methods.

Followed through all layers of both stacks, for all rows at once:

    rollout   products of attention matrices, half of each step kept by the residual       Abnar and Zuidema 2020
    alti      the same with contributions measured on vectors, residual included           Ferrando et al. 2022 (ALTI+)
    chefer    attention times gradient of one logit, propagated by rules                   Chefer et al. 2021

`attribute_sources` gives these and all others (`METHODS`) for one question, `judge_methods` says how good they are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
