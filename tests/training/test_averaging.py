"""The mean of two models' weights: every parameter, the card's word on it, and what cannot be averaged."""

import re
from pathlib import Path

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from interp.errors import InputError
from tests.support.toy_pairs import RECIPE, tiny_pairs
from training.averaging import Averaged, average
from training.clock import BudgetClock
from training.export import digest, export
from training.train import train
from training.warmstart import fresh_model

pytestmark = pytest.mark.slow


def model(seed: int, d_ff: int = 18, tied: bool = True) -> T5ForConditionalGeneration:
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=31, d_model=12, d_kv=5, d_ff=d_ff, num_layers=1, num_decoder_layers=2, num_heads=3,
        decoder_start_token_id=0,
    )  # fmt: skip
    return fresh_model(config, tied)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_the_mean(tied: bool, tmp_path: Path) -> None:
    one, two = model(1, tied=tied), model(2, tied=tied)
    expected = {name: 0.75 * p.detach() + 0.25 * two.get_parameter(name) for name, p in one.named_parameters()}
    two.save_pretrained(tmp_path)
    average(one, Averaged(tmp_path, 0.25))
    for name, parameter in one.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name].detach())
    assert torch.equal(one.lm_head.weight, one.shared.weight) == tied


def test_the_card_says_with_what(tmp_path: Path) -> None:
    train(tiny_pairs(), RECIPE, BudgetClock(steps=10), tmp_path / "run")
    export(tmp_path / "run", tiny_pairs(), tmp_path / "one", "float32", "")
    other = tmp_path / "other"
    apart = T5ForConditionalGeneration.from_pretrained(tmp_path / "one")
    with torch.no_grad():
        apart.shared.weight.mul_(3.0)
    apart.save_pretrained(other)
    card = export(tmp_path / "run", tiny_pairs(), tmp_path / "mean", "float32", "", other=Averaged(other, 0.25))
    assert f"(75.0 %) and of those with SHA-256 {digest(other / 'model.safetensors')}\n(25.0 %)" in card.render()
    one, mean = (T5ForConditionalGeneration.from_pretrained(tmp_path / name) for name in ("one", "mean"))
    torch.testing.assert_close(mean.shared.weight, one.shared.weight * 1.5)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_is_between_none_and_all(share: float, tmp_path: Path) -> None:
    model(1).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="a share above 0 and below 1"):
        Averaged(tmp_path, share)


def test_models_of_other_shapes_and_folders_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape("There is no model.safetensors")):
        Averaged(tmp_path, 0.5)
    model(1, d_ff=20).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="another shape"):
        average(model(2), Averaged(tmp_path, 0.5))
