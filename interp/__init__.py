"""Mechanistic interpretability for encoder-decoder transformers.

    import interp

    model = interp.load()
    batch = model.batch(["translate English to German: The dog is running."])
    logits, cache = model.run_with_cache(batch)
    cache["decoder.3.cross_attn.hook_pattern"]

Importing this package loads nothing: every public name is fetched when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
