"""The page of a judge: its order, what it says of methods that know nothing, and which lines its panels have."""

import numpy as np
import pandas as pd
import pytest

from analyses.logit_attribution.judge_page import judge_report, judge_section
from interp.report import Figure, LineGrid, render
from interp.sources.judge import RANDOM, Criteria, Judgement
from interp.statistics import Interval

RECOVERED = pd.DataFrame({"method": ["good"], "copy": [1.0]})


def criteria(deletion: float, insertion: float, half: float = 0.1) -> Criteria:
    def around(point: float) -> Interval:
        return Interval(*(np.array(point + step) for step in (0.0, -half, half)), np.array(9))

    curves = np.stack([np.linspace(1, 0, 11) * deletion, np.linspace(0, 1, 11) * insertion])
    return Criteria(around(deletion), around(insertion), around(0.0), 1.0, curves)


def judgement(**twin: Criteria) -> Judgement:
    methods = {"poor": criteria(0.5, 0.5), "good": criteria(0.1, 0.9), "mute": criteria(np.nan, np.nan)}
    return Judgement(methods | {RANDOM: criteria(0.5, 0.5)}, twin, 9)


def figure(judged: Judgement) -> Figure:
    return next(block for block in judge_section(judged, RECOVERED).blocks if isinstance(block, Figure))


def test_the_best_method_comes_first_and_one_without_an_answer_last() -> None:
    chart = figure(judgement()).chart
    assert isinstance(chart, LineGrid)
    assert [title for title, _ in chart.panels] == ["good", "poor", "mute"]
    assert [line.label for line in chart.panels[0][1]] == ["tokens taken out", "tokens put back", RANDOM, RANDOM]
    np.testing.assert_allclose(chart.panels[0][1][1].y, np.linspace(0, 0.9, 11))


def test_the_twin_stands_in_the_panel_of_its_method_alone() -> None:
    chart = figure(judgement(good=criteria(0.4, 0.6))).chart
    assert isinstance(chart, LineGrid)
    assert [len(lines) for _, lines in chart.panels] == [6, 4, 4]
    assert chart.panels[0][1][-1].y[-1] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("twin", "sureness"),
    [({}, "not judged"), ({"good": (0.5, 0.5)}, "beyond all controls"), ({"good": (0.1, 0.9)}, "within the controls")],
)
def test_what_is_said_counts_intervals_apart(twin: dict[str, tuple[float, float]], sureness: str) -> None:
    section = judge_section(judgement(**{name: criteria(*areas) for name, areas in twin.items()}), RECOVERED)
    assert (
        "1 of 3 methods have both areas beyond those of random orders, 95 % intervals apart: good." in section.findings
    )
    assert section.headline is not None
    assert section.headline.sureness == sureness


def test_targets_that_say_nothing_are_told_first_and_nothing_is_judged_by_them() -> None:
    fault = "9 of 9 targets hold nothing but padding and ends of sentence"
    section = judge_section(judgement(good=criteria(0.5, 0.5)), RECOVERED, fault=fault)
    assert fault in str(section.findings[0])
    assert section.headline is not None
    assert section.headline.sureness == "not judged"


def test_the_page_has_its_figure_as_a_file() -> None:
    files = render(judge_report(judgement(), RECOVERED, "interp attribute --judge", "toy", "mine"))
    assert {"index.html", "figures/mine-curves.svg", "tables/mine-criteria.csv", "tables/mine-true-words.csv"} <= set(
        files
    )
