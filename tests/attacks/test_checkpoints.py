"""Checkpoints: what cannot be meant is refused in one sentence, and every file that loading opens is hashed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ByT5Tokenizer
from typer.testing import CliRunner

import interp
from analyses.cli import app
from analyses.runs.config import make_config
from analyses.runs.inputs import read_inputs
from analyses.runs.manifest import file_hashes
from interp.model.checkpoints import Checkpoint
from tests.support.models import tiny_hf
from tests.support.tokenizers import byte_pair_tokenizer

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny T5 over bytes, whose tokenizer needs no vocabulary."""
    tiny_hf("byt5").save_pretrained(tmp_path / "model")
    ByT5Tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def configured(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def weighted(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], object]:
    def act(folder: Path) -> None:
        weights = {name: change(weight) for name, weight in load_file(folder / WEIGHTS).items()}
        save_file(weights, folder / WEIGHTS, {"format": "pt"})

    return act


def sharded(name: str) -> Callable[[Path], object]:
    """Weights in a file that an index names."""

    def act(folder: Path) -> None:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        names = list(load_file(folder / WEIGHTS))
        (folder / WEIGHTS).rename(place)
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, name)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return act


def indexed(text: str) -> Callable[[Path], object]:
    """An index, and weights only where it says."""
    return lambda folder: ((folder / WEIGHTS).unlink(), (folder / "model.safetensors.index.json").write_text(text))


def replaced(name: str, by: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: ((folder / name).unlink(), by(folder / name))


def twice(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("{", '{"d_model": 8,', 1))


REFUSED: dict[str, Callable[[Path], object]] = {
    "d_model a text": configured(d_model="wide"),
    "d_model a list": configured(d_model=[24]),
    "d_model a fraction": configured(d_model=24.5),
    "d_model nothing": configured(d_model=None),
    "d_model 0": configured(d_model=0),
    "d_model below 0": configured(d_model=-24),
    "d_model a trillion": configured(d_model=10**12),
    "no heads": configured(num_heads=0),
    "a billion layers": configured(num_layers=10**9),
    "10,000 layers": configured(num_layers=10_000),
    "more layers than weights": configured(num_layers=7),
    "a vocabulary of another size": configured(vocab_size=99),
    "a pad id out of range": configured(pad_token_id=10**6),
    "a start id below 0": configured(decoder_start_token_id=-5),
    "an unknown activation": configured(feed_forward_proj="gated-magic", dense_act_fn="magic"),
    "a quantized model": configured(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
    "another model type": configured(model_type="gpt2"),
    "a model type that is a number": configured(model_type=5),
    "no encoder-decoder": configured(is_encoder_decoder=False, model_type="bert"),
    "a key twice": twice,
    "not a number": lambda folder: (folder / "config.json").write_text('{"model_type": "t5", "dropout_rate": NaN}'),
    "an infinite number": lambda folder: (folder / "config.json").write_text(
        '{"model_type": "t5", "dropout_rate": 1e999}'
    ),
    "nested 100,000 deep": lambda folder: (folder / "config.json").write_text("[" * 100_000),
    "nested 50 deep": configured(task={"a": json.loads("[" * 50 + "]" * 50)}),
    "a list": lambda folder: (folder / "config.json").write_text("[]"),
    "not UTF-8": lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"),
    "an empty configuration": lambda folder: (folder / "config.json").write_bytes(b""),
    "a configuration that is a pipe": replaced("config.json", os.mkfifo),
    "a configuration that is a device": replaced("config.json", lambda path: path.symlink_to("/dev/zero")),
    "a configuration that is a folder": replaced("config.json", Path.mkdir),
    "weights that are a pipe": replaced(WEIGHTS, os.mkfifo),
    "weights that are a device": replaced(WEIGHTS, lambda path: path.symlink_to("/dev/zero")),
    "weights that are empty": replaced(WEIGHTS, Path.touch),
    "weights that are text": replaced(WEIGHTS, lambda path: path.write_text("weights")),
    "weights whose header is endless": replaced(WEIGHTS, lambda path: path.write_bytes(b"\xff" * 64)),
    "weights that are all 0": weighted(torch.zeros_like),
    "weights that are all 1": weighted(torch.ones_like),
    "one embedding for all words": weighted(lambda weight: weight[:1].expand_as(weight).contiguous()),
    "an index that leads up and out": sharded("../elsewhere.safetensors"),
    "an index of numbers": indexed('{"weight_map": {"a": 1}}'),
    "an index of nothing": indexed("{}"),
    "an index that is no JSON": indexed("{"),
    "an index of a file that is not there": indexed('{"weight_map": {"a": "b.safetensors"}}'),
    "no tokenizer": lambda folder: [path.unlink() for path in folder.iterdir() if "token" in path.name],
    "a tokenizer's class without its vocabulary": lambda folder: (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "T5Tokenizer"}'
    ),
    "a tokenizer that is a pipe": replaced("tokenizer_config.json", os.mkfifo),
    "a tokenizer that is no JSON": lambda folder: (folder / "tokenizer_config.json").write_text("{"),
    "a tokenizer of code": lambda folder: (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "X", "auto_map": {"AutoTokenizer": ["x.X", null]}}'
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_checkpoint_that_cannot_be_meant_is_refused_in_one_sentence(case: str, folder: Path) -> None:
    assert interp.load(folder, device="cpu") is not None
    REFUSED[case](folder)
    before = sorted(folder.parent.rglob("*"))
    words = ["model", "--model", str(folder)]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert sorted(folder.parent.rglob("*")) == before


def test_a_run_on_such_a_checkpoint_leaves_nothing(folder: Path) -> None:
    configured(d_model="wide")(folder)
    out = folder.parent / "reports" / "run"
    result = CliRunner().invoke(app, ["run", "--model", str(folder), "--limit", "1", "--out", str(out)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_shards_in_a_folder_are_loaded_and_hashed_by_their_place(folder: Path) -> None:
    sharded("deep/er/one.safetensors")(folder)
    assert interp.load(folder, device="cpu") is not None
    names = Checkpoint("x", folder).files()
    assert "deep/er/one.safetensors" in names
    before = file_hashes(names)
    weighted_file = folder / "deep/er/one.safetensors"
    data = bytearray(weighted_file.read_bytes())
    data[-1] ^= 1
    weighted_file.write_bytes(data)
    after = file_hashes(Checkpoint("x", folder).files())
    assert {name for name in before if before[name] != after[name]} == {"deep/er/one.safetensors"}


@pytest.mark.parametrize("name", ["merges.txt", "vocab.json", "chat_template.jinja", "generation_config.json"])
def test_a_file_that_loading_may_open_decides_the_run(name: str, tmp_path: Path) -> None:
    folder, tokenizer = tmp_path / "bart", byte_pair_tokenizer()
    tiny_hf("bart", vocab_size=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = make_config(model=str(folder), limit=1)
    before = read_inputs(config).identity()
    (folder / name).write_text((folder / name).read_text() + " " if (folder / name).exists() else "{}")
    assert read_inputs(config).identity() != before


def test_every_file_that_loading_needs_is_among_those_hashed(folder: Path) -> None:
    """Taking away any file that is not hashed changes nothing that loading gives."""
    for name in ("README.md", "notes.txt", "pytorch_model.bin", "spare.pt", "flax_model.msgpack", ".hidden.json"):
        (folder / name).write_text("x")
    hashed = set(Checkpoint("x", folder).files())
    for path in sorted(folder.iterdir()):
        if path.name not in hashed:
            path.unlink()
    assert {path.name for path in folder.iterdir()} == hashed
    assert interp.load(folder, device="cpu") is not None
