"""The figures of words: their map and their cosines."""

import numpy as np

from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.geometry.isotropy import PrincipalMap
from interp.report import Figure, Heatmap, Panel, PointGroup, ScatterPlot
from interp.report.numbers import between, fixed, percent


def map_figure(result: EmbeddingGeometry, word_map: PrincipalMap) -> Figure:
    """The words on their first two principal axes."""
    groups = list(dict.fromkeys(word.group for word in result.words))
    coordinates, explained = word_map.coordinates, word_map.explained
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
            f"{fixed(explained[0])} and {fixed(second)} of their variance; together {fixed(explained[:2].sum())}, in untrained "
            f"twins {between(min(twins), max(twins))}."
        ),
        chart=ScatterPlot(
            groups=tuple(points),
            x_axis=f"principal axis 1 ({percent(explained[0])} of the variance)",
            y_axis=f"principal axis 2 ({percent(second)} of the variance)",
        ),
    )


def cosine_figure(result: EmbeddingGeometry) -> Figure:
    """The cosine matrix, ordered by group; a word with itself is left empty."""
    names = tuple(word.word for word in result.words)
    values = result.cosines.copy()
    np.fill_diagonal(values, np.nan)
    primary = result.comparisons[0]
    mean = ""
    if primary.test:
        within, other = (fixed(part) for part in primary.test.observed[:2])
        mean = f"; mean of {primary.words} {within} within groups, {other} between"
    return Figure(
        name="word-cosines",
        caption=(
            "Cosines of the words in the raw input embedding, ordered by group. If groups lie together, squares along the "
            "diagonal are darker than the rest. A word with itself is left out."
        ),
        alt=(
            f"Heatmap of the cosines of {len(names)} words, from {between(np.nanmin(values), np.nanmax(values))}{mean}."
        ),
        chart=Heatmap(
            panels=(Panel("raw input embedding", values, names, names, "word", "word"),),
            color_label="cosine",
            center=0.0,
        ),
    )
