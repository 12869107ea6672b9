"""What a model gave lies in shards, and what lies there is not computed again."""

from pathlib import Path

import numpy as np
import pytest

from analyses.core.contract import Analysis, Arrays, Pass
from analyses.core.observing import ConfiguredAnalysis, no_progress, observe
from analyses.core.settings import Settings
from analyses.core.shards import Shards, packed, unpacked
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from interp.model.hooked_model import HookedEncoderDecoder


class Counting:
    """An analysis whose every stage says that it was run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def observe(self, run: Pass) -> Arrays:
        self.ran.append("observe")
        return {"length": run.batch.source_mask.sum(1).numpy()}

    def examine(self, model: HookedEncoderDecoder, settings: Settings) -> Arrays:
        self.ran.append("examine")
        return {"words": np.array([["a", "ß"], ["", "é\u202e"]]), "number": np.array([1 / 3]), "row": np.float64(2.5)}

    def experiment(self, model: HookedEncoderDecoder, groups: object, settings: Settings) -> Arrays:
        self.ran.append("experiment")
        return {"effect": np.arange(6).reshape(2, 3)}

    def configured(self) -> ConfiguredAnalysis:
        made = Analysis(
            "counting", "t", "q?", (), self.observe, dict, print, examine=self.examine, experiment=self.experiment
        )
        return ConfiguredAnalysis(made, Settings())


def staged(folder: Path) -> Staging:
    (folder / "run").mkdir(exist_ok=True)
    return Staging(folder / "final", folder / "run", b"key", Status(folder / "run"))


@pytest.mark.parametrize("on_disk", [True, False])
def test_nothing_that_is_kept_is_computed_again(tiny_byt5: HookedEncoderDecoder, tmp_path: Path, on_disk: bool) -> None:
    batches, counting = [tiny_byt5.batch(["a b", "c d e"], ["x", "y"])], Counting()
    store: Shards = staged(tmp_path) if on_disk else {}
    first = observe(tiny_byt5, batches, [counting.configured()], store, no_progress).of("counting")
    assert counting.ran == ["observe", "examine", "experiment"]
    again = observe(tiny_byt5, batches, [counting.configured()], store, no_progress).of("counting")
    assert counting.ran == ["observe", "examine", "experiment"]
    for one, two in (
        (first.prompts, again.prompts),
        (first.weights, again.weights),
        (first.experiment, again.experiment),
    ):
        assert one.keys() == two.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(values, two[name], err_msg=name)
            assert np.asarray(values).shape == np.asarray(two[name]).shape
    assert again.weights["words"].tolist() == [["a", "ß"], ["", "é\u202e"]]
    assert again.weights["number"][0] == 1 / 3


def test_twins_are_kept_apart_and_only_the_first_has_an_experiment(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path
) -> None:
    batches, counting, store = [tiny_byt5.batch(["a b"], ["x"])], Counting(), staged(tmp_path)
    items = [counting.configured()]
    found = [observe(tiny_byt5, batches, items, store, no_progress, twin=twin) for twin in (None, 0, 1)]
    assert counting.ran.count("examine") == 3
    assert counting.ran.count("experiment") == 2
    assert [bool(one.of("counting").experiment) for one in found] == [True, True, False]
    asked = observe(tiny_byt5, batches, items, {}, no_progress, asked=())
    assert (asked.of("counting").weights, asked.of("counting").experiment) == ({}, {})


def test_numbers_and_texts_come_back_as_they_were_packed() -> None:
    given = {"text": np.array(["x", "long"]), "none": np.empty((0, 3)), "whole": np.arange(4), "flag": np.array([True])}
    found = unpacked(packed(given))
    assert found.keys() == given.keys()
    for name, values in given.items():
        np.testing.assert_array_equal(found[name], values)
        assert np.asarray(found[name]).dtype == values.dtype
