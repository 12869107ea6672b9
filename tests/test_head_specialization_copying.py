"""Copying heads planted as identity circuits are found, their opposites score -1, and the k x k trick equals the full circuit."""

import numpy as np
import pytest
import torch

from analyses.head_specialization.copying import copy_hits, copy_scores, copying_frame
from interp.weights import attention_weights, embedding, final_gain, unembedding
from tests.planted_heads import VOCAB, garden, planted_batch


def copier(kind, layer, head, sign=1.0):
    plot = garden(heads=3)
    value, output = plot.weight(kind, layer, "v")[plot.rows(head)], plot.weight(kind, layer, "o")[:, plot.rows(head)]
    for token in range(VOCAB):
        value[token, token] = 1.0
        output[token, token] = sign
    return plot.hooked()


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_a_head_that_writes_what_it_reads_has_score_one_and_its_opposite_minus_one(kind):
    for sign in (1.0, -1.0):
        found = copy_scores(copier(kind, 1, 2, sign), kind, draws=20)
        assert found.score[1, 2] == pytest.approx(sign, abs=1e-3)
        assert np.abs(found.null[:, 1, 2]).max() < 0.6
        assert np.isnan(found.score[0, 0])


def test_the_small_matrix_has_the_eigenvalues_of_the_full_circuit(tiny_t5):
    layer, head = 1, 3
    weights = attention_weights(tiny_t5, "cross", layer)
    table = embedding(tiny_t5) - embedding(tiny_t5).mean(0)
    reads = table * final_gain(tiny_t5, "encoder") @ weights.W_V[head]
    full = reads @ weights.W_O[head] @ (unembedding(tiny_t5) * final_gain(tiny_t5, "decoder")).T
    values = torch.linalg.eigvals(full.double())
    expected = float(values.real.sum() / values.abs().sum())
    assert copy_scores(tiny_t5, "cross", draws=1).score[layer, head] == pytest.approx(expected, abs=1e-3)


def test_the_frame_names_the_planted_head_alone():
    frame = copying_frame(copier("cross", 2, 1), draws=60)
    assert frame.loc[frame["copying"], "head"].tolist() == ["XL2H1"]
    assert frame["head"].iloc[0] == "XL2H1"


def test_random_heads_do_not_copy(tiny_model):
    assert not copying_frame(tiny_model, draws=60)["copying"].any()


def test_a_copier_raises_the_token_it_reads_and_no_other_head_does():
    model = copier("cross", 0, 1)
    batch = planted_batch(model, prompts=4)
    hits = copy_hits(model, batch)
    np.testing.assert_allclose(hits[:, 0, 1], 1.0)
    np.testing.assert_allclose(np.delete(hits.reshape(4, -1), 1, axis=1), 0.0)


def test_encoder_heads_are_refused(tiny_t5):
    with pytest.raises(ValueError, match="no direct path to the logits; give 'decoder' or 'cross'"):
        copy_scores(tiny_t5, "encoder")
