"""Loading: folders, local hub caches, and one clear sentence for everything that cannot be loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from interp.errors import InputError
from interp.model.checkpoints import Checkpoint, find_checkpoint
from interp.model.loading import load, pick_device
from tests.support.models import random_batch, tiny, tiny_hf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete checkpoint of the tiny byte model."""
    path = tmp_path / "checkpoint"
    model = tiny("byt5")
    model.hf.save_pretrained(path)
    assert model.tokenizer is not None
    model.tokenizer.save_pretrained(path)
    return path


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_gives_back_what_was_saved(folder: Path) -> None:
    model, original = load(folder, device="cpu"), tiny("byt5")
    batch = random_batch(original)
    assert torch.equal(model(batch), original(batch))
    assert not model.tied_embeddings
    assert not any(weight.requires_grad for weight in model.hf.parameters())
    assert model.batch("a text", "ein Text").labels.shape == (1, 9)


def test_the_types_of_weights(folder: Path) -> None:
    assert load(folder, device="cpu", dtype="bfloat16").dtype is torch.bfloat16
    assert load(folder, device="cpu", dtype=torch.float16).dtype is torch.float16


@pytest.mark.parametrize("kind", ["float8", "float64", torch.float64, torch.int8, 32, ["float32"], None])
def test_what_is_no_type_of_weights(kind: Any) -> None:
    with pytest.raises(InputError, match="A type of weights is 'float32', 'bfloat16', 'float16'"):
        load(dtype=kind, device="cpu")


@pytest.mark.parametrize("device", ["tpu", "cuda:0", ["cpu"], None])
def test_what_is_no_device(device: Any) -> None:
    with pytest.raises(InputError, match="A device is 'auto', 'cpu', 'cuda' or 'mps'; got"):
        load(device=device)


def test_the_bundled_checkpoint_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    checkpoint = find_checkpoint()
    assert checkpoint.name == "bundled"
    assert checkpoint.revision is None
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(checkpoint.files())


def test_the_bundled_model_translates(bundled: interp.HookedEncoderDecoder) -> None:
    batch = bundled.batch("translate English to German: The dog is big.")
    assert "Hund" in batch.target_texts[0].text


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Cannot load '.*nowhere': there is no such folder. Give `bundled`, a folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"Only `interp compare-models` knows 'untrained:3'"):
        interp.load("untrained:3")
    with pytest.raises(InputError, match=r"Cannot load '\./nowhere': there is no such folder"):
        load("./nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="that is a file"):
        load(tmp_path / "file")


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no config.json, so it is no checkpoint; give the folder"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "\x00\x01", '{"model_type": 3}'])
def test_a_configuration_that_cannot_be_read(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json of 'checkpoint'"):
        load(folder)


def test_a_configuration_without_a_model_type(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    with pytest.raises(InputError, match="names no model_type; is it a transformers checkpoint"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "gpt2", "is_encoder_decoder": False},
            "Model type 'gpt2' is not an encoder-decoder; supported are",
        ),
        (
            {"model_type": "led"},
            "Models of type 'led' are refused: none of its attention goes through the host's registry",
        ),
        ({"model_type": "encoder-decoder"}, "joins two models of other kinds .config.encoder.model_type"),
        ({"model_type": "udop"}, "Model type 'udop' is an encoder-decoder this package does not know; supported are"),
        ({"model_type": "no such thing"}, "Model type 'no such thing' is"),
    ],
)
def test_other_kinds_of_models(folder: Path, changes: dict[str, object], message: str) -> None:
    change_config(folder, **changes)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_an_unknown_feed_forward_kind(folder: Path) -> None:
    change_config(folder, feed_forward_proj="gated-tanh", dense_act_fn="tanh")
    with pytest.raises(InputError, match="feed_forward_proj='gated-tanh'"):
        load(folder)


def test_pickled_weights_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"weights in pytorch_model.bin only, a pickle that can run code; convert it"):
        load(folder)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="has no weights"):
        load(folder)


@pytest.mark.parametrize("kept", [0, 7, 1000, 20000])
def test_weights_cut_short(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"'checkpoint' are damaged or cut short .*fetch the file again"):
        load(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    change_config(folder, d_model=48)
    with pytest.raises(InputError, match=r"decoder\..* has the shape .* in the file and \(\d+, 48\) by config"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": "four"}, "has num_heads = 'four', which is no value that a t5 model takes there"),
        ({"layer_norm_epsilon": "x"}, "has layer_norm_epsilon = 'x', which is no value"),
        ({"num_heads": -4}, "has num_heads = -4; the size is at least 1"),
        ({"d_kv": 0}, "has d_kv = 0; the size is at least 1"),
        ({"relative_attention_num_buckets": -1}, "has relative_attention_num_buckets = -1; the size is at least 0"),
        ({"feed_forward_proj": "nonsense", "dense_act_fn": "nonsense"}, "names the activation function 'nonsense'"),
    ],
)
def test_settings_that_no_model_has(folder: Path, changes: dict[str, object], message: str) -> None:
    change_config(folder, **changes)
    with pytest.raises(InputError, match=f"config.json of 'checkpoint' {message}"):
        load(folder)


@pytest.mark.parametrize("stated", ["x", -5, 1, True, [512]])
def test_a_length_that_no_text_has(folder: Path, stated: object) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": stated}))
    assert load(folder, device="cpu", max_length=9).max_length == 9
    with pytest.raises(InputError, match=r"states model_max_length = .*, which must be a number of at least 2"):
        load(folder, device="cpu")


def test_weights_that_lack_a_layer(folder: Path) -> None:
    change_config(folder, num_decoder_layers=5)
    with pytest.raises(InputError, match=r"lacks \d+ weights.*decoder\.block\.3"):
        load(folder)


def test_weights_of_more_layers_than_the_configuration_has(folder: Path) -> None:
    change_config(folder, num_decoder_layers=2)
    with pytest.raises(InputError, match=r"has in surplus \d+ weights, the first is decoder\.block\.2"):
        load(folder)


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    tiny_hf("t5").save_pretrained(folder)
    with pytest.raises(InputError, match=r"has 384 tokens and its model only 61 embeddings"):
        load(folder)


def test_loading_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder)
    assert capfd.readouterr() == ("", "")


def test_no_tokenizer(folder: Path) -> None:
    tiny_hf("t5").save_pretrained(folder)
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(InputError, match=r"has no tokenizer files; put tokenizer\.json beside"):
        load(folder)


def test_a_hub_id_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"Cannot fetch 'google-t5/t5-small': .* the hub cannot be reached"):
        load("google-t5/t5-small")


def test_what_cannot_be_a_hub_id() -> None:
    with pytest.raises(InputError, match="no readable model 'not a name!'"):
        load("not a name!")


@pytest.mark.parametrize("revision", [None, "main", "v2", "c0ffee" + "0" * 34])
def test_a_hub_id_in_the_local_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    """The layout huggingface_hub keeps: refs name a commit, snapshots hold its files."""
    commit = "c0ffee" + "0" * 34
    repository = tmp_path / "hub" / "models--somebody--tiny"
    for name in ("main", "v2"):
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    shutil.copytree(folder, repository / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    checkpoint = find_checkpoint("somebody/tiny", revision)
    assert (checkpoint.name, checkpoint.revision) == ("somebody/tiny", commit)
    assert load("somebody/tiny", revision, device="cpu").cfg.d_vocab == 384


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        assert pick_device("cuda").type == "cuda"
    else:
        with pytest.raises(InputError, match=r"no device 'cuda' on this machine; available: .*cpu"):
            pick_device("cuda")
    assert pick_device("cpu") == torch.device("cpu")


def test_a_checkpoint_lists_the_files_that_define_it(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    names = list(Checkpoint("x", folder).files())
    assert names == sorted(names)
    assert "model.safetensors" in names
    assert "notes.txt" not in names
