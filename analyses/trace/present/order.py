"""The section that sets the heads against the loss: who moves first?"""

import numpy as np
import pandas as pd

from analyses.trace.order import ORDERS, Order
from analyses.trace.present.curves import step_words
from analyses.trace.trace import Trace
from interp.report import BarChart, Figure, Headline, Section, Table


def order_section(trace: Trace, order: Order) -> Section:
    """Order statistics of the heads' main changes against that of the loss."""
    median = float(order.statistics[ORDERS.index("median")])
    when = "with" if median == 0 else "before" if median < 0 else "after"
    count = len(order.heads)
    sentences = [
        f"The loss changes most before step {step_words(trace, order.loss)}. Of {count} heads that have a role "
        "at some time and whose "
        f"scores change, {order.before} change earlier, {order.same} at the same moment and {order.after} later.",
        f"The median head lies {median:+g} moments from the loss [{order.low[2]:+g}, {order.high[2]:+g}]; in random ".replace(
            "-", "−"
        )
        + f"orders of the moments it lies as far with p = {order.p_value:.3f}.",
    ]
    figure = Figure(
        "trace-order",
        "Main change of the heads' scores less that of the loss, in moments: order statistics over heads with the 95 % range of "
        "resampled sentences. Below zero is before the loss.",
        sentences[1],
        BarChart(ORDERS, order.statistics, order.low, order.high, None, "moments after the loss"),
    )
    return Section(
        name="order",
        title="Heads and loss: who is first",
        question="Do heads specialize before the loss falls, or after?",
        findings=tuple(sentences),
        blocks=(figure, _table(trace, order)),
        headline=Headline(
            f"The median head changes {when} the loss{'' if median == 0 else f', by {abs(median):g} moments'}.",
            "beyond all controls" if order.p_value <= 0.05 else "within the controls",
            "trace-order",
        ),
        methods=(
            "Order statistics are over heads whose leading role's score changes. The null puts the moments into "
            "999 random orders, "
            "one for all heads and the loss, so that what moves together stays together.",
        ),
        limits=(
            "Order is no cause: a head may follow the loss, lead it, or both may follow something else.",
            "With few moments many heads share one; differences smaller than the distance of two moments cannot be seen.",
            "A loss that falls by orders of magnitude changes most, in nats, where it is large: early.",
        ),
    )


def _table(trace: Trace, order: Order) -> Table:
    steps = trace.main.steps
    frame = pd.DataFrame({
        "head": list(map(str, order.heads)),
        "role": [trace.main.leading[head].role for head in order.heads],
        "changes before step": [steps[place] for place in order.places],
        "moments after the loss": np.array(order.places) - order.loss,
    }).sort_values(["moments after the loss", "head"], ignore_index=True)
    return Table(
        "trace-order-heads",
        "Heads in the order in which they change, with their distance from the loss.",
        frame,
        rows_shown=16,
    )
