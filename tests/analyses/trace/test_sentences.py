"""What a trace says of few moments, of a drift without learning, and of a circuit that only its mean calls sure."""

from dataclasses import replace

import numpy as np
import pytest

from analyses.trace.present.circuits import circuits_section
from analyses.trace.present.heads import heads_section
from analyses.trace.present.training import training_section
from analyses.trace.snapshots import Score, Snapshot
from analyses.trace.trace import RunTrace, Trace, run_trace
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.statistics import Interval
from tests.support.circuit_traces import history_of
from tests.support.models import tiny

TEXTS, HEADS = 8, 4


def walk(name: str, moments: int) -> RunTrace:
    """A run whose loss and scores walk at random: nothing is learned in it."""
    draw = np.random.default_rng(0)
    loss = 5 + np.cumsum(draw.normal(size=moments))
    scores = {
        HeadId(kind, 0, head): 0.5 + 0.01 * np.cumsum(draw.normal(size=moments))
        for kind in ATTENTION_KINDS
        for head in range(HEADS)
    }
    made = []
    for moment in range(moments):
        numbers = {"loss": np.full(TEXTS, loss[moment])} | {one: np.zeros(TEXTS) for one in ("right", "whole")}
        own = {head: {"monotone": Score(np.full(TEXTS, curve[moment]), 0.1)} for head, curve in scores.items()}
        made.append(Snapshot(2**moment, numbers, own, (), None, {}))
    return run_trace(name, "control" if name == "control" else "main", made, 0)


def traced(moments: int) -> Trace:
    return Trace(
        (walk("main", moments), walk("control", moments)), None, (), tiny("t5").cfg, TEXTS, TEXTS, "given", "", 2
    )


@pytest.mark.parametrize(("moments", "looked"), [(3, False), (4, True)])
def test_a_loss_of_too_few_moments_is_not_said_to_stand_still(moments: int, looked: bool) -> None:
    said = training_section(traced(moments)).findings[0]
    assert ("it changes most before step" in said) == looked
    assert ("of 3 moments the place of a change is not looked for" in said) == (not looked)
    assert "does not change" not in said


def test_a_run_without_a_common_step_is_said_to_be_left_out_of_the_matching() -> None:
    trace = traced(4)
    main, other = trace.runs
    later = replace(other, snapshots=tuple(replace(one, step=one.step + 100) for one in other.snapshots))
    said = [training_section(replace(trace, runs=(main, run))).findings[-1] for run in (other, later)]
    assert ["no step in common with main" in one for one in said] == [False, True]


@pytest.mark.parametrize(("moments", "tested"), [(7, False), (20, True)])
def test_changes_of_scores_are_said_where_they_can_be_tested_and_beside_the_control(moments: int, tested: bool) -> None:
    trace = traced(moments)
    found = heads_section(trace).findings
    changed = [sum(one.changed for one in run.leading.values()) for run in trace.runs]
    assert all(changed) == tested, "a walk of 20 moments passes the test; of 7 moments nothing can"
    [own] = [one for one in found if one.startswith(("The score of", "Whether scores change"))]
    [control] = [one for one in found if "In the control" in one]
    assert own.startswith("The score of" if tested else "Whether scores change is not tested: 7 moments")
    assert control.endswith(f"and the scores of {changed[1]} change." if tested else "at the last step.")


@pytest.mark.parametrize(
    ("low", "random", "said", "sureness"),
    [
        ((0.7, 0.95, 0.95, 0.95), (0.1, 0.1, 0.1, 0.1), "with the whole interval.", "beyond all controls"),
        (
            (0.7, 0.7, 0.95, 0.95),
            (0.1, 0.1, 0.1, 0.1),
            "and with the whole interval from step 4 on.",
            "beyond all controls",
        ),
        (
            (0.7, 0.95, 0.95, 0.8),
            (0.1, 0.1, 0.1, 0.1),
            "the interval at the last step reaches below it.",
            "beyond all controls",
        ),
        ((0.7, 0.95, 0.95, 0.95), (0.1, 0.97, 0.1, 0.1), "with the whole interval.", "within the controls"),
    ],
)
def test_a_circuit_since_a_step_is_as_sure_as_its_interval_and_its_controls_at_every_step(
    low: tuple[float, ...], random: tuple[float, ...], said: str, sureness: str
) -> None:
    """From step 2 on the circuit keeps .97 in the mean; .9 is enough."""
    kept, count = np.array([0.8, 0.97, 0.97, 0.97]), np.full(4, TEXTS)
    draws = np.array(random)[:, None] + np.array([0.0, 0.001, 0.002])
    history = replace(history_of(4), kept=Interval(kept, np.array(low), np.ones(4), count), random=draws)
    trace = traced(4)
    section = circuits_section(trace, history)
    assert section.findings[1].endswith(said)
    assert section.headline is not None
    assert section.headline.sentence == "The circuit of the last step carries the answers from step 2 on."
    assert section.headline.sureness == sureness
