"""The figures of the section: the map of words, their cosines, and the curves over the layers."""

import numpy as np

from analyses.embedding_geometry.layers import QUANTITIES
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report import Figure, Heatmap, Lines, Panel, PointGroup, Scatter, Series


def map_figure(result: EmbeddingGeometry) -> Figure:
    """The words on their first two principal axes."""
    groups = list(dict.fromkeys(word.group for word in result.words))
    coordinates, explained = result.map.coordinates, result.map.explained
    x, y = coordinates[:, 0], coordinates[:, 1] if coordinates.shape[1] > 1 else np.zeros(len(coordinates))
    points = []
    for group in groups:
        members = [index for index, word in enumerate(result.words) if word.group == group]
        # A star marks means of pieces, which are no row of the table.
        names = tuple(result.words[i].word + ("" if result.words[i].single else "*") for i in members)
        points.append(PointGroup(label=group, x=x[members], y=y[members], names=names))
    second = explained[1] if len(explained) > 1 else 0.0
    twins = [float(twin.explained[:2].sum()) for twin in result.twin_maps]
    return Figure(
        name="word-map",
        caption=(
            "Words in the raw input embedding on the first two principal axes of these words. A star marks the mean of several "
            "pieces. Distances on the map are only part of the distances in the space: see the shares on the axes."
        ),
        alt=(
            f"Scatter plot of {len(result.words)} words in {len(groups)} groups on two principal axes, which hold "
            f"{explained[0]:.2f} and {second:.2f} of their variance; together {explained[:2].sum():.2f}, in untrained twins "
            f"{min(twins):.2f} to {max(twins):.2f}."
        ),
        drawing=Scatter(
            groups=tuple(points),
            x_axis=f"principal axis 1 ({explained[0]:.0%} of the variance)",
            y_axis=f"principal axis 2 ({second:.0%} of the variance)",
        ),
    )


def cosine_figure(result: EmbeddingGeometry) -> Figure:
    """The cosine matrix, ordered by group; a word with itself is left empty."""
    names = tuple(word.word for word in result.words)
    values = result.cosines.copy()
    np.fill_diagonal(values, np.nan)
    primary = result.comparisons[0]
    mean = (
        f"{primary.test.observed.within:.2f} within groups, {primary.test.observed.between:.2f} between"
        if primary.test
        else ""
    )
    return Figure(
        name="word-cosines",
        caption=(
            "Cosines of the words in the raw input embedding, ordered by group. If groups lie together, squares along the "
            "diagonal are darker than the rest. A word with itself is left out."
        ),
        alt=(
            f"Heatmap of the cosines of {len(names)} words, from {np.nanmin(values):.2f} to {np.nanmax(values):.2f}"
            + (f"; mean of {primary.words} {mean}." if mean else ".")
        ),
        drawing=Heatmap(
            panels=(Panel("raw input embedding", values, names, names, "word", "word"),),
            colour_label="cosine",
            centre=0.0,
        ),
    )


def layer_figures(result: EmbeddingGeometry) -> tuple[Figure, ...]:
    """Anisotropy and adjusted intra-sentence similarity over the spaces."""
    return tuple(_layer_figure(result, index) for index in (0, 2))


def _layer_figure(result: EmbeddingGeometry, quantity: int) -> Figure:
    layers, gap = result.layers, result.n_encoder_spaces
    point, low, high = (_with_gap(bound[quantity], gap) for bound in
                        (layers.curves.point, layers.curves.low, layers.curves.high))  # fmt: skip
    twins = np.stack([_with_gap(twin[quantity], gap) for twin in layers.twins])
    places = np.arange(len(point), dtype=np.float64)
    name = QUANTITIES[quantity]
    last_encoder, last = gap - 1, len(layers.spaces) - 1
    middle = layers.twins[:, quantity].mean(axis=0)
    return Figure(
        name="layers-" + name.split()[0],
        caption=f"{name.capitalize()} in every space of the encoder and of the decoder, with 95 % intervals over prompts; "
        "untrained twins with their range.",
        alt=(
            f"Line chart: {name} is {layers.curves.point[quantity, 0]:.2f} in {layers.spaces[0]}, "
            f"{layers.curves.point[quantity, last_encoder]:.2f} in {layers.spaces[last_encoder]} and "
            f"{layers.curves.point[quantity, last]:.2f} in {layers.spaces[last]}; untrained twins "
            f"{middle[0]:.2f}, {middle[last_encoder]:.2f} and {middle[last]:.2f}."
        ),
        drawing=Lines(
            series=(
                Series("model", places, point, low, high),
                Series("untrained twins", places, twins.mean(axis=0), twins.min(axis=0), twins.max(axis=0), "control"),
            ),
            x_axis="space",
            y_axis=name,
            x_ticks=(*layers.spaces[:gap], "", *layers.spaces[gap:]),
        ),
    )


def _with_gap(values: np.ndarray, gap: int) -> np.ndarray:
    """A missing value between the stacks, so that no line joins them."""
    return np.insert(values.astype(np.float64), gap, np.nan)
