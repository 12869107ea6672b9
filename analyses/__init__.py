"""The analyses: each observes a model on prompts, summarizes with controls, and presents a report section.

    from analyses import analyse

    study = analyse("cross_attention_focus", model, batch)

Importing this package loads nothing: every public name is fetched when it is first used. `Analysis` and what it is given are
also what other packages build on (entry points of the group `interp.analyses`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
