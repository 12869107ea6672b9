"""Head specialization: what does every attention head of an encoder-decoder do, and would an untrained one do it too?

For the heads of encoder self-, decoder self- and cross-attention: entropy, distance, fixed offsets, sinks, prefix and first-token
mass, with base rates, bootstrap intervals over prompts and untrained twins; and a role where a threshold of the literature, a
corrected test and a bootstrap all agree (Voita et al. 2019; Clark et al. 2019; Vig and Belinkov 2019).

In a notebook:

    atlas = heads(interp.load())          the bundled prompts; or sources, (source, target) pairs, prompts, a batch
    labels_frame(atlas)                   every role with its evidence; heads_frame(atlas, "cross"), importance_frame(atlas), ...
    head_frame(atlas, "XL2H1")            every number of one head
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
