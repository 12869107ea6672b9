"""The benchmark of the analysis runs, and takes the pass as its unit."""

from benchmarks.cross_attention_focus import PASS, READINGS, parts
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch


def test_parts_are_ratios_to_the_forward_pass(tiny_t5: HookedEncoderDecoder) -> None:
    found = parts(tiny_t5, random_batch(tiny_t5), rounds=2)
    assert list(found) == [PASS, READINGS, "flow (ALTI+ and rollout)", "minimal pairs"]
    assert found[PASS] == 1.0
    assert found[READINGS] > 0
