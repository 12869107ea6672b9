"""Batches of token ids that stand for no text: what a T5 of time series reads."""

import pytest
import torch

from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.logit_readout import label_tokens, token_logit
from interp.errors import InputError
from interp.text.words import CONTENT, EOS
from tests.support.models import tiny

SOURCES = [[5, 9, 30, 12, 1], [7, 7, 1]]
TARGETS = [[8, 1], [20, 21, 22, 1]]


def label(token: int) -> str:
    return "end" if token == 1 else f"{token / 10:.1f}"


def test_ids_become_a_padded_batch_with_labels() -> None:
    model = tiny("t5")
    batch = model.batch(ids=SOURCES, target_ids=TARGETS, label=label)
    assert batch.input_ids.tolist() == [[5, 9, 30, 12, 1], [7, 7, 1, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch.labels.tolist() == [[8, 1, -100, -100], [20, 21, 22, 1]]
    assert batch.decoder_input_ids.tolist() == [[0, 8, 1, 0], [0, 20, 21, 22]]
    first = batch.source_texts[0]
    assert first.pieces == ("0.5", "0.9", "3.0", "1.2", "end")
    assert first.category_of_token == (CONTENT,) * 4 + (EOS,)
    assert first.word_of_token == (0, 1, 2, 3, -1)
    assert batch.target_origin == "given"


def test_hooks_and_attribution_work_on_it() -> None:
    model = tiny("t5")
    batch = model.batch(ids=SOURCES, target_ids=TARGETS)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, list(decomposition_hooks(model.cfg)))
        readout = token_logit(model, logits, label_tokens(batch))
    gap = (decompose(model, kept, readout).values.sum(-1) - readout.values).abs()[batch.target_mask].max()
    assert gap < 2e-6 * logits.abs().max()
    assert kept["pattern", 0, "cross_attn"][1, :, :, 3:].eq(0).all(), "padding is not read"


def test_targets_are_written_and_labeled() -> None:
    model = tiny("t5")
    batch = model.batch(ids=SOURCES, label=label, max_new_tokens=4)
    assert batch.target_origin == "generated"
    for text in batch.target_texts:
        assert text.pieces == tuple(map(label, text.ids))
        assert 1 <= len(text.ids) <= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": []}, "at least one row of ids"),
        ({"ids": [[]]}, "The source of prompt 1 has 0 ids; from 1 to 512"),
        ({"ids": [[5, 61]]}, "has the id 61; ids are from 0 to 60, without 0"),
        ({"ids": [[5, 0, 5]]}, "has the id 0; .* which is padding"),
        ({"ids": [[5]], "target_ids": [[5], [6]]}, "Got 1 rows of ids and 2 of targets"),
        ({"ids": [[5]], "target_ids": [[-1]]}, "The target of prompt 1 has the id -1"),
        ({"ids": [[5] * 513]}, "has 513 ids"),
        ({"ids": [[5]], "sources": "text"}, "made of texts or of `ids`"),
        ({"target_ids": [[5]]}, "got both, or no `ids`"),
    ],
)
def test_what_is_no_batch_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny("t5").batch(**arguments)  # type: ignore[arg-type]
