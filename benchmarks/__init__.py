"""Benchmarks: what reading and editing activations costs; each module prints a table (`python -m benchmarks.forward`).

Keeping activations means touching new memory, and most of its price is the operating system handing out pages of 4 KiB. torch
asks for pages of 2 MiB if told to before it is imported; that is done here for every case alike (THP_MEM_ALLOC_ENABLE=0 undoes
it).
"""

import os

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
