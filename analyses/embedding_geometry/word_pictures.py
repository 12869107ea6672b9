"""The figures of words: their map and their cosines."""

import numpy as np

from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report import Figure, Heatmap, Panel, PointGroup, ScatterPlot


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
        chart=ScatterPlot(
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
        chart=Heatmap(
            panels=(Panel("raw input embedding", values, names, names, "word", "word"),),
            color_label="cosine",
            center=0.0,
        ),
    )
