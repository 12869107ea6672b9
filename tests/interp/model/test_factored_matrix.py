"""Factored matrices: everything said from the factors equals what the full product says."""

import pytest
import torch

from interp.model.factored_matrix import FactoredMatrix, composition, mlp_weights, ov_circuit, qk_circuit
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch


@pytest.fixture
def matrix() -> FactoredMatrix:
    return FactoredMatrix(torch.randn(3, 9, 4, dtype=torch.float64), torch.randn(3, 4, 7, dtype=torch.float64))


def test_norm_and_singular_values_are_those_of_the_product(matrix: FactoredMatrix) -> None:
    torch.testing.assert_close(matrix.norm(), torch.linalg.matrix_norm(matrix.AB))
    U, S, Vh = matrix.svd()
    torch.testing.assert_close(S, torch.linalg.svdvals(matrix.AB)[:, :4])
    torch.testing.assert_close(U @ torch.diag_embed(S) @ Vh, matrix.AB)
    torch.testing.assert_close(U.mT @ U, torch.eye(4, dtype=torch.float64).expand(3, 4, 4))


def test_eigenvalues_are_those_of_the_product() -> None:
    square = FactoredMatrix(torch.randn(6, 3, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64))
    full = torch.linalg.eigvals(square.AB)
    wanted = full[full.abs() > 1e-9]
    for value in square.eigenvalues():
        assert (wanted - value).abs().min() < 1e-9
    assert len(wanted) == 3


def test_products_transposes_and_parts(matrix: FactoredMatrix) -> None:
    thin = FactoredMatrix(torch.randn(3, 7, 2, dtype=torch.float64), torch.randn(3, 2, 5, dtype=torch.float64))
    for left, right in ((matrix, thin), (thin.T, matrix.T)):
        both = left @ right
        torch.testing.assert_close(both.AB, left.AB @ right.AB)
        assert both.A.shape[-1] == 2
    torch.testing.assert_close(matrix[1].T.AB, matrix.AB[1].T)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_circuits_give_the_scores_and_results_of_the_run(tiny_t5: HookedEncoderDecoder, kind: str) -> None:
    batch = random_batch(tiny_t5)
    _, cache = tiny_t5.run_with_cache(batch)
    norm = {"encoder": "encoder.1.ln1", "decoder": "decoder.1.ln1", "cross": "decoder.1.ln2"}[kind]
    name = {"encoder": "encoder.1.attn", "decoder": "decoder.1.attn", "cross": "decoder.1.cross_attn"}[kind]
    read = cache[f"{norm}.hook_normalized"] * tiny_t5.module(norm).weight
    memory = read
    if kind == "cross":
        memory = cache["encoder.ln_final.hook_normalized"] * tiny_t5.module("encoder.ln_final").weight
    scores = torch.einsum("bqd,hde,bke->bhqk", read, qk_circuit(tiny_t5, kind, 1).AB, memory)
    if kind != "cross":
        scores = scores + cache[f"{kind}.position_bias"]
    seen = cache[f"{name}.hook_attn_scores"] > -1e30
    torch.testing.assert_close(scores[seen], cache[f"{name}.hook_attn_scores"][seen], atol=1e-5, rtol=1e-4)
    moved = torch.einsum("bhqk,bkd,hde->bqhe", cache[f"{name}.hook_pattern"], memory, ov_circuit(tiny_t5, kind, 1).AB)
    torch.testing.assert_close(moved, cache[f"{name}.hook_result"], atol=1e-5, rtol=1e-4)


def test_composition_is_one_where_the_reader_reads_exactly_what_is_written() -> None:
    direction = torch.randn(8, 1, dtype=torch.float64)
    writes = FactoredMatrix(torch.randn(8, 1, dtype=torch.float64), direction.T)
    reads = FactoredMatrix(direction, torch.randn(1, 8, dtype=torch.float64))
    orthogonal = torch.linalg.svd(direction.T).Vh[1:2].T
    assert float(composition(writes, reads)) == pytest.approx(1.0)
    assert float(composition(writes, FactoredMatrix(orthogonal, reads.B))) == pytest.approx(0.0, abs=1e-9)


def test_mlp_weights_reproduce_the_layer(tiny_model: HookedEncoderDecoder) -> None:
    _, cache = tiny_model.run_with_cache(random_batch(tiny_model))
    weights = mlp_weights(tiny_model, "decoder", 0)
    read = cache["decoder.0.ln3.hook_normalized"] * tiny_model.module("decoder.0.ln3").weight
    if weights.W_gate is None:
        torch.testing.assert_close(read @ weights.W_in, cache["decoder.0.mlp.hook_pre"], atol=1e-5, rtol=1e-5)
    else:
        torch.testing.assert_close(read @ weights.W_gate, cache["decoder.0.mlp.hook_pre"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(read @ weights.W_in, cache["decoder.0.mlp.hook_pre_linear"], atol=1e-5, rtol=1e-5)
    written = cache["decoder.0.mlp.hook_post"] @ weights.W_out
    torch.testing.assert_close(written, cache["decoder.0.hook_mlp_out"], atol=1e-5, rtol=1e-5)
