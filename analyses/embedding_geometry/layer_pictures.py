"""The figures of spaces: curves over the layers, agreement of spaces."""

import numpy as np
from jaxtyping import Float

from analyses.embedding_geometry.contexts import CONTEXT_QUANTITIES
from analyses.embedding_geometry.correspondence import Correspondence
from analyses.embedding_geometry.layers import QUANTITIES
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report import Figure, Heatmap, LinePlot, Panel, Series


def prompt_figures(result: EmbeddingGeometry) -> tuple[Figure, ...]:
    """Anisotropy and adjusted intra-sentence similarity over the spaces, where a run has enough sentences for them."""
    defined = ~np.isnan(result.layers.curves.point).any(axis=1)
    return tuple(_prompt_figure(result, index) for index in (0, 2) if defined[index])


def _prompt_figure(result: EmbeddingGeometry, quantity: int) -> Figure:
    layers, gap = result.layers, result.n_encoder_spaces
    bounds = (layers.curves.point, layers.curves.low, layers.curves.high)
    point, low, high = (_with_gap(bound[quantity], gap) for bound in bounds)
    twins = np.stack([_with_gap(twin[quantity], gap) for twin in layers.twins])
    name = QUANTITIES[quantity]
    middle = layers.twins[:, quantity].mean(axis=0)
    shown = (0, gap - 1, len(layers.spaces) - 1)
    values = ", ".join(f"{layers.curves.point[quantity, at]:.2f} in {layers.spaces[at]}" for at in shown)
    return Figure(
        name="layers-" + name.split()[0],
        caption=f"{name.capitalize()} in every space of the encoder and of the decoder, with 95 % intervals over sentences; "
        "untrained twins with their range.",
        alt=f"Line chart: {name} is {values}; untrained twins {', '.join(f'{middle[at]:.2f}' for at in shown)}.",
        chart=LinePlot(
            series=(
                Series("model", np.arange(len(point), dtype=np.float64), point, low, high),
                twin_series(twins),
            ),
            x_axis="space",
            y_axis=name,
            x_ticks=(*layers.spaces[:gap], "", *layers.spaces[gap:]),
        ),
    )


def twin_series(twins: Float[np.ndarray, "twin space"], label: str = "untrained twins") -> Series:
    """The twins as one grey line with their range."""
    places = np.arange(twins.shape[1], dtype=np.float64)
    return Series(label, places, twins.mean(axis=0), twins.min(axis=0), twins.max(axis=0), "control")


def _with_gap(values: np.ndarray, gap: int) -> np.ndarray:
    """A missing value between the stacks, so that no line joins them."""
    return np.insert(values.astype(np.float64), gap, np.nan)


def group_figure(result: EmbeddingGeometry) -> Figure | None:
    """How far the groups lie apart in every encoder space; None where they cannot be compared."""
    tests = [comparison.test for comparison in result.in_sentences if comparison.test]
    if not tests:
        return None
    spaces = tuple(comparison.space for comparison in result.in_sentences)
    effects = np.array([test.observed.effect for test in tests])
    twins = np.array([[twin.effect for twin in comparison.twins] for comparison in result.in_sentences]).T
    return Figure(
        name="groups-over-layers",
        caption=(
            "Mean cosine within groups minus between groups, every word taken in the same sentences, with 95 % intervals over "
            "words; untrained twins with their range."
        ),
        alt=(
            f"Line chart: the groups lie {effects[0]:.3f} apart in {spaces[0]} and {effects[-1]:.3f} in {spaces[-1]}; untrained "
            f"twins {twins[:, 0].mean():.3f} and {twins[:, -1].mean():.3f}."
        ),
        chart=LinePlot(
            series=(
                Series(
                    "model",
                    np.arange(len(spaces), dtype=np.float64),
                    effects,
                    np.array([test.low.effect for test in tests]),
                    np.array([test.high.effect for test in tests]),
                ),
                twin_series(twins),
            ),
            x_axis="space",
            y_axis="mean cosine within - between groups",
            x_ticks=spaces,
        ),
    )


def sense_figure(result: EmbeddingGeometry) -> Figure:
    """The sense split over the encoder's spaces."""
    contexts = result.contexts
    point, low, high = (bound[2] for bound in (contexts.curves.point, contexts.curves.low, contexts.curves.high))
    return Figure(
        name="sense-split",
        caption=(
            f"Mean cosine of occurrences of one sense minus that of two senses, mean over {len(contexts.words)} words with 95 % "
            "intervals; untrained twins with their range."
        ),
        alt=(
            f"Line chart: the senses lie {point[0]:.3f} apart in {contexts.spaces[0]} and {point[-1]:.3f} in "
            f"{contexts.spaces[-1]}; untrained twins {contexts.twins[:, 2, -1].mean():.3f} there."
        ),
        chart=LinePlot(
            series=(
                Series("model", np.arange(len(point), dtype=np.float64), point, low, high),
                twin_series(contexts.twins[:, 2]),
            ),
            x_axis="space",
            y_axis="sense split (difference of mean cosines)",
            x_ticks=contexts.spaces,
        ),
    )


def context_figure(result: EmbeddingGeometry) -> Figure:
    """How alike a word stays to itself in different sentences, and how far it goes from its static vector."""
    contexts = result.contexts
    places = np.arange(len(contexts.spaces), dtype=np.float64)
    bounds = (contexts.curves.point, contexts.curves.low, contexts.curves.high)
    names = CONTEXT_QUANTITIES[:2]
    last = ", ".join(
        f"{name} {contexts.curves.point[index, -1]:.2f} (untrained twins {contexts.twins[:, index, -1].mean():.2f})"
        for index, name in enumerate(names)
    )
    return Figure(
        name="words-in-context",
        caption=(
            f"{len(contexts.words)} words in eight sentences each: mean cosine of a word's occurrences minus anisotropy "
            f"(self-similarity), and 1 minus their cosine with {result.start} (drift), with 95 % intervals over words; "
            "untrained twins with their range."
        ),
        alt=f"Line chart over the encoder's spaces; in {contexts.spaces[-1]}: {last}.",
        chart=LinePlot(
            series=(
                *(Series(name, places, *(bound[index] for bound in bounds)) for index, name in enumerate(names)),
                *(twin_series(contexts.twins[:, index], f"untrained, {name}") for index, name in enumerate(names)),
            ),
            x_axis="space",
            y_axis="cosine or its difference",
            x_ticks=contexts.spaces,
        ),
    )


def agreement_figure(found: Correspondence) -> Figure:
    """Debiased CKA of all pairs of spaces, in the model and against its twins."""
    against = found.across.mean(axis=0)
    highest = float(np.max(found.cka.correlation - 2 * np.eye(len(found.spaces))))
    return Figure(
        name="space-agreement",
        caption=(
            "Debiased CKA over sentences, from 0 (no agreement beyond chance) to 1: between all spaces of the model, "
            "and between a "
            "space of the model (row) and one of an untrained twin (column, mean over twins)."
        ),
        alt=(
            f"Two heatmaps of the agreement of {len(found.spaces)} spaces; two different spaces of the model agree by up to "
            f"{highest:.2f}, spaces of the model and of a twin by {against.min():.2f} to {against.max():.2f}."
        ),
        chart=Heatmap(
            panels=(
                Panel("model", found.cka.correlation, found.spaces, found.spaces, "space", "space"),
                Panel(
                    "model against untrained twin", against, found.spaces, found.spaces, "space of the model", "twin"
                ),
            ),
            color_label="debiased CKA",
            lower=min(0.0, float(against.min())),
            upper=1.0,
        ),
    )
