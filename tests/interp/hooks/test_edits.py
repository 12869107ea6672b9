"""Edits: a replaced value is what everything behind it sees, nothing before it changes, and nothing stays when the run ends.

The wanted effect of every edit is computed by hand, by the oracle with the same replacement.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import FAMILIES, random_batch, tiny, tiny_hf
from tests.support.oracle import Oracle
from tests.support.oracle_checks import assert_edit, assert_fires_once, clean_run

NAMES = [("t5", name) for name in tiny("t5").hook_points()]
NAMES += [pytest.param("umt5", name, marks=pytest.mark.slow) for name in tiny("umt5").hook_points()]
NAMES += [("v1.1", "encoder.1.mlp.hook_pre_linear"), ("v1.1", "decoder.2.mlp.hook_pre"), ("v1.1", "unembed.hook_out")]


def edit_for(name: str) -> Callable[[Tensor], Tensor]:
    """A change large enough to show and fit for the kind of value: scales stay positive, scores stay masked."""
    if name.endswith(("hook_scale", "hook_attn_scores")):
        return lambda value: value * 1.25
    return lambda value: value * 1.25 + 0.125


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), NAMES)
def test_an_edit_does_downstream_what_the_equations_say_and_nothing_upstream(family: str, name: str) -> None:
    change = edit_for(name)
    assert_edit(clean_run(family), Oracle(tiny_hf(family), {name: change}), name, change, (1e-5, 1e-3))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_hook_point_fires_exactly_once_per_forward(name: str) -> None:
    model = tiny(name)
    fired = assert_fires_once(model)
    per_layer = [n for n in fired if n.split(".")[1].isdigit() and not n.endswith("position_bias")]
    assert per_layer == [n for n in model.hook_points() if n in set(per_layer)], "layers' points fire in forward order"


def test_an_edited_cross_pattern_reads_the_source_token_it_points_to(tiny_t5: HookedEncoderDecoder) -> None:
    """With every head of the last cross-attention looking at source token 4 only, z is the value of token 4."""
    batch = random_batch(tiny_t5)

    def look_at_4(pattern: Tensor, hook: HookPoint) -> Tensor:
        only = torch.zeros_like(pattern)
        only[..., 4] = 1.0
        return only

    with torch.no_grad(), tiny_t5.hooks([("decoder.2.cross_attn.hook_pattern", look_at_4)]):
        _, kept = tiny_t5.run_with_cache(batch)
    value = kept["decoder.2.cross_attn.hook_v"][:, 4:5]
    torch.testing.assert_close(kept["decoder.2.cross_attn.hook_z"], value.expand(-1, 17, -1, -1))


def test_edited_scores_are_softmaxed_again(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)

    def forbid_token_3(scores: Tensor, hook: HookPoint) -> Tensor:
        scores = scores.clone()
        scores[..., 3] = -torch.inf
        return scores

    name = "encoder.1.attn.hook_attn_scores"
    with torch.no_grad():
        _, clean = tiny_t5.run_with_cache(batch)
        with tiny_t5.hooks([(name, forbid_token_3)]):
            _, kept = tiny_t5.run_with_cache(batch)
    pattern, before = kept["pattern", 1, "encoder"], clean["pattern", 1, "encoder"]
    assert pattern[..., 3].eq(0).all()
    without = before.clone()
    without[..., 3] = 0
    torch.testing.assert_close(pattern, without / without.sum(-1, keepdim=True))


def test_a_hook_may_edit_in_place(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)

    def zero_head_0(z: Tensor, hook: HookPoint) -> None:
        z[:, :, 0] = 0

    def zeroed_copy(z: Tensor, hook: HookPoint) -> Tensor:
        z = z.clone()
        z[:, :, 0] = 0
        return z

    with torch.no_grad():
        in_place = tiny_t5.run_with_hooks(batch, [("decoder.1.cross_attn.hook_z", zero_head_0)])
        copied = tiny_t5.run_with_hooks(batch, [("decoder.1.cross_attn.hook_z", zeroed_copy)])
        clean = tiny_t5(batch)
    assert torch.equal(in_place, copied)
    assert not torch.equal(in_place, clean)


@pytest.mark.parametrize("name", ["encoder.0.attn.hook_q", "decoder.0.hook_mlp_out", "encoder.ln_final.hook_scale"])
def test_gradients_flow_through_an_edit(tiny_t5: HookedEncoderDecoder, name: str) -> None:
    """d logit / d factor at factor 1 equals the difference quotient of the same edit."""
    batch = random_batch(tiny_t5)

    def metric(factor: Tensor) -> Tensor:
        logits = tiny_t5.run_with_hooks(batch, [(name, lambda tensor, hook: tensor * factor)])
        return logits.double().pow(2).sum()

    factor = torch.tensor(1.0, requires_grad=True)
    metric(factor).backward()
    step = 1e-3
    with torch.no_grad():
        quotient = (metric(torch.tensor(1 + step)) - metric(torch.tensor(1 - step))) / (2 * step)
    assert factor.grad is not None
    assert float(factor.grad) == pytest.approx(float(quotient), rel=2e-2, abs=1e-2)
