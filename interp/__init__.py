"""Mechanistic interpretability for encoder-decoder transformers."""
