"""What analyses declare of their arrays, and that what they give is held to it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analyses.core.arrays import array_specs, axis_sizes, specs_of
from analyses.core.contract import Analysis, Arrays, Pass
from analyses.core.evidence import gather
from analyses.core.observing import ConfiguredAnalysis
from analyses.core.registry import ANALYSES, get
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Section

SPECS = (
    *array_specs("a", "prompt encoder_layer offset", "share", "rows"),
    *array_specs("b", "prompt offset"),
    *array_specs("text", "prompt byte", content="key"),
    *array_specs("a", "sample word", stage="experiment"),
)


def test_sizes_are_read_off_the_declared_axes() -> None:
    arrays = {"a": np.zeros((3, 2, 5)), "b": np.zeros((3, 5))}
    sizes = axis_sizes(arrays, specs_of(SPECS, "observe"), {"encoder_layer": 2})
    assert sizes == {"prompt": 3, "encoder_layer": 2, "offset": 5}
    assert axis_sizes({"a": np.zeros((7, 1))}, specs_of(SPECS, "experiment")) == {"sample": 7, "word": 1}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((3, 2))}, r"array a has the shape \(3, 2\); declared is \[prompt, encoder_layer 2, offset\]"),
        ({"a": np.zeros((3, 4, 5))}, r"array a has the shape \(3, 4, 5\); declared is \[prompt 3, encoder_layer 2"),
        ({"a": np.zeros((3, 2, 5)), "b": np.zeros((3, 6))}, r"array b .* declared is \[prompt 3, offset 5\]"),
        ({"other": np.zeros(3)}, "array other is given and not declared"),
    ],
)
def test_what_is_not_as_declared_is_named(arrays: Arrays, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        axis_sizes(arrays, specs_of(SPECS, "observe"), {"encoder_layer": 2})


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_declares_every_array_once(name: str) -> None:
    specs = get(name).arrays
    assert max(Counter((spec.stage, spec.name) for spec in specs).values()) == 1
    assert all(spec.axes[0] == "prompt" for spec in specs if spec.stage == "observe")
    assert all(spec.unit for spec in specs if spec.stage == "observe" and spec.content == "number")


def _planted(given: dict[str, np.ndarray]) -> Analysis:
    def observe(run: Pass) -> Arrays:
        return {name: np.repeat(values, len(run.batch), 0) for name, values in given.items()}

    def present(result: object) -> Section:
        return Section("planted", "Planted", "Is it there?", ("Yes.",), (), ("None.",))

    return Analysis("planted", "Planted", "Is it there?", (), observe, lambda evidence: evidence, present)


def test_an_analysis_is_held_to_what_it_declares_and_without_that_to_the_prompt_axis(
    tiny_byt5: HookedEncoderDecoder,
) -> None:
    batch = tiny_byt5.batch(["one", "two"], ["one", "two"])
    given = {"b": np.array([[0.1, 0.2]]), "text": np.array([[2**24 + 1, 3]])}

    def observed(analysis: Analysis) -> Arrays:
        item = ConfiguredAnalysis(analysis, analysis.settings())
        (evidence,) = gather([item], tiny_byt5, ["1", "2"], [batch], twins=0, seed=0)
        return evidence.model.prompts

    plain = _planted(given)
    assert observed(plain)["b"].dtype == observed(plain)["text"].dtype == np.float32
    # Keys are kept to the last bit, which single precision would not.
    assert observed(replace(plain, arrays=SPECS))["text"].tolist() == [[2**24 + 1, 3]] * 2
    with pytest.raises(ValueError, match="array b has the shape") as caught:
        observed(replace(plain, arrays=array_specs("b text", "prompt offset near")))
    assert caught.value.__notes__ == ["in the analysis 'planted'"]
    flat = replace(plain, observe=lambda run: {"b": np.zeros(5)})
    with pytest.raises(ValueError, match=r"b has no leading prompt axis: its shape is \(5,\)"):
        observed(flat)
