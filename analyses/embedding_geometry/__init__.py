"""How do words lie in the embeddings, and what becomes of them from layer to layer?

Static: given groups of words in the input and output embedding, their principal map, cosines and nearest pieces, whether the
groups lie apart by more than chance and frequency, and how the whole vocabulary lies. Contextual: anisotropy and similarity of
the tokens of the prompts in every layer of both stacks, words in sentences of our own, senses, agreement of spaces, and
translations. Everything beside untrained twins.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
