"""Attention patterns made by chance."""

import numpy as np

from interp.report.views import AttentionPatterns
from tests.support.hostile import TEXTS


def softmax(*shape):
    weights = np.exp(2 * np.random.default_rng(5).standard_normal(shape))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def attention(
    encoder_layers=2,
    decoder_layers=3,
    encoder_heads=5,
    decoder_heads=4,
    source=TEXTS,
    target=("<pad>", "▁Die", "▁", ""),
):
    s, t = len(source), len(target)
    return AttentionPatterns(
        softmax(encoder_layers, encoder_heads, s, s),
        softmax(decoder_layers, decoder_heads, t, t),
        softmax(decoder_layers, decoder_heads, t, s),
        tuple(source),
        tuple(target),
    )


HOSTILE = attention()
