"""What this documentation needs beyond Sphinx: offline formulas, docstrings as they are written, pages made from the package."""
