"""Heads and loss: planted lags are found, in moments, with their sign; a run without lag has none."""

from dataclasses import fields

import numpy as np
import pytest

from analyses.head_specialization import RoleLabel
from analyses.trace.histories import leading, role_histories
from analyses.trace.order import ORDERS, order_of
from analyses.trace.snapshots import Score, Snapshot
from interp.hooks.names import HeadId

MOMENTS, TEXTS, HEADS = 12, 16, 6


def snapshots(loss_at, heads_at, seed=0):
    """A loss that falls at one moment, and heads whose scores rise at others; the label is there where the score is high."""
    numbers = np.random.default_rng(seed)
    made = []
    for moment in range(MOMENTS):
        loss = (5.0 if moment < loss_at else 0.5) + numbers.normal(0, 0.05, TEXTS)
        scores, labels = {}, []
        for head, at in enumerate(heads_at):
            values = (0.1 if moment < at else 0.9) + numbers.normal(0, 0.03, TEXTS)
            own = HeadId("cross", 0, head)
            scores[own] = {"monotone": Score(values, float(values.mean()))}
            if moment >= at:
                labels.append(_label(own))
        made.append(Snapshot(2**moment, {"loss": loss}, scores, tuple(labels), None, {}))
    return made


def _label(head):
    """A label as the decision gives it, its numbers left open."""
    numbers = [field.name for field in fields(RoleLabel) if field.type == "float" or field.type is float]
    texts = {
        "role": "monotone",
        "rule": "monotone",
        "strength": "threshold",
        "detail": "",
        "holds": True,
        "passes": True,
    }
    return RoleLabel(head=head, **dict.fromkeys(numbers, 0.9), **texts)


def order(loss_at, heads_at):
    made = snapshots(loss_at, heads_at)
    return order_of(made, leading(role_histories(made, 0)), 0)


@pytest.mark.parametrize("lag", [-3, 0, 3])
def test_a_planted_lag_is_found_with_its_sign(lag):
    found = order(6, [6 + lag] * HEADS)
    assert (found.loss, set(found.places)) == (6, {6 + lag})
    assert (found.before, found.same, found.after) == tuple(
        HEADS * (lag < 0, lag == 0, lag > 0)[place] for place in range(3)
    )
    assert found.statistics[ORDERS.index("median")] == found.low[2] == found.high[2] == lag
    assert (found.p_value == 1.0) == (lag == 0)


def test_order_statistics_are_those_of_the_heads():
    found = order(5, [2, 4, 5, 6, 8, 9])
    assert found.statistics.tolist() == np.quantile([-3, -1, 0, 1, 3, 4], [0, 0.25, 0.5, 0.75, 1]).tolist()
    assert (found.before, found.same, found.after) == (2, 1, 3)


def test_without_a_change_there_is_no_order():
    made = snapshots(6, [MOMENTS] * HEADS)
    assert order_of(made, leading(role_histories(made, 0)), 0) is None


def test_births_and_losses_are_those_of_the_labels():
    made = snapshots(6, [3, 7])
    found = role_histories(made, 0)
    assert [(str(one.head), one.born, one.lost) for one in found] == [("XL0H0", 3, None), ("XL0H1", 7, None)]
    gone = [*made[:9], *(Snapshot(2**at, made[at].numbers, made[at].scores, (), None, {}) for at in range(9, MOMENTS))]
    assert [(one.born, one.lost) for one in role_histories(gone, 0)] == [(3, 9), (7, 9)]
