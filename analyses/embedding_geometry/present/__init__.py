"""Embedding geometry as sentences, tables, figures and a section; nothing is computed here."""
