"""Memory used again: never while anything can read it, however it is held, and otherwise always; no more than was needed."""

import copy
import gc
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from interp.model import reused_memory
from interp.model.heap import FREED_MEMORY
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.reused_memory import ReusedMemory, release_cache_memory
from interp.model.storage import load_cache, save_cache
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny

SIZE = 1 << 10


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> ReusedMemory:
    """The memory of all caches while a test runs, which serves tiny activations too, as where no C library holds freed memory."""
    own = ReusedMemory(least=1)
    monkeypatch.setattr(FREED_MEMORY, "can_be_held", lambda: False)
    monkeypatch.setattr(reused_memory, "CACHE_MEMORY", own)
    return own


def _function(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _in_a_cycle(tensor: Tensor) -> list[Any]:
    held: list[Any] = [tensor]
    held.append(held)
    return held


HOLDERS: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = {
    "the tensor": (lambda t: t, lambda held: held),
    "a slice": (lambda t: t[3:4], lambda held: held),
    "one number": (lambda t: t[-1, -1], lambda held: held),
    "a transposed view": (lambda t: t.mT, lambda held: held),
    "another type's view": (lambda t: t.view(torch.int32), lambda held: held.view(torch.float32)),
    "detached": (lambda t: t.detach(), lambda held: held),
    "a shallow copy": (copy.copy, lambda held: held),
    "a parameter": (lambda t: torch.nn.Parameter(t), lambda held: held.detach()),
    "a module's buffer": (lambda t: torch.nn.Buffer(t), lambda held: held),
    "a list": (lambda t: list(t.unbind()), lambda held: torch.stack(held)),
    "a cycle": (_in_a_cycle, lambda held: held[0]),
    "a function": (_function, lambda held: held()),
    "its storage": (
        lambda t: t.untyped_storage(),
        lambda held: torch.tensor(held, dtype=torch.uint8).view(torch.float32),
    ),
    "an array": (lambda t: t.numpy(), lambda held: torch.from_numpy(held)),
    "a slice of an array": (lambda t: t.numpy()[1:, ::2], lambda held: torch.from_numpy(held)),
    "an array by protocol": (lambda t: np.asarray(t), lambda held: torch.from_numpy(held)),
    "a buffer of bytes": (
        lambda t: memoryview(t.numpy().reshape(-1)),
        lambda held: torch.from_numpy(np.frombuffer(held, dtype=np.float32).copy()),
    ),
    "DLPack": (lambda t: np.from_dlpack(t), lambda held: torch.from_numpy(held)),
    "a tensor of its array": (lambda t: torch.from_numpy(t.numpy()), lambda held: held),
    "memory shared by processes": (lambda t: t.share_memory_(), lambda held: held),
}
"""How memory can be held -> what is kept, and how it is read later."""


@pytest.mark.parametrize("how", HOLDERS)
def test_memory_that_something_reads_is_not_used_again(how: str) -> None:
    memory = ReusedMemory()
    hold, read = HOLDERS[how]
    tensor = memory.copy(torch.randn(256, SIZE))
    held = hold(tensor)
    before = read(held).clone()
    del tensor
    later = [memory.copy(torch.full((256, SIZE), float(fill))) for fill in range(3)]
    assert torch.equal(read(held), before)
    assert [float(one[0, 0]) for one in later] == [0.0, 1.0, 2.0]
    del held
    if how == "a cycle":
        gc.collect()
    if how != "memory shared by processes":  # which is no longer the block, and the block was free at once
        assert memory.n_bytes() == 4 * 256 * SIZE


def test_a_graph_keeps_what_its_gradient_reads() -> None:
    memory = ReusedMemory()
    value = torch.randn(256, SIZE)
    weight = torch.ones(256, SIZE, requires_grad=True)
    total = (weight * memory.copy(value)).sum()
    later = [memory.copy(torch.zeros(256, SIZE)) for _ in range(3)]
    total.backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, value)
    del total, later
    assert memory.n_bytes() == 4 * 4 * 256 * SIZE


def test_what_is_written_to_a_held_tensor_stays_its_own() -> None:
    memory = ReusedMemory()
    one, other = memory.copy(torch.zeros(256, SIZE)), memory.copy(torch.zeros(256, SIZE))
    one += 1
    assert float(other.sum()) == 0.0
    assert float(memory.copy(torch.zeros(256, SIZE)).sum()) == 0.0
    assert bool((one == 1).all())


def test_pickles_and_deep_copies_are_apart_from_the_memory() -> None:
    memory = ReusedMemory()
    value = torch.randn(256, SIZE)
    held = memory.copy(value)
    file = io.BytesIO()
    torch.save(held, file)
    copies = [pickle.loads(pickle.dumps(held)), copy.deepcopy(held)]  # noqa: S301 - our own bytes
    del held
    assert memory.n_bytes() == value.nbytes
    memory.copy(torch.zeros(256, SIZE))
    file.seek(0)
    assert all(torch.equal(one, value) for one in [*copies, torch.load(file, weights_only=True)])


def test_a_free_block_is_used_again_and_nothing_new_is_taken() -> None:
    memory = ReusedMemory()
    places = set()
    for fill in range(6):
        tensor = memory.copy(torch.full((256, SIZE), float(fill)))
        assert float(tensor.sum()) == fill * tensor.numel()
        places.add(tensor.data_ptr())
        del tensor
    assert len(places) == 1
    assert memory.n_bytes() == 4 * 256 * SIZE


def test_new_blocks_take_the_place_of_those_too_small() -> None:
    memory = ReusedMemory()
    for rows in (200, 300, 400, 500):
        memory.copy(torch.zeros(rows, SIZE))
    assert memory.n_bytes() == 4 * 500 * SIZE
    memory.copy(torch.zeros(300, SIZE))
    assert memory.n_bytes() == 4 * 500 * SIZE
    memory.copy(torch.zeros(100, SIZE))  # less than a fourth: it gets a block of its own, in the place of the large one
    assert memory.n_bytes() == 4 * 100 * SIZE


def test_memory_that_runs_do_not_need_goes_back() -> None:
    memory = ReusedMemory()
    memory.copy(torch.zeros(256, SIZE))
    for _ in range(8):
        memory.begin_run()
    assert memory.n_bytes() > 0
    memory.begin_run()
    assert memory.n_bytes() == 0


def test_release_gives_back_what_is_free_and_touches_nothing_else() -> None:
    memory = ReusedMemory()
    held, free = memory.copy(torch.ones(256, SIZE)), memory.copy(torch.ones(100, SIZE))
    del free
    assert memory.release() == 4 * 100 * SIZE
    assert memory.n_bytes() == 0
    assert bool((held == 1).all())


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.bool, torch.int64]
)
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_copy_has_values_type_and_order_of_its_original(dtype: torch.dtype, axes: tuple[int, ...]) -> None:
    original = (torch.randn(30, 40, 50) * 9).to(dtype).permute(axes)
    one = ReusedMemory().copy(original)
    assert torch.equal(one, original)
    assert (one.dtype, one.shape, one.stride()) == (original.dtype, original.shape, original.stride())


def test_tensors_that_are_not_dense_are_copied_too() -> None:
    base = torch.randn(400, SIZE)
    for original in (base[::2], base[:1].expand(400, SIZE), base[:, 1:], torch.as_strided(base, (2, 2, 2), (3, 3, 1))):
        assert torch.equal(ReusedMemory(least=1).copy(original), original)


def test_threads_get_blocks_of_their_own() -> None:
    memory, wrong = ReusedMemory(least=1), []

    def work(fill: int) -> None:
        for _ in range(50):
            tensors = [memory.copy(torch.full((64,), float(fill))) for _ in range(5)]
            wrong.extend(t for t in tensors if not bool((t == fill).all()))

    threads = [threading.Thread(target=work, args=(fill,)) for fill in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# Caches.


@pytest.mark.parametrize("family", ["t5", "umt5", "bart", "marian", "mbart"])
def test_caches_of_a_loop_equal_those_in_fresh_memory(family: str, memory: ReusedMemory, monkeypatch: Any) -> None:
    model = tiny(family)
    batch = random_batch(model)
    caches = [model.run_with_cache(batch)[1] for _ in range(2)]
    del caches
    held = memory.n_bytes()
    assert held > 0
    _, cache = model.run_with_cache(batch)
    assert memory.n_bytes() < held
    monkeypatch.setattr(reused_memory, "CACHE_MEMORY", ReusedMemory(least=1 << 60))
    _, fresh = model.run_with_cache(batch)
    for name in fresh:
        assert torch.equal(cache[name], fresh[name]), name
        assert cache[name].stride() == fresh[name].stride(), name
    assert cache.n_bytes() == fresh.n_bytes()


def test_a_loop_takes_memory_for_two_caches(memory: ReusedMemory, tiny_t5: HookedEncoderDecoder) -> None:
    places: set[int] = set()
    for _ in range(5):
        _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
        own = {tensor.data_ptr() for tensor in cache.values()}
        places |= own
    assert len(places) == 2 * len(own)
    assert memory.n_bytes() == cache.n_bytes()


def test_points_that_show_one_tensor_share_one_copy(memory: ReusedMemory, tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    left, entered = cache["encoder.0.hook_resid_post"], cache["encoder.1.hook_resid_pre"]
    assert left.data_ptr() == entered.data_ptr()


@pytest.mark.parametrize("in_place", [False, True])
def test_a_later_edit_does_not_reach_what_was_kept(
    memory: ReusedMemory, tiny_t5: HookedEncoderDecoder, in_place: bool
) -> None:
    batch = random_batch(tiny_t5)
    _, clean = tiny_t5.run_with_cache(batch)
    edit = (lambda tensor, hook: tensor.add_(1.0)) if in_place else (lambda tensor, hook: tensor + 1.0)
    with tiny_t5.hooks([("encoder.1.hook_resid_pre", edit)]):
        _, cache = tiny_t5.run_with_cache(batch)
    assert torch.equal(cache["encoder.0.hook_resid_post"], clean["encoder.0.hook_resid_post"])
    assert torch.equal(cache["encoder.1.hook_resid_pre"], clean["encoder.1.hook_resid_pre"] + 1.0)


def test_a_cache_can_be_put_into_a_later_run(memory: ReusedMemory, tiny_t5: HookedEncoderDecoder) -> None:
    """Activation patching with tensors of a cache that nobody holds otherwise."""
    source = random_batch(tiny_t5, seed=1)
    logits, cache = tiny_t5.run_with_cache(source)
    stream = cache["decoder.2.hook_resid_post"]
    del cache
    patched, other = tiny_t5.run_with_cache(random_batch(tiny_t5, seed=2))
    with tiny_t5.hooks([("decoder.2.hook_resid_post", lambda tensor, hook: stream)]):
        patched, other = tiny_t5.run_with_cache(random_batch(tiny_t5, seed=2))
    assert torch.equal(patched, logits)
    assert torch.equal(other["decoder.2.hook_resid_post"], stream)


def test_gradients_are_those_of_tensors_of_the_pass(memory: ReusedMemory, tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    grads = []
    for _ in range(2):
        logits, cache = tiny_t5.run_with_cache(batch, "encoder.*", gradients=True)
        logits[0, 0, 0].backward()
        grads.append({name: grad.clone() for name, grad in cache.grad.items() if grad is not None})
    assert memory.n_bytes() == 0
    assert grads[0]
    assert all(torch.equal(grads[0][name], grads[1][name]) for name in grads[0])


def test_inference_mode(memory: ReusedMemory, tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    _, plain = tiny_t5.run_with_cache(batch)
    with torch.inference_mode():
        for _ in range(3):
            _, cache = tiny_t5.run_with_cache(batch)
    assert all(torch.equal(cache[name], plain[name]) for name in plain)


def test_a_saved_cache_outlives_its_memory(memory: ReusedMemory, tiny_t5: HookedEncoderDecoder, tmp_path: Any) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5, seed=1))
    values = {name: tensor.clone() for name, tensor in cache.items()}
    save_cache(cache, tmp_path / "one.safetensors")
    del cache
    tiny_t5.run_with_cache(random_batch(tiny_t5, seed=2))
    stored = load_cache(tmp_path / "one.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in values.items())


def test_the_memory_of_the_process_can_be_released(tiny_t5: HookedEncoderDecoder) -> None:
    reused_memory.CACHE_MEMORY.copy(torch.zeros(256, SIZE))
    assert release_cache_memory() >= 4 * 256 * SIZE
    assert release_cache_memory() == 0


_NAMES = (
    "decoder.1.attn.hook_pattern",
    "encoder.0.attn.hook_q",
    "decoder.0.hook_resid_post",
    "decoder.0.hook_resid_pre",
)
_WAYS: tuple[Callable[[Any, str], Any], ...] = (
    lambda cache, name: cache[name],
    lambda cache, name: cache[name][0, 1:],
    lambda cache, name: cache[name].numpy()[..., -1],
    lambda cache, name: cache.select(0)[name],
    lambda cache, name: cache,
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, 3), st.sampled_from(_NAMES), st.integers(0, len(_WAYS) - 1)),
        st.tuples(st.just("drop"), st.integers(0, 9), st.just(""), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)


def _value(held: Any, name: str) -> Tensor:
    tensor = torch.as_tensor(held[name] if not isinstance(held, Tensor | np.ndarray) else held)
    return tensor.clone()


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    model = tiny("t5")
    lengths = [((15, 12), (13, 12)), ((12, 19, 14), (16, 12, 13)), ((13, 12), (12, 14)), ((15, 12), (13, 12))]
    return [random_batch(model, source_lengths=s, target_lengths=t, seed=i) for i, (s, t) in enumerate(lengths)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_whatever_is_held_and_dropped_every_value_is_that_of_a_fresh_cache(
    steps: list[tuple[str, int, str, int]], batches: list[Batch], monkeypatch: Any
) -> None:
    model, own = tiny("t5"), ReusedMemory(least=1)
    monkeypatch.setattr(FREED_MEMORY, "can_be_held", lambda: False)
    monkeypatch.setattr(reused_memory, "CACHE_MEMORY", ReusedMemory(least=1 << 60))
    fresh = [model.run_with_cache(batch, _NAMES)[1] for batch in batches]
    monkeypatch.setattr(reused_memory, "CACHE_MEMORY", own)
    held: list[tuple[Any, str, Tensor]] = []
    for action, number, name, way in steps:
        if action == "run":
            one = _WAYS[way](model.run_with_cache(batches[number], _NAMES)[1], name)
            held.append((one, name, _value(_WAYS[way](fresh[number], name), name)))
            del one
        elif held:
            del held[number % len(held)]
        for kept, kept_name, expected in held:
            assert torch.equal(_value(kept, kept_name), expected)
