"""Weights that are not those of their config.json are refused by name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from interp.errors import InputError
from interp.model.loading import load
from tests.support.models import tiny

FIRST = "decoder.block.0.layer.0.SelfAttention.k.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete checkpoint of the tiny byte model."""
    path = tmp_path / "checkpoint"
    model = tiny("byt5")
    assert model.tokenizer is not None
    model.hf.save_pretrained(path)
    model.tokenizer.save_pretrained(path)
    return path


def change(folder: Path, name: str, value: torch.Tensor) -> None:
    path = folder / "model.safetensors"
    save_file({**load_file(path), name: value}, path, {"format": "pt"})


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.bool])
def test_weights_that_are_whole_numbers(folder: Path, kind: torch.dtype) -> None:
    weight = load_file(folder / "model.safetensors")[FIRST]
    change(folder, FIRST, (weight * 100).to(kind))
    with pytest.raises(InputError, match=rf"has {FIRST} as whole numbers .* quantized"):
        load(folder, device="cpu")


def test_a_weight_of_another_shape_is_named_with_both_shapes(folder: Path) -> None:
    rows, columns = load_file(folder / "model.safetensors")[FIRST].shape
    change(folder, FIRST, torch.ones(rows + 1, columns))
    with pytest.raises(InputError) as caught:
        load(folder, device="cpu")
    assert f"{FIRST} has the shape ({rows + 1}, {columns}) in the file and ({rows}, {columns}) by config.json" in str(
        caught.value
    )


def test_what_holds_nothing_is_said_and_nothing_else(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    change(folder, "shared.weight", stored["shared.weight"][5].expand_as(stored["shared.weight"]).contiguous())
    with pytest.raises(InputError, match=r"hold nothing: all words have one embedding\."):
        load(folder, device="cpu")
    save_file({name: torch.zeros_like(value) for name, value in stored.items()}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"hold nothing: \d+ of \d+ matrices are one number throughout\."):
        load(folder, device="cpu")
