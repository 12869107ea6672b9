"""Whether a run says what a narrow type costs hangs on the model's size, never on the memory that is free."""

import numpy as np
import torch

from analyses.core.observing import ConfiguredAnalysis
from analyses.core.precision import PrecisionGap, UnknownGap, compared, precision_gaps
from analyses.core.registry import get
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Section
from tests.support.models import tiny

FOCUS = get("cross_attention_focus")
ITEMS = [ConfiguredAnalysis(FOCUS, FOCUS.settings())]
SECTION = Section(name="some", title="t", question="q?", findings=("found",), blocks=(), limits=("last",))


def narrow() -> HookedEncoderDecoder:
    """The tiny model in bfloat16."""
    model = tiny("byt5")
    return HookedEncoderDecoder(model.hf.to(torch.bfloat16), model.tokenizer, model.max_length)


def never() -> HookedEncoderDecoder:
    raise AssertionError("loaded in float32 all the same")


def test_the_size_alone_decides() -> None:
    model = narrow()
    batch, size = model.batch(["a b", "c d e"], ["x", "y"]), model.hf.num_parameters()
    gap = precision_gaps(model, lambda: tiny("byt5"), batch, ITEMS, most=size)[FOCUS.name]
    assert isinstance(gap, PrecisionGap)
    assert 0 < np.nanmax(gap.frame["gap / size"]) < 0.1
    assert [block.name for block in gap.beside(SECTION).blocks] == ["some-precision"]
    unknown = precision_gaps(model, never, batch, ITEMS, most=size - 1)[FOCUS.name]
    assert unknown == UnknownGap("bfloat16", size - 1)
    told = unknown.beside(SECTION)
    assert told.blocks == ()
    assert "not run in float32 as well" in told.limits[0]
    assert told.limits[1:] == ("last",)


def test_float32_is_not_compared_with_itself() -> None:
    model = tiny("byt5")
    assert precision_gaps(model, never, model.batch(["a"], ["x"]), ITEMS) == {}
    assert not compared(1, "float32")
    assert compared(10**9, "float16")
    assert not compared(10**9 + 1, "bfloat16")
