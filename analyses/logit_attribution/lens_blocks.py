"""Presenting the curves: one sentence for each stack, one figure for each stack, one table."""

import numpy as np
import pandas as pd

from analyses.logit_attribution.lenses import LensCurves
from analyses.logit_attribution.tables import estimate_columns
from interp.report import Block, Figure, LinePlot, Series, Span, Table
from interp.report.numbers import number, percent, untrained_twins, with_interval
from interp.statistics import Estimate


def depth_names(depths: int) -> tuple[str, ...]:
    """Names of depths: the embedding, then the layers."""
    return ("embedding", *(f"layer {layer}" for layer in range(depths - 1)))


def lens_findings(curves: LensCurves) -> tuple[str, ...]:
    """Where the answer appears in the decoder, and which encoder layers it needs."""
    first = curves.first_choice.point
    halfway = half_of_the_last(curves)
    name = depth_names(len(first))[halfway]
    encoder = curves.encoder_first_choice
    half, before, bare = curves.first_choice[halfway], encoder[len(encoder.point) - 2], encoder[0]
    return (
        f"By the logit lens the label is the first choice at {percent(float(first[0]))} of the rows after the "
        f"decoder's embedding and at {percent(float(first[-1]))} after its last layer; half of that is reached "
        f"after {name} ({with_interval(half, write=number)}; {untrained_twins(half, write=number)}).",
        "Reading the encoder one layer early (DecoderLens), the decoder still puts the label first at "
        f"{with_interval(before, write=number)} of the rows ({untrained_twins(before, write=number)}), and at "
        f"{with_interval(bare, write=number)} when it reads the bare source embeddings.",
    )


def half_of_the_last(curves: LensCurves) -> int:
    """The first depth after which the label is the first choice half as often as at the end.

    Args:
        curves: what was found.
    """
    first = curves.first_choice.point
    return int(np.argmax(first >= first[-1] / 2))


def lens_blocks(curves: LensCurves, reading: str) -> tuple[Block, ...]:
    """Figure and table, and the texts that DecoderLens writes.

    Args:
        curves: what was found.
        reading: how the decoder's depths are read (`assumptions.lens_reading`).
    """
    texts = (_texts(curves),) if curves.texts else ()
    return _figure(curves), _table(curves, reading), *texts


def _texts(curves: LensCurves) -> Table:
    return Table(
        name="logit-attribution-decoder-lens",
        caption=(
            "What the decoder writes by itself, greedily, when it reads the encoder's stream at each depth in place of its "
            "output (DecoderLens), for the first prompt of the sample; the last row is the model itself."
        ),
        frame=pd.DataFrame({"depth": depth_names(len(curves.texts)), "written": curves.texts}),
        rows_shown=None,
    )


def _series(label: str, curve: Estimate) -> tuple[Series, ...]:
    depths = np.arange(len(curve.point), dtype=np.float64)
    model = Series(label, depths, curve.point, curve.low, curve.high)
    if np.isnan(curve.controls).any():
        return (model,)
    return model, Series(f"{label}, untrained twin", depths, curve.control_mean, style="control")


def _figure(curves: LensCurves) -> Figure:
    by_lens = {
        "logit lens, by decoder depth": curves.log_probability,
        "DecoderLens, by encoder depth": curves.encoder_log_probability,
    }
    words = [f"{name}: {', '.join(f'{value:.2f}' for value in curve.point)}" for name, curve in by_lens.items()]
    return Figure(
        name="logit-attribution-depths",
        caption=(
            "Log-probability of the label by depth: mean over the sample's sentences with 95 % bootstrap interval. "
            "The logit lens reads the decoder's stream, DecoderLens lets the decoder read the encoder's. Each "
            "curve's last point is the model itself."
        ),
        alt=f"Lines of the label's log-probability from the embedding on; {'; '.join(words)}.",
        chart=LinePlot(
            series=tuple(series for name, curve in by_lens.items() for series in _series(name, curve)),
            x_axis="depth: 0 is the embedding, d the stream after d layers",
            y_axis="log-probability of the label (nats)",
            x_ticks=tuple(str(depth) for depth in range(max(len(curve.point) for curve in by_lens.values()))),
        ),
    )


def lens_frame(curves: LensCurves) -> pd.DataFrame:
    """One row a depth of a stack."""
    decoder = {
        "first choice": curves.first_choice,
        "rank": curves.rank,
        "log-probability": curves.log_probability,
        "accumulated difference": curves.accumulated,
    }
    encoder = {
        "first choice": curves.encoder_first_choice,
        "rank": curves.encoder_rank,
        "log-probability": curves.encoder_log_probability,
    }
    return pd.concat([_stack_frame("decoder", decoder), _stack_frame("encoder", encoder)], ignore_index=True)


def _stack_frame(stack: str, curves: dict[str, Estimate]) -> pd.DataFrame:
    frame: dict[str, object] = {"stack": stack, "depth": depth_names(len(curves["rank"].point))}
    for name, curve in curves.items():
        frame |= estimate_columns(name, curve, twins_range=False)
    return pd.DataFrame(frame)


def _table(curves: LensCurves, reading: str) -> Table:
    drawn = ("first choice", "rank", "log-probability", "accumulated difference")
    return Table(
        name="logit-attribution-depths",
        caption=(
            f"The label by depth. Decoder rows: {reading} "
            "Encoder rows: DecoderLens. Share of first choices, rank (1 is the first) "
            "and log-probability are means over the sample's sentences."
        ),
        frame=lens_frame(curves),
        rows_shown=None,
        columns_shown=("stack", "depth", *drawn),
        spans=tuple(Span.of(name, f"{name}: ", controls=()) for name in drawn),
    )
