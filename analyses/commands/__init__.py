"""The commands of `interp`, one file per purpose; `analyses.cli` gathers them.

Every command imports heavy libraries inside its function; results go to standard output, everything else to standard error.
"""
