"""Memory is given back without a number changing."""

import gc
import sys
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration

from analyses.core.memory_use import page_out, use_once
from interp.model.heap import trim_heap
from interp.model.hooked_model import HookedEncoderDecoder


def _resident(kind: str) -> int:
    """Bytes of this process in memory, `RssAnon` or `RssFile`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def test_weights_of_a_file_are_the_same_when_they_were_left_to_the_system(tmp_path: Path) -> None:
    drawn = {name: torch.randn(1000, 2048) for name in "ab"}
    save_file(drawn, tmp_path / "weights.safetensors")
    mapped = load_file(tmp_path / "weights.safetensors")
    own = torch.randn(1000, 2048)
    before = own.clone()
    mapped["b"][:10] = 7.0  # a page that differs from the file's
    page_out([*mapped.values(), own, own[3:5], torch.empty(0), torch.empty(4, device="meta")])
    assert torch.equal(mapped["a"], drawn["a"])
    assert torch.equal(mapped["b"][10:], drawn["b"][10:])
    assert (mapped["b"][:10] == 7.0).all()
    assert torch.equal(own, before)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is given back on Linux alone")
def test_freed_memory_is_given_back() -> None:
    kept, freed = [], []
    for _ in range(2000):  # small pieces between small pieces: the heap ends with one that is kept
        freed.append(torch.ones(8192))
        kept.append(torch.ones(16))
    held = _resident("RssAnon")
    del freed
    trim_heap()
    assert held - _resident("RssAnon") > 1000 * 8192 * 4
    assert sum(float(piece.sum()) for piece in kept) == 2000 * 16


def test_of_a_large_model_that_was_used_once_nothing_is_left() -> None:
    def make() -> HookedEncoderDecoder:
        config = T5Config(
            vocab_size=140_000, d_model=128, num_layers=1, num_heads=2, d_kv=8, d_ff=16, decoder_start_token_id=0
        )
        return HookedEncoderDecoder(T5ForConditionalGeneration(config))

    def use(model: HookedEncoderDecoder) -> weakref.ref[HookedEncoderDecoder]:
        with torch.no_grad():
            model.run_with_cache({"input_ids": torch.tensor([[5, 1]]), "decoder_input_ids": torch.tensor([[0, 5]])})
        return weakref.ref(model)

    gc.disable()  # what is found is not found by chance
    try:
        assert use(make())() is not None, "it hangs in a circle"
        assert use_once(make, use)() is None
    finally:
        gc.enable()
