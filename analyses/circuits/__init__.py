"""Which edges between heads, MLPs, embeddings and logits of both stacks carry an answer?

On minimal pairs, sentences that differ in one respect and thereby in their answer, every edge is scored (EAP-IG), a circuit is
grown from the best, and judged on other pairs: against random circuits of its size and of its degrees, against the same method
on an untrained twin, and against exact patching (`interp.circuits`; Hanna et al. 2024; Mueller et al. 2025).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
