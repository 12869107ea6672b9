"""Benchmarks: what reading and editing activations costs; each module prints a table (`python -m benchmarks.forward`).

Keeping activations means touching new memory, and most of its price is the operating system handing out pages of 4 KiB. Nothing
is set here, so the numbers are those of a reader's own Python; `THP_MEM_ALLOC_ENABLE=1` before the command asks torch for pages
of 2 MiB.
"""
