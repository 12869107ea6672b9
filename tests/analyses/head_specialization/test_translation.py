"""Heads that align and translate, on the bundled sentences: numbers against plain torch, none for models that learnt nothing."""

import numpy as np
import pytest
import torch

from analyses.core.contract import Observed
from analyses.head_specialization.measure.copy_hits import TOP
from analyses.head_specialization.measure.parallel import Parallel, examine_alignment, parallel_of, parallels
from analyses.head_specialization.measure.translation import ablate_translation, examine_translation
from analyses.head_specialization.roles.parallel_criteria import parallel_criteria
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.prompts import aligned_words
from tests.support.models import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def german(bundled: HookedEncoderDecoder) -> Parallel:
    return parallel_of(bundled, "German")


def test_pairs_are_the_pieces_of_their_words(bundled: HookedEncoderDecoder, german: Parallel) -> None:
    found = [one for one in aligned_words()["German"] if one.english == "cat" and one.sentence == 1]
    [pair] = [one for one in german.pairs if one.prompt == 1 and "cat" in _source(bundled, german, one)]
    target = bundled.tokenizer(found[0].foreign_sentence).input_ids
    assert bundled.tokenizer.decode(target[pair.row :]).startswith("Katze")
    assert pair.token == target[pair.row]
    assert len(german.pairs) == len(aligned_words()["German"])


def _source(model: HookedEncoderDecoder, parallel: Parallel, pair: object) -> str:
    ids = parallel.batch.input_ids[pair.prompt, list(pair.pieces)]  # type: ignore[attr-defined]
    return str(model.tokenizer.decode(ids))


def test_a_hit_is_what_the_weights_of_the_host_say(bundled: HookedEncoderDecoder, german: Parallel) -> None:
    """Head XL2H3 and the first pairs of a sentence: memory W_V W_O, final gain and unembedding, one after another."""
    found = examine_translation(bundled)["cross.translation"][:, 0, 2, 3]
    hf = bundled.hf
    prompt = 1
    batch = german.batch
    pairs = [pair for pair in german.pairs if pair.prompt == prompt][:2]
    with torch.no_grad():
        memory = hf.encoder(batch.input_ids[[prompt]], attention_mask=batch.attention_mask[[prompt]]).last_hidden_state[
            0
        ]
        attention = hf.decoder.block[2].layer[1].EncDecAttention
        rows = slice(3 * hf.config.d_kv, 4 * hf.config.d_kv)
        hits = []
        for pair in pairs:
            z = memory[list(pair.pieces)].mean(0) @ attention.v.weight[rows].T
            written = z @ attention.o.weight[:, rows].T
            logits = (written * hf.decoder.final_layer_norm.weight) @ hf.lm_head.weight.T
            hits.append(float(pair.token in logits.topk(TOP).indices.tolist()))
    assert found[german.sentences[prompt]] == pytest.approx(np.mean(hits))


def test_the_bundled_model_translates_and_an_untrained_one_does_not(bundled: HookedEncoderDecoder) -> None:
    own = Observed({}, examine_alignment(bundled), examine_translation(bundled))
    twin_model = untrained_twin(bundled, 0)
    twin = Observed({}, examine_alignment(twin_model), examine_translation(twin_model))
    eligible = [bool(one.eligible.any()) for one in parallel_criteria(own) if one.eligible is not None]
    assert eligible == [True] * 3
    for one in parallel_criteria(twin):
        assert one.eligible is not None
        assert not one.eligible.any()
        assert np.isfinite(one.score).any()  # a control is compared all the same
    alignment, _, translation = parallel_criteria(own)
    assert np.nanmean(alignment.score, 0).max() > np.nanmean(alignment.null) + 0.1
    assert np.nanmean(translation.score, 0).max() > 0.3
    assert np.nanmean(translation.null) < 0.02
    assert np.nanmean(parallel_criteria(twin)[2].score) < 0.02


def test_the_cost_is_that_of_the_host_without_the_head(bundled: HookedEncoderDecoder, german: Parallel) -> None:
    hits = np.zeros((bundled.cfg.n_decoder_layers, bundled.cfg.n_decoder_heads))
    hits[2, 1] = 1.0
    found = ablate_translation(bundled, [german], hits)
    assert np.isfinite(found["cross.translation_cost_read"]).any((1, 2)).sum() > 30
    cells = np.isfinite(found["cross.translation_cost_read"]).any(0)
    assert [tuple(map(int, cell)) for cell in np.argwhere(cells)] == [(2, 1)]
    weight = bundled.hf.decoder.block[2].layer[1].EncDecAttention.o.weight
    kept = weight.detach().clone()
    columns = slice(bundled.hf.config.d_kv, 2 * bundled.hf.config.d_kv)

    def log_probabilities() -> torch.Tensor:
        with torch.no_grad():
            return bundled.hf(**german.batch).logits.log_softmax(-1)

    before = log_probabilities()
    try:
        weight.data[:, columns] = 0.0
        after = log_probabilities()
    finally:
        weight.data.copy_(kept)
    costs = np.full((2, len(german.batch)), np.nan)
    for name, place in (("read", 0), ("other", 1)):
        costs[place] = found[f"cross.translation_cost_{name}"][list(german.sentences), 2, 1]
    for prompt in range(5):
        pairs = [pair for pair in german.pairs if pair.prompt == prompt]
        fall = [float((before - after)[prompt, pair.row, pair.token]) for pair in pairs]
        assert np.nansum([
            min(fall) - 1e-4 <= cost <= max(fall) + 1e-4 for cost in costs[:, prompt] if np.isfinite(cost)
        ])
        assert np.nanmax(costs[:, prompt]) <= max(fall) + 1e-4


def test_a_model_whose_texts_are_other_ones_is_not_asked() -> None:
    """A tiny model has no words of its own: nothing is eligible, whatever it holds."""
    model = tiny("t5")
    if not parallels(model):
        assert examine_alignment(model) == {}
        return
    observed = Observed({}, examine_alignment(model), examine_translation(model))
    assert not any(one.eligible is None or one.eligible.any() for one in parallel_criteria(observed))
