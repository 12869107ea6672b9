"""Rounding changes no table: weights moved by a relative 1e-6 leave every one within the tolerance of the documentation."""

import copy
from typing import Any

import pandas as pd
import pytest
import torch

from analyses.runs.diff import compare_frames
from analyses.runs.study import analyse
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import Architecture
from interp.report import Table
from interp.text.batch import Batch

pytestmark = pytest.mark.slow

ROUNDING = 1e-6
SETTINGS: dict[str, dict[str, Any]] = {
    "head_specialization": {"importance": [], "resamples": 199},
    "cross_attention_focus": {"relevance_prompts": 0},
    "logit_attribution": {},
    "embedding_geometry": {
        "groups": {"low": ["a", "b", "cd"], "high": ["x", "y", "z"]},
        "permutations": 199,
        "resamples": 199,
        "dimension_sizes": [100, 200],
        "prefix": "",
    },
}


def shaken(model: HookedEncoderDecoder, seed: int) -> HookedEncoderDecoder:
    """A copy with every weight changed by at most a millionth of itself."""
    hf, generator = copy.deepcopy(model.hf), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in hf.parameters():
            weight.mul_(1 + ROUNDING * (2 * torch.rand(weight.shape, generator=generator) - 1))
    return HookedEncoderDecoder(hf, model.tokenizer, model.max_length)


def tables(name: str, model: HookedEncoderDecoder, batch: Batch) -> dict[str, pd.DataFrame]:
    study = analyse(name, model, batch, settings=SETTINGS[name])
    return {block.name: block.frame for block in study.section.blocks if isinstance(block, Table)}


@pytest.mark.parametrize("name", SETTINGS)
def test_rounding_of_the_weights_changes_no_table(
    name: str, tiny_byt5: HookedEncoderDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [f"b: {words}" for words in ("one two one", "three four", "a a a b", "five, six and seven")]
    batch = tiny_byt5.batch(sources, ["eins zwei", "drei", "a b b", "sechs"], prefixes=["b:"] * 4)
    expected = tables(name, tiny_byt5, batch)
    drawn = Architecture.twin
    monkeypatch.setattr(Architecture, "twin", lambda self, seed: shaken(drawn(self, seed), seed))
    found = tables(name, shaken(tiny_byt5, 0), batch)
    assert found.keys() == expected.keys()
    for table, frame in expected.items():
        differences = list(compare_frames(table, frame, found[table], rtol=1e-3, atol=1e-4))
        assert not differences, differences
