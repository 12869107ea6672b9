"""Copying heads planted as identity circuits are found, their opposites score -1, and the k x k trick equals the full circuit."""

import numpy as np
import pytest
import scipy.stats
import torch

from analyses.head_specialization.arrays import EXPERIMENT
from analyses.head_specialization.measure.copy_hits import copy_hits, examine_copying
from analyses.head_specialization.measure.copying import CopyScores, copy_scores
from analyses.head_specialization.measure.nulls import read_null
from analyses.head_specialization.roles.criteria import independent_texts
from interp.model.weights import attention_weights, embedding, norm_gain, unembedding
from interp.text.batch import collate
from tests.support.planted_heads import QUICK, VOCAB, garden, observed, planted_batch, planted_roles

pytestmark = pytest.mark.slow


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
    reads = table * norm_gain(tiny_t5, "encoder.ln_final") @ weights.W_V[head]
    full = reads @ weights.W_O[head] @ (unembedding(tiny_t5) * norm_gain(tiny_t5, "decoder.ln_final")).T
    values = torch.linalg.eigvals(full.double())
    expected = float(values.real.sum() / values.abs().sum())
    assert copy_scores(tiny_t5, "cross", draws=2).score[layer, head] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("kind", "letter"), [("decoder", "D"), ("cross", "X")])
def test_a_planted_copier_gets_the_role_alone(kind, letter):
    model = copier(kind, 1, 2)
    batch = planted_batch(model, prompts=6)
    assert planted_roles(model, batch) == {f"{letter}L1H2": ["copying"]}
    opposite = copier(kind, 1, 2, sign=-1.0)
    assert planted_roles(opposite, batch) == {}
    # Two prompts said three times are two texts, and three are asked for.
    repeated = collate(
        [*batch.source_texts[:2] * 3], [*batch.target_texts[:2] * 3], model.cfg, model.hf._shift_right, "given"
    )
    assert planted_roles(model, repeated) == {}


def test_saying_texts_again_changes_no_number_of_any_measure_of_a_sample(tiny_byt5):
    """Intervals, tests and roles see one row for every independent text."""
    settings = QUICK.model_copy(
        update={"copying": "all", "importance": ("gradient", "zero"), "nulls": ("permuted",), "draws": 5}
    )
    sources, targets = (
        ["a: one two three", "a: four five six", "a: seven and eight"],
        ["eins zwei", "drei vier", "fünf"],
    )
    once, again = (
        independent_texts(observed(tiny_byt5, tiny_byt5.batch(sources * times, targets * times), settings, True))
        for times in (1, 3)
    )
    sampled = {spec.name for kind in EXPERIMENT for spec in EXPERIMENT[kind] if spec.axes[0] == "sample"}
    found = sampled & once.experiment.keys()
    assert {name.partition(".")[2] for name in found} > {"copying_hits", "importance_gradient"}
    for name in found:
        assert len(again.experiment[name]) == 3, name
        np.testing.assert_allclose(again.experiment[name], once.experiment[name], rtol=1e-3, atol=1e-5, err_msg=name)
    nulls = [read_null(one.experiment, "permuted") for one in (once, again)]
    assert [len(independent_texts(null).prompts["encoder.entropy"]) for null in nulls] == [3, 3]


def test_eigenvalues_alone_make_no_copying_head():
    """Between embedding and memory every token is turned into the next one: OV copies embeddings, and real states are others'."""
    model = copier("cross", 1, 2)
    batch = planted_batch(model, prompts=6)
    table = model.hf.shared.weight.data.clone()

    def turn(embedded, hook):
        return (embedded @ torch.linalg.pinv(table)).roll(1, -1) @ table

    with model.hooks([("encoder.hook_embed", turn)]):
        hits = copy_hits(model, batch, "cross")
    assert copy_scores(model, "cross", draws=20).score[1, 2] == pytest.approx(1.0, abs=1e-3)
    assert hits[:, 1, 2].max() < 0.2


def test_random_heads_do_not_copy(tiny_model):
    from tests.support.models import random_batch

    found = examine_copying(tiny_model, [random_batch(tiny_model)], QUICK)
    for kind in ("decoder", "cross"):
        assert not (found[f"{kind}.copying_p"] < 1e-4).any()


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_a_copier_raises_the_token_it_reads_and_no_other_head_does(kind):
    model = copier(kind, 0, 1)
    hits = copy_hits(model, planted_batch(model, prompts=4), kind)
    np.testing.assert_allclose(hits[:, 0, 1], 1.0)
    np.testing.assert_allclose(np.delete(hits.reshape(4, -1), 1, axis=1), 0.0)


def test_p_of_a_score_by_hand():
    scores = CopyScores(
        np.array([[0.6, np.nan, 0.2]]),
        np.array([[[0.1, np.nan, np.nan]], [[-0.1, np.nan, np.nan]], [[0.0] + [np.nan] * 2]]),
    )
    spread = np.std(np.arctanh([0.1, -0.1, 0.0]), ddof=1) * np.sqrt(4 / 3)
    expected = scipy.stats.t.sf(np.arctanh(0.6) / spread, 2)
    np.testing.assert_allclose(scores.p_value, [[expected, np.nan, 1.0]])


def test_encoder_heads_are_refused(tiny_t5):
    with pytest.raises(ValueError, match="no direct path to the logits; give 'decoder' or 'cross'"):
        copy_scores(tiny_t5, "encoder")
