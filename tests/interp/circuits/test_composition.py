"""Heads by their weights: composition against drawn rotations, output spaces, singular directions with planted truths."""

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.circuits import (
    compositions,
    direction_hooks,
    head_directions,
    output_angles,
    write_shares,
)
from interp.circuits.head_matrices import random_square
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.factored_matrix import FactoredMatrix, composition
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights
from tests.support.models import random_batch, tiny, tiny_hf

FAMILIES = ("t5", "v1.1", "bart", "mbart")


def test_the_null_has_the_moments_of_drawn_rotations() -> None:
    generator = torch.Generator().manual_seed(0)
    A, B = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 24), (24, 5)))
    A[0] *= 4
    mean, deviation = random_square(A, B, 24)
    drawn = []
    for _ in range(4000):
        turn, upper = torch.linalg.qr(torch.randn(24, 24, generator=generator, dtype=torch.float64))
        turn = turn * upper.diagonal().sign()
        drawn.append(float((A @ turn @ B).square().sum() / (A.square().sum() * B.square().sum())))
    assert np.mean(drawn) == pytest.approx(mean, rel=0.02)
    assert np.std(drawn) == pytest.approx(float(deviation), rel=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_compose_as_random_matrices_do(family: str) -> None:
    """All z of a model that learned nothing have mean 0 and deviation 1, with a path and without, and no pair stands out."""
    model = tiny(family)
    found = compositions(model)
    for path in (True, False):
        z = found.frame.loc[found.frame["path"] == path, "z"]
        assert abs(float(z.mean())) < 0.15
        assert float(z.std()) == pytest.approx(1.0, abs=0.12)
    assert len(found.standing_out()) <= 3 * found.expected_by_chance + 3
    heads, cfg = len(found.heads), model.cfg
    assert len(found.frame) == 3 * heads**2
    # Encoder heads are read by later encoder heads, and as keys and values by all cross heads.
    names = found.frame.loc[found.frame["path"], ["first", "second", "input"]]
    cross_queries = names[(names["input"] == "q") & names["second"].str.startswith("X")]
    assert set(cross_queries["first"].str[0]) == {"D", "X"}
    cross_keys = names[(names["input"] == "k") & names["second"].str.startswith("X")]
    assert set(cross_keys["first"].str[0]) == {"E"}
    assert len(cross_keys) == cfg.n_encoder_layers * cfg.n_encoder_heads * cfg.n_decoder_layers * cfg.n_decoder_heads
    assert found.matrix("k").shape == (heads, heads)
    assert np.isnan(found.matrix("k")).sum() == heads**2 - (names["input"] == "k").sum()


def test_composition_is_that_of_the_matrices_with_gains_folded_in() -> None:
    model, hf = tiny("t5"), tiny_hf("t5")
    frame = compositions(model).frame.set_index(["first", "second", "input"])
    write, read = attention_weights(model, "encoder", 1), attention_weights(model, "cross", 2)
    memory, own = hf.encoder.final_layer_norm.weight, hf.decoder.block[2].layer[1].layer_norm.weight
    gain = hf.encoder.block[1].layer[0].layer_norm.weight
    OV = FactoredMatrix(gain[:, None] * write.W_V[3], write.W_O[3])
    QK = FactoredMatrix(own[:, None] * read.W_Q[1], (memory[:, None] * read.W_K[1]).mT)
    assert frame.loc[("EL1H3", "XL2H1", "k"), "composition"] == pytest.approx(float(composition(OV, QK.T)), rel=1e-4)
    first = attention_weights(model, "decoder", 0)
    before = hf.decoder.block[0].layer[0].layer_norm.weight
    OV = FactoredMatrix(before[:, None] * first.W_V[4], first.W_O[4])
    assert frame.loc[("DL0H4", "XL2H1", "q"), "composition"] == pytest.approx(float(composition(OV, QK)), rel=1e-4)


def test_a_planted_reader_stands_out() -> None:
    """A cross head whose keys read just what one encoder head writes."""
    hf = tiny_hf("t5")
    with torch.no_grad():
        W_O = hf.encoder.block[0].layer[0].SelfAttention.o.weight[:, 4:8]  # EL0H1, d_model x d_head
        gain = hf.encoder.final_layer_norm.weight
        hf.decoder.block[1].layer[1].EncDecAttention.k.weight[8:12] = (W_O / gain[:, None]).t()  # XL1H2
    found = compositions(HookedEncoderDecoder(hf))
    out = found.standing_out()
    assert tuple(out.iloc[0][["first", "second", "input"]]) == ("EL0H1", "XL1H2", "k")
    graph = found.graph()
    assert graph.has_edge("EL0H1", "XL1H2")
    assert graph["EL0H1"]["XL1H2"][0]["z"] > 5


@pytest.mark.parametrize("family", FAMILIES)
def test_shares_of_a_layers_write_add_up_and_are_those_of_the_host(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model, (9, 6), (5, 7))
    _, cache = model.run_with_cache(batch)
    frame = write_shares(model, cache, batch)
    assert len(frame) == len(set(frame["head"]))
    np.testing.assert_allclose(frame.groupby(["kind", "layer"])["share"].sum(), 1.0, rtol=1e-5)
    results: Tensor = cache["decoder.1.cross_attn.hook_result"][batch.target_mask]
    together = results.sum(1)
    share = (results[:, 2] * together).sum() / together.square().sum()
    row = frame.set_index("head").loc["XL1H2"]
    assert row["share"] == pytest.approx(float(share), rel=1e-4)
    assert row["length"] == pytest.approx(float(results[:, 2].square().sum(-1).mean().sqrt()), rel=1e-4)


def test_angles_are_those_between_the_spaces() -> None:
    hf = tiny_hf("t5")
    with torch.no_grad():
        weight = hf.decoder.block[0].layer[0].SelfAttention.o.weight
        basis = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(1))).Q
        weight[:, 0:4] = basis[:, 0:4] @ torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
        weight[:, 4:8] = basis[:, 0:4]  # the same space
        weight[:, 8:12] = basis[:, 4:8]  # a space at right angles
        weight[:, 12:16] = torch.cat([basis[:, 0:2], basis[:, 8:10]], 1)  # half of it
    frame = output_angles(HookedEncoderDecoder(hf), "decoder", 0).set_index(["first", "second"])
    assert frame.loc[("DL0H0", "DL0H1"), "overlap"] == pytest.approx(1.0, abs=1e-5)
    assert frame.loc[("DL0H0", "DL0H2"), "smallest"] == pytest.approx(90.0, abs=1e-3)
    assert frame.loc[("DL0H0", "DL0H3"), "overlap"] == pytest.approx(0.5, abs=1e-5)
    assert frame.loc[("DL0H1", "DL0H3"), "smallest"] == pytest.approx(0.0, abs=0.1)
    assert set(frame["random"]) == {4 / 24}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", ["EL0H1", "DL2H3", "XL1H2"])
def test_directions_are_singular_and_read_by_the_streams_in_front(family: str, head: str) -> None:
    model, one = tiny(family), HeadId.parse(head)
    batch = random_batch(model, (9, 6), (5, 7))
    _, cache = model.run_with_cache(batch, [*direction_hooks(model, one), f"{one.hook_name('attn_scores')}"])
    for matrix, sides in (("QK", {"query", "key"}), ("OV", {"key", "written"})):
        found = head_directions(model, cache, batch, head, matrix, directions=2, top=3)
        assert set(found.readings["side"]) == sides
        assert 0 < float(found.spectrum["share"].sum()) <= 1 + 1e-5
        assert (found.spectrum["left random"] > 0).all()
        whole = found.spectrum
        assert (np.diff(whole["singular value"]) <= 1e-6).all()
        counts = found.readings[found.readings["read by"] == "contexts"].groupby(["direction", "side", "end"]).size()
        assert set(counts) == {3}
    by = set(found.readings["read by"])
    assert by == {"contexts"} | ({"vocabulary"} if head == "EL0H1" else {"logits"})


def test_the_directions_make_up_the_scores() -> None:
    """In T5 the score of a query and a key is the sum over directions of singular value times both readings."""
    model, one = tiny("t5"), HeadId("cross", 1, 2)
    batch = random_batch(model, (9,), (5,))
    _, cache = model.run_with_cache(batch, [*direction_hooks(model, one), one.hook_name("attn_scores")])
    found = head_directions(model, cache, batch, one, "QK", directions=4, top=9)
    total = torch.zeros(5, 9)
    texts = {"query": batch.decoder_pieces(0), "key": batch.source_texts[0].pieces}
    for direction, value in enumerate(found.spectrum["singular value"]):
        sides = []
        for side, pieces in texts.items():
            own = found.readings[(found.readings["direction"] == direction) & (found.readings["side"] == side)]
            # With so many shown, the positive end has every position, by its context.
            read = dict(zip(own["context"], own["value"], strict=True))
            marked = [
                " ".join([f"[{p}]" if place == at else p for place, p in enumerate(pieces)][max(0, at - 3) : at + 4])
                for at in range(len(pieces))
            ]
            sides.append(torch.tensor([read[one] for one in marked]))
        total += value * sides[0][:, None] * sides[1][None]
    torch.testing.assert_close(total, cache[one.hook_name("attn_scores")][0, 2], rtol=1e-3, atol=1e-4)


def test_heads_that_are_not_there() -> None:
    model = tiny("t5")
    with pytest.raises(InputError, match="no head EL0H9"):
        direction_hooks(model, HeadId("encoder", 0, 9))
