"""Heads and neurons by their weights, as pages: who reads what whom writes, which directions, what a neuron does.

Weights say what could happen, whatever the prompts; where prompts are read too, the pages say so.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
