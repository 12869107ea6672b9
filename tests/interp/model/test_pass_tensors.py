"""Tensors of a pass kept as they are: equal to copies in every family, nobody else's to write into, else copied."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interp.hooks.hook_point import HookPoint
from interp.model.activation_cache import ActivationCache
from interp.model.heap import FREED_MEMORY, LARGEST_HELD
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.pass_tensors import PassTensors
from tests.support.models import (
    BART_FAMILIES,
    FAMILIES,
    GEMMA_FAMILIES,
    SWITCH_FAMILIES,
    WHISPER_FAMILIES,
    random_batch,
    tiny,
)

_ALL = (*FAMILIES, *BART_FAMILIES, *GEMMA_FAMILIES, *SWITCH_FAMILIES, *WHISPER_FAMILIES)

pytestmark = pytest.mark.skipif(not FREED_MEMORY.can_be_held(), reason="the C library of this system holds no memory")


def _copies(model: HookedEncoderDecoder, batch: Any) -> ActivationCache:
    """The cache that is made of copies: where somebody has attached a function, even one that does nothing."""
    with model.hooks([("encoder.hook_embed", lambda tensor, hook: None)]):
        return model.run_with_cache(batch)[1]


@contextmanager
def _counted(model: HookedEncoderDecoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often the host ran."""
    runs, forward = [0], model.hf.forward

    def counting(*args: Any, **fields: Any) -> Any:
        runs[0] += 1
        return forward(*args, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(model.hf, "forward", counting)
        yield runs


@pytest.mark.parametrize("family", _ALL)
def test_what_is_kept_is_what_copies_hold_and_is_nobody_elses(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(family)
    batch = random_batch(model)
    copies = _copies(model, batch)
    with _counted(model, monkeypatch) as runs:
        logits, cache = model.run_with_cache(batch)
        _, again = model.run_with_cache(batch)
    assert runs == [2]  # no host of ours writes into what it showed
    assert tuple(cache) == tuple(copies)
    for name in copies:
        assert torch.equal(cache[name], copies[name]), name
        assert cache[name].dtype == copies[name].dtype
    # Everything else that lives is written into.
    logits.zero_()
    for tensor in again.values():
        tensor.zero_()
    with torch.no_grad():
        for weight in (*model.hf.parameters(), *model.hf.buffers()):
            weight.fill_(7)
    for name in batch:
        if isinstance(batch[name], Tensor):
            batch[name].zero_()
    model.run_with_cache(batch)
    for name in copies:
        assert torch.equal(cache[name], copies[name]), name


@pytest.mark.parametrize("family", _ALL)
def test_writing_into_one_point_reaches_the_same_stream_alone(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model)
    copies, cache = _copies(model, batch), model.run_with_cache(batch)[1]
    for name in copies:
        kept = cache[name].clone()
        cache[name].copy_(torch.zeros_like(kept))
        changed = {other for other in copies if not torch.equal(cache[other], copies[other])}
        # With copies, points that show one tensor one after the other share it too.
        shared = {other for other in copies if copies[other].data_ptr() == copies[name].data_ptr()}
        assert changed <= shared, name
        cache[name].copy_(kept)


_WRITES: dict[str, Callable[[Tensor], object]] = {
    "in place": lambda tensor: tensor.mul_(3),
    "through a view": lambda tensor: tensor.view(-1)[1:].fill_(3),
    "through numpy": lambda tensor: tensor.numpy().fill(3),
    "through DLPack": lambda tensor: torch.from_dlpack(tensor).fill_(3),
    "as an output": lambda tensor: torch.zeros(tensor.shape, out=tensor),
    "through the storage": lambda tensor: tensor.untyped_storage().fill_(3),
    "shared": lambda tensor: tensor.share_memory_().zero_(),
}


@pytest.mark.parametrize("lazily", [True, False], ids=["as torch copies on writing", "where torch cannot"])
@pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
def test_logits_and_the_cache_s_own_are_apart_once_one_is_written(
    write: Callable[[Tensor], object], lazily: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("t5")
    batch = random_batch(model)
    expected = _copies(model, batch)["unembed.hook_out"]
    if not lazily:
        monkeypatch.delattr(torch, "_lazy_clone")
    for of_logits in (True, False):
        logits, cache = model.run_with_cache(batch)
        one, other = (logits, cache["unembed.hook_out"]) if of_logits else (cache["unembed.hook_out"], logits)
        cache.n_bytes()
        assert torch._C._is_cow_tensor(one) is lazily  # type: ignore[attr-defined]
        write(one)
        assert not torch.equal(one, expected)
        assert torch.equal(other, expected)


@pytest.mark.parametrize("lazily", [True, False], ids=["as torch copies on writing", "where torch cannot"])
@pytest.mark.parametrize("names", [None, "unembed.hook_out"])
@pytest.mark.parametrize("trained", [True, False])
def test_logits_of_a_graph_are_apart_from_the_cache_s_own_and_lead_to_them(
    trained: bool, names: str | None, lazily: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("t5")
    batch = random_batch(model)
    expected = _copies(model, batch)["unembed.hook_out"]
    model.hf.requires_grad_(trained)
    if not lazily:
        monkeypatch.delattr(torch, "_lazy_clone")
    for gradients in (True, not trained):
        logits, cache = model.run_with_cache(batch, names, gradients=gradients)
        with torch.no_grad():
            logits.zero_()
        assert torch.equal(cache["unembed.hook_out"], expected)
    logits, cache = model.run_with_cache(batch, names, gradients=True)
    (3 * logits).sum().backward()
    grad = cache.grad["unembed.hook_out"]
    assert grad is not None
    assert bool((grad == 3).all())


def _writing(hidden: Tensor) -> Tensor:
    return hidden.mul_(0.5).relu_()


def test_a_host_that_writes_into_what_it_showed_is_run_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, model = tiny("t5"), tiny("t5")
    for layer in range(2):
        model.hf.encoder.block[layer].layer[1].DenseReluDense.act.forward = _writing
    batch = random_batch(model)
    with _counted(model, monkeypatch) as runs:
        _, cache = model.run_with_cache(batch)
        assert runs == [2]
        model.run_with_cache(batch)
        assert runs == [3]
    before = plain.run_with_cache(batch)[1]["encoder.0.mlp.hook_pre"]
    assert torch.equal(cache["encoder.0.mlp.hook_pre"], before)
    assert bool((before < 0).any())


def _writes(module: nn.Module, inputs: Any, output: Tensor) -> None:
    output.add_(1.0)


def test_whoever_watches_the_host_gets_copies_kept() -> None:
    """A function on a module may keep what it saw and write into it whenever it likes."""
    model = tiny("t5")
    batch, seen = random_batch(model), list[Tensor]()
    expected = _copies(model, batch)
    handle = model.hf.encoder.block[0].register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    _, cache = model.run_with_cache(batch)
    handle.remove()
    assert seen
    for tensor in seen:
        tensor.zero_()
    assert all(torch.equal(cache[name], expected[name]) for name in expected)
    with model.hf.decoder.final_layer_norm.register_forward_hook(_writes):
        _, cache = model.run_with_cache(batch)
    assert torch.equal(cache["decoder.2.hook_resid_post"], expected["decoder.2.hook_resid_post"])


def test_hidden_states_asked_for_by_the_host_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers leaves its own hooks on the modules then."""
    model = tiny("t5")
    batch = random_batch(model)
    expected = _copies(model, batch)
    fields = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    with torch.no_grad():
        model.hf(**fields, output_hidden_states=True, output_attentions=True)
    kept = list[str]()
    keep = PassTensors.keep

    def told(own: PassTensors, tensor: Tensor, hook: HookPoint) -> None:
        kept.append(hook.name)
        keep(own, tensor, hook)

    monkeypatch.setattr(PassTensors, "keep", told)
    _, cache = model.run_with_cache(batch)
    assert sorted(kept) == sorted(expected)
    assert all(torch.equal(cache[name], expected[name]) for name in expected)


def _point(name: str = "a") -> HookPoint:
    return HookPoint(name, ("batch", "pos"))


_LARGE = LARGEST_HELD // 4
_COPIED: dict[str, Callable[[], Tensor]] = {
    "a slice": lambda: torch.randn(400, 30)[:7],
    "a row for every prompt": lambda: torch.randn(1, 30).expand(40, 30),
    "of a block that the system takes back": lambda: torch.randn(_LARGE),
}


@pytest.mark.parametrize("what", _COPIED)
def test_what_is_copied(what: str) -> None:
    tensors, tensor = PassTensors(), _COPIED[what]()
    tensors.keep(tensor, _point())
    kept = tensors.apart_from(torch.zeros(1), ())["a"]
    assert torch.equal(kept, tensor)
    assert kept.data_ptr() != tensor.data_ptr()


def test_transposed_tensors_are_kept_as_they_are_and_a_second_view_is_a_copy() -> None:
    tensors, tensor = PassTensors(), torch.randn(30, 40, 50)
    tensors.keep(tensor.transpose(0, 1), _point("a"))
    tensors.keep(torch.randn(3), _point("b"))
    tensors.keep(tensor.mT, _point("c"))
    kept = tensors.apart_from(torch.zeros(1), ())
    assert kept["a"].data_ptr() == tensor.data_ptr() != kept["c"].data_ptr()
    assert torch.equal(kept["c"], tensor.mT)
    tensor.add_(1)
    assert tensors.written()


def test_caches_of_threads_are_their_own() -> None:
    model = tiny("t5")
    batches = [random_batch(model, seed=seed) for seed in range(3)]
    expected, found = [_copies(model, batch) for batch in batches], dict[int, ActivationCache]()
    models = [tiny("t5") for _ in batches]

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = models[number].run_with_cache(batches[number])[1]

    threads = [Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, copies in enumerate(expected):
        assert all(torch.equal(found[number][name], copies[name]) for name in copies)


def test_with_a_gradient_tensors_stay_in_the_graph() -> None:
    model = tiny("t5")
    for weight in model.hf.parameters():
        weight.requires_grad_(True)
    _, cache = model.run_with_cache(random_batch(model))
    cache[
        "decoder.hook_final_normalized" if "decoder.hook_final_normalized" in cache else "decoder.2.hook_resid_post"
    ].sum().backward()
    assert any(weight.grad is not None for weight in model.hf.parameters())


_LOOP = """
import resource
import torch
from interp.model.reused_memory import release_cache_memory
from tests.support.models import random_batch, tiny
torch.set_num_threads(1)
model = tiny("t5", d_model=192, d_ff=1024)
batch = random_batch(model, source_lengths=(120,) * 16, target_lengths=(80,) * 16)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
held = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
with torch.no_grad():
    for run in range(4):
        model.run_with_cache(batch)
    before = faults()
    for run in range(5):
        _, cache = model.run_with_cache(batch)
        kept = cache.n_bytes()
        del cache
    taken = (faults() - before) * resource.getpagesize() / 5
    full = held()
    release_cache_memory()
print(kept, taken, full - held())
"""


def test_a_loop_takes_no_fresh_pages_and_gives_them_back() -> None:
    done = subprocess.run([sys.executable, "-c", _LOOP], capture_output=True, text=True, check=True)
    kept, taken, given_back = map(float, done.stdout.split())
    assert kept > 4e7
    assert taken < 0.1 * kept
    assert given_back > 0.5 * kept
