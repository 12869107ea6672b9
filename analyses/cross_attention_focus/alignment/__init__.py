"""Do heads, layers and flows point at the source word that a target word translates?

Word alignments are read off any matrix of decoder rows by source tokens and scored against links drawn by people:

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|),  precision = |A & P| / |A|,  recall = |A & S| / |S|     Och and Ney 2003

with sure links S, possible links P (S is part of P) and the model's links A, summed over the corpus. A number without its
baseline says little: a straight diagonal already reaches far, so it and random links stand in every table. Two directions of
translation can be merged (`directions`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
