"""Neurons traced: inputs add up, effects are those of plain ablation, planted contexts, tokens and readers are found."""

import copy

import pytest
import torch

from interp.circuits import NeuronId, neuron_effects, trace_neurons
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch, tiny, tiny_hf

FAMILIES = ("t5", "v1.1", "bart", "mbart")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_writes_a_neurons_input_adds_up(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model, (9, 6), (5, 7))
    last = model.cfg.n_encoder_layers - 1, model.cfg.n_decoder_layers - 1
    names = ["EL0N3", f"EL{last[0]}N5", "DL0N2", f"DL{last[1]}N27"]
    for name, one in zip(names, trace_neurons(model, batch, names, top=4), strict=True):
        assert str(one.neuron) == name
        assert one.gap < 2e-5
        assert len(one.contexts) == 4
        sizes = one.contexts["activation"].abs().tolist()
        assert sizes == sorted(sizes, reverse=True)
        assert len(one.written) == 8
        assert set(one.written["end"]) == {"+", "-"}
        assert (len(one.readers) == 0) == (name.startswith(f"DL{last[1]}"))
        values = one.readers["z"].tolist()
        assert values == sorted(values, reverse=True)


def test_an_effect_is_what_plain_ablation_takes() -> None:
    model, hf = tiny("t5"), copy.deepcopy(tiny_hf("t5"))
    batch = random_batch(model, (9,), (5,))
    (one,) = trace_neurons(model, batch, [NeuronId("encoder", 1, 10)])
    inputs = {"input_ids": batch.input_ids, "decoder_input_ids": batch.decoder_input_ids}
    with torch.no_grad():
        before = hf(**inputs).logits[0]
        hf.encoder.block[1].layer[1].DenseReluDense.wo.weight[:, 10] = 0
        after = hf(**inputs).logits[0]
    labels = batch.labels[0]
    others = before.scatter(1, labels[:, None], -torch.inf).argmax(1)
    rows = torch.arange(5)
    taken = (before - after)[rows, labels] - (before - after)[rows, others]
    assert one.effect == pytest.approx(float(taken.mean()), rel=1e-3, abs=1e-5)


def test_estimates_rank_neurons_of_both_stacks() -> None:
    model = tiny("t5")
    batch = random_batch(model, (9, 6), (5, 7))
    frame = neuron_effects(model, batch)
    assert len(frame) == 28 * 5
    assert set(frame["neuron"].str[0]) == {"E", "D"}
    sizes = frame["estimate"].abs().tolist()
    assert sizes == sorted(sizes, reverse=True)
    # The last layer's neurons act through the last norm alone, where the estimate and ablation have the same sign if large.
    last = frame[frame["neuron"].str.startswith("DL2")].iloc[0]
    (one,) = trace_neurons(model, batch, [last["neuron"]])
    assert one.effect * last["estimate"] > 0


def test_planted_tokens_and_readers_are_found() -> None:
    """A decoder neuron that writes one token's row for a later head's query; an encoder neuron that fires for one token."""
    hf = tiny_hf("t5")
    with torch.no_grad():
        block = hf.decoder.block[0].layer[2].DenseReluDense
        row = hf.lm_head.weight[17]
        block.wo.weight[:, 6] = row / hf.decoder.final_layer_norm.weight
        gain = hf.decoder.block[2].layer[1].layer_norm.weight
        reader = hf.decoder.block[2].layer[1].EncDecAttention.q.weight  # XL2H3
        reader[12:16] = 0
        reader[12] = block.wo.weight[:, 6] * gain
    model = HookedEncoderDecoder(hf)
    batch = random_batch(model, (9, 6), (5, 7))
    (one,) = trace_neurons(model, batch, ["DL0N6"], top=3)
    assert one.written.iloc[0]["token"] == "17"
    assert one.readers.iloc[0]["reader"] == "XL2H3.q"
    assert one.readers.iloc[0]["z"] > 5


@pytest.mark.parametrize("name", ["EL0", "XL0N3", "EL0N-1", "elephant", "DLN"])
def test_what_is_no_neuron(name: str) -> None:
    with pytest.raises(InputError, match="is no neuron; write EL0N12"):
        NeuronId.parse(name)


def test_neurons_that_are_not_there() -> None:
    model = tiny("t5")
    with pytest.raises(InputError, match="no neuron EL0N28: the encoder has 2 layers of 28 neurons"):
        trace_neurons(model, random_batch(model), ["EL0N28"])
