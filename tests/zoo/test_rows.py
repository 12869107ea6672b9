"""Rows of the embedding that stand for nothing: what they are called, and that no reading names them."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import interp
from analyses.logit_attribution.attribute import explain
from interp.attribution.lenses import decoder_lens, lens_hooks
from interp.attribution.logit_readout import label_tokens
from interp.attribution.neurons import project_values, values
from interp.text.pieces import named_rows, pieces_of
from interp.text.vocabulary import Vocabulary
from tests.support.zoo import ANIMALS, GENERATORS, Home

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

WITH_SURPLUS = [name for name in GENERATORS if ANIMALS[name].surplus and ANIMALS[name].inside == ""]


@pytest.mark.parametrize("name", [name for name in GENERATORS if ANIMALS[name].inside == ""])
def test_as_many_rows_have_no_piece_as_in_the_public_checkpoint(name: str, home: Home) -> None:
    folder = home("umt5-small" if name == "umt5-untyped" else name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    unnamed = np.flatnonzero(~named_rows(tokenizer, rows)).tolist()
    assert len(unnamed) == ANIMALS[name].surplus
    assert pieces_of(tokenizer, unnamed) == tuple(f"<row {row}>" for row in unnamed)


def test_languages_are_pieces_although_the_vocabulary_does_not_list_them(home: Home) -> None:
    tokenizer = AutoTokenizer.from_pretrained(home("m2m100"))
    german = tokenizer.lang_code_to_id["de"]
    assert pieces_of(tokenizer, [german]) == ("__de__",)
    assert "__de__" not in tokenizer.get_vocab()
    assert Vocabulary.of(tokenizer, 709).pieces[german] == "__de__"


@pytest.mark.parametrize("name", ["t5-small", "nllb-de", "m2m100-de"])
def test_readings_of_neurons_name_pieces_only(name: str, home: Home) -> None:
    """By hand: the value's logits, rows that stand for nothing struck out, sorted."""
    model = interp.load(home(name), device="cpu")
    unnamed = ~model.named_rows
    assert int(unnamed.sum()) == ANIMALS[name].surplus
    found = project_values(model, 1, torch.arange(8), top=5)
    assert not unnamed[found.raised].any()
    assert not unnamed[found.lowered].any()
    if model.cfg.norm == "rms":
        logits = values(model, 1)[:8] * model.module("decoder.ln_final").weight * model.cfg.logit_scale
        logits = logits @ model.hf.get_output_embeddings().weight.T
        named = [row for row in logits[3].argsort(descending=True).tolist() if not unnamed[row]]
        assert found.raised[3].tolist() == named[:5]
        assert found.lowered[3].tolist() == named[: -5 - 1 : -1]


def test_ranks_of_the_lenses_count_pieces_only(home: Home) -> None:
    model, animal = interp.load(home("t5-small"), device="cpu"), ANIMALS["t5-small"]
    batch = model.batch(animal.texts(), list(animal.targets))
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, lens_hooks(model, "encoder"))
        tokens = label_tokens(batch)
        ranks = decoder_lens(model, batch, cache, tokens).rank[:, -1]
    chosen = logits.gather(-1, tokens.unsqueeze(-1))
    pieces = len(model.tokenizer)
    assert torch.equal(ranks, (logits[..., :pieces] > chosen).sum(-1))
    assert not torch.equal(ranks, (logits > chosen).sum(-1)), "the animal must tempt"


def test_the_gap_of_a_sum_knows_its_parts_alone(home: Home) -> None:
    """A bias of -10,000 on a row that nobody asked about changes neither the contributions nor the gap."""
    gaps = []
    for muted in (False, True):
        model, animal = interp.load(home("opus-mt-en-de"), device="cpu"), ANIMALS["opus-mt-en-de"]
        with torch.no_grad():
            model.hf.final_logits_bias[0, 7] = -10_000 if muted else 0
            gaps.append(explain(model, animal.texts()[0], animal.targets[0], position=2).gap)
    assert gaps[0] == gaps[1]
