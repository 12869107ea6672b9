"""Cross-attention focus as sentences, tables, figures and pages; nothing is computed here."""
