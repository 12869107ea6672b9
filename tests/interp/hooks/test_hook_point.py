"""Hook points and their context managers: order, removal, and what a hook function may return."""

import pytest
import torch
from torch import Tensor, nn

from interp.axes import AXES
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch, tiny

NAME = "decoder.1.hook_resid_pre"


def torch_hooks(model: HookedEncoderDecoder) -> int:
    """How many torch hooks sit on the host's modules."""

    def count(module: nn.Module) -> int:
        return len(module._forward_hooks) + len(module._forward_pre_hooks)

    return sum(count(module) for module in model.hf.modules())


def test_nothing_is_attached_to_the_host_before_and_after_a_run(tiny_t5: HookedEncoderDecoder) -> None:
    baseline = torch_hooks(tiny_t5)
    batch = random_batch(tiny_t5)
    tiny_t5.run_with_cache(batch)
    assert torch_hooks(tiny_t5) == baseline
    with tiny_t5.hooks([("*", lambda tensor, hook: None)]):
        assert torch_hooks(tiny_t5) > baseline
    assert torch_hooks(tiny_t5) == baseline
    assert not any(point.active for point in tiny_t5.hook_points().values())


def test_hooks_are_removed_when_a_hook_function_raises(tiny_t5: HookedEncoderDecoder) -> None:
    baseline = torch_hooks(tiny_t5)
    batch = random_batch(tiny_t5)
    clean = tiny_t5(batch)

    def fail(tensor: Tensor, hook: HookPoint) -> Tensor:
        raise ZeroDivisionError(hook.name)

    with pytest.raises(ZeroDivisionError, match=r"cross_attn\.hook_pattern"):
        tiny_t5.run_with_hooks(batch, [("*", lambda t, hook: t * 2), ("decoder.*.cross_attn.hook_pattern", fail)])
    assert torch_hooks(tiny_t5) == baseline
    assert torch.equal(tiny_t5(batch), clean)


def test_hooks_are_removed_when_the_body_of_the_block_raises(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(RuntimeError, match="my own"), tiny_t5.hooks([(NAME, lambda tensor, hook: None)]):
        raise RuntimeError("my own error")
    assert not tiny_t5.hook_points()[NAME].active


def test_a_misspelt_second_name_attaches_nothing(tiny_t5: HookedEncoderDecoder) -> None:
    hooks = [(NAME, lambda tensor, hook: None), ("decoder.1.hook_resid_prae", lambda tensor, hook: None)]
    with pytest.raises(KeyError, match="Did you mean"), tiny_t5.hooks(hooks):
        pass
    assert not tiny_t5.hook_points()[NAME].active


def test_functions_run_in_order_and_nested_blocks_after_the_outer_one(tiny_t5: HookedEncoderDecoder) -> None:
    seen: list[tuple[str, float]] = []

    def adder(label: str, amount: float):
        def add(tensor: Tensor, hook: HookPoint) -> Tensor:
            seen.append((label, float(tensor.flatten()[0])))
            return torch.full_like(tensor, amount)

        return add

    batch = random_batch(tiny_t5)
    with tiny_t5.hooks([(NAME, adder("outer first", 1.0)), (NAME, adder("outer second", 2.0))]):
        with tiny_t5.hooks([(NAME, adder("inner", 3.0))]):
            _, cache = tiny_t5.run_with_cache(batch)
        inner_gone = [label for label, _ in seen]
        tiny_t5(batch)
    labels = [label for label, _ in seen]
    assert inner_gone == ["outer first", "outer second", "inner"]
    assert labels[3:] == ["outer first", "outer second"]
    assert seen[1] == ("outer second", 1.0)
    assert seen[2] == ("inner", 2.0)
    assert cache[NAME].eq(3.0).all(), "the cache keeps what the forward pass went on with"


def test_the_same_function_attached_twice_runs_twice_and_is_removed_twice(tiny_t5: HookedEncoderDecoder) -> None:
    calls: list[str] = []

    def note(tensor: Tensor, hook: HookPoint) -> None:
        calls.append(hook.name)

    with tiny_t5.hooks([(NAME, note)]):
        with tiny_t5.hooks([(NAME, note)]):
            tiny_t5(random_batch(tiny_t5))
        assert tiny_t5.hook_points()[NAME].active
    assert calls == [NAME, NAME]
    assert not tiny_t5.hook_points()[NAME].active


@pytest.mark.parametrize("bad", [torch.zeros(3), "text", 3.0])
def test_a_replacement_of_another_shape_or_type_is_refused(tiny_t5: HookedEncoderDecoder, bad: object) -> None:
    with pytest.raises(InputError, match=r"decoder\.1\.hook_resid_pre returned .*batch pos d_model"):
        tiny_t5.run_with_hooks(random_batch(tiny_t5), [(NAME, lambda tensor, hook: bad)])


@pytest.mark.parametrize("to", [torch.float64, torch.float16, torch.int64, torch.bool, "meta"])
@pytest.mark.parametrize("name", [NAME, "decoder.1.attn.hook_z", "decoder.1.attn.hook_pattern", "unembed.hook_out"])
def test_a_replacement_of_another_type_or_device_is_refused(
    tiny_t5: HookedEncoderDecoder, name: str, to: object
) -> None:
    batch = random_batch(tiny_t5)
    with pytest.raises(InputError, match=r"goes on with float32 on cpu; return `value.to\(tensor\)`"):
        tiny_t5.run_with_hooks(batch, [(name, lambda tensor, hook: tensor.to(to))])


def test_a_hook_point_knows_its_name_axes_and_layer(tiny_t5: HookedEncoderDecoder) -> None:
    points = tiny_t5.hook_points()
    assert points["decoder.2.cross_attn.hook_pattern"].axes == ("batch", "head", "query", "key")
    assert points["decoder.2.cross_attn.hook_pattern"].layer() == 2
    assert points["unembed.hook_out"].layer() is None
    assert repr(points["unembed.hook_out"]) == "HookPoint('unembed.hook_out', [batch pos vocab])"
    assert {axis for point in points.values() for axis in point.axes} <= set(AXES)


def test_two_models_do_not_share_hook_points() -> None:
    first, second = tiny("t5"), tiny("t5", seed=1)
    seen: list[str] = []
    with first.hooks([("*", lambda tensor, hook: seen.append(hook.name))]):
        second(random_batch(second))
    assert seen == []


def test_ctx_is_for_hook_functions_to_keep_notes_in(tiny_t5: HookedEncoderDecoder) -> None:
    def note(tensor: Tensor, hook: HookPoint) -> None:
        hook.ctx["norm"] = float(tensor.norm())

    tiny_t5.run_with_hooks(random_batch(tiny_t5), [(NAME, note)])
    point = tiny_t5.hook_points()[NAME]
    assert point.ctx.pop("norm") > 0
