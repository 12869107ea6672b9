"""Activations on disk: what is read is what was kept, in constant memory, resumable."""

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.storage import Corpus, load_cache, save_cache, write_corpus
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny


def test_a_cache_comes_back_as_it_was(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    batch = tiny_byt5.batch(["A dog, ünd 🙂.", "two"], ["ein Hund", "zwei"])
    _, cache = tiny_byt5.run_with_cache(batch)
    path = tmp_path / "run.safetensors"
    save_cache(cache, path)
    again = load_cache(path, tiny_byt5)
    assert list(again) == list(cache)
    for name, tensor in cache.items():
        assert torch.equal(again[name], tensor), name
    assert again.batch is not None
    assert again.batch.source_texts == batch.source_texts
    assert again.batch.target_origin == "given"
    assert torch.equal(tiny_byt5(again.batch), tiny_byt5(batch))
    assert torch.equal(again["result", 0, "cross_attn"], cache["result", 0, "cross_attn"])
    stacked = again.decompose_resid("decoder")
    assert torch.equal(again.logit_attrs(stacked, 7), cache.logit_attrs(cache.decompose_resid("decoder"), 7))
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_explains_itself_and_stores_shared_tensors_once(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5), ["decoder.*.hook_resid_pre", "decoder.*.hook_resid_post"])
    save_cache(cache, tmp_path / "run.safetensors")
    with safe_open(tmp_path / "run.safetensors", framework="pt") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert json.loads(metadata["axes"])["decoder.0.hook_resid_pre"] == ["batch", "pos", "d_model"]
    assert json.loads(metadata["batch"])["source_texts"][0]["pieces"][-1] == "</s>"
    assert "decoder.1.hook_resid_pre" not in names, "it is decoder.0.hook_resid_post"
    again = load_cache(tmp_path / "run.safetensors")
    assert torch.equal(again["decoder.1.hook_resid_pre"], cache["decoder.0.hook_resid_post"])


def test_without_its_model_a_cache_says_what_it_cannot_do(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    save_cache(cache, tmp_path / "run.safetensors")
    again = load_cache(tmp_path / "run.safetensors")
    with pytest.raises(InputError, match="computed from z and the model's weights; load the cache with its model"):
        again["result", 0, "cross_attn"]
    with pytest.raises(InputError, match="does not know its model"):
        again.logit_attrs(again.decompose_resid("decoder"), 7)


def test_what_cannot_be_read_or_saved(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        load_cache(tmp_path / "nothing.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"12345678901")
    with pytest.raises(InputError, match=r"'bad\.safetensors' is no safetensors file or is cut short"):
        load_cache(tmp_path / "bad.safetensors")
    tiny_t5.hf.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"'model\.safetensors' holds no activations of this package"):
        load_cache(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="There are no activations in"):
        Corpus(tmp_path / "empty")
    batch = random_batch(tiny_t5)
    _, cache = tiny_t5.run_with_cache(dict(batch))
    with pytest.raises(InputError, match="without its batch cannot be saved"):
        save_cache(cache, tmp_path / "x.safetensors")


def test_a_place_where_no_file_can_be(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    batch = random_batch(tiny_t5)
    _, cache = tiny_t5.run_with_cache(batch, "encoder.hook_embed")
    with pytest.raises(InputError, match="is a folder"):
        save_cache(cache, tmp_path)
    with pytest.raises(InputError, match="is in no folder"):
        save_cache(cache, tmp_path / "none" / "x.safetensors")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made"):
        write_corpus(tiny_t5, [batch], tmp_path / "file", "encoder.hook_embed")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def corpus(model: HookedEncoderDecoder, stop_before: int | None = None) -> Iterator[Batch]:
    for seed in range(4):
        if seed == stop_before:
            raise KeyboardInterrupt
        yield random_batch(model, seed=seed)


def test_an_interrupted_corpus_is_finished_by_the_same_call(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    names = "decoder.*.cross_attn.hook_pattern"
    with pytest.raises(KeyboardInterrupt):
        write_corpus(tiny_t5, corpus(tiny_t5, stop_before=2), tmp_path / "corpus", names)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus").iterdir()}
    assert len(before) == 2
    assert write_corpus(tiny_t5, corpus(tiny_t5), tmp_path / "corpus", names) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    stored = Corpus(tmp_path / "corpus")
    assert len(stored) == 4
    for seed, (cache, pattern) in enumerate(
        zip(stored, stored.activation("decoder.1.cross_attn.hook_pattern"), strict=True)
    ):
        _, fresh = tiny_t5.run_with_cache(random_batch(tiny_t5, seed=seed), names)
        assert torch.equal(pattern, fresh["decoder.1.cross_attn.hook_pattern"])
        assert cache.batch is not None
        assert cache.batch is not None
        assert torch.equal(cache.batch.labels, random_batch(tiny_t5, seed=seed).labels)


def test_a_corpus_is_written_in_the_memory_of_one_batch(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    """When a batch is asked for, no activation of the one before the last is alive any more."""
    batch, alive = random_batch(tiny_t5), []

    def note(z: Tensor, hook: HookPoint) -> None:
        alive.append(weakref.ref(z.untyped_storage()))

    def batches() -> Iterator[Batch]:
        for number in range(6):
            assert not any(reference() is not None for reference in alive[: max(number - 1, 0)])
            yield batch

    with tiny_t5.hooks([("decoder.0.attn.hook_z", note)]):
        assert write_corpus(tiny_t5, batches(), tmp_path / "corpus", "decoder.0.attn.hook_z") == 6
    assert len(alive) == 6


def test_a_corpus_is_not_mixed_with_another(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    write_corpus(tiny_t5, [random_batch(tiny_t5, seed=0)], tmp_path, "decoder.hook_embed", dtype=torch.float16)
    assert Corpus(tmp_path)[0]["decoder.hook_embed"].dtype is torch.float16
    with pytest.raises(
        InputError, match=r"'00000\.safetensors' in .* is of another batch; write this corpus to a new folder"
    ):
        write_corpus(tiny_t5, [random_batch(tiny_t5, seed=1)], tmp_path, "decoder.hook_embed")


def test_a_corpus_of_other_activations_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """Same batches, but another model, other hook points or another type: nothing of the old is called the new."""
    model, hooks = tiny("t5"), ("decoder.hook_embed", "encoder.hook_embed")
    batch = random_batch(model)
    assert write_corpus(model, [batch], tmp_path, hooks) == 1
    assert (
        write_corpus(model, [batch], tmp_path, ["encoder.hook_embed", "decoder.hook_embed"]) == 0
    )  # the same, named anew
    other = tiny("t5", seed=1)
    for asked in ((other, hooks, None), (model, hooks[0], None), (model, hooks, torch.float16)):
        with pytest.raises(
            InputError, match="is of another model, other activations or another type; write this corpus"
        ):
            write_corpus(asked[0], [batch], tmp_path, asked[1], asked[2])
    assert len(Corpus(tmp_path)) == 1


def test_a_long_corpus_is_read_in_its_order(tiny_t5: HookedEncoderDecoder, tmp_path: Path) -> None:
    for number in (99_999, 100_000, 2):
        save_cache(
            tiny_t5.run_with_cache(random_batch(tiny_t5), "decoder.hook_embed")[1],
            tmp_path / f"{number:05d}.safetensors",
        )
    assert [path.stem for path in Corpus(tmp_path).paths] == ["00002", "99999", "100000"]


def test_a_failing_write_leaves_the_old_file(
    tiny_t5: HookedEncoderDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.safetensors"
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5), "decoder.hook_embed")
    save_cache(cache, path)
    old = path.read_bytes()

    def full_disk(tensors: object, to: Path, metadata: object) -> None:
        Path(to).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("interp.model.storage.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_cache(cache, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
