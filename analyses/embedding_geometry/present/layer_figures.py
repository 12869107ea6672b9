"""The figures of spaces: curves over the layers, agreement of spaces."""

import numpy as np

from analyses.embedding_geometry.measure.contexts import CONTEXT_QUANTITIES, ContextCurves
from analyses.embedding_geometry.measure.layers import QUANTITIES
from analyses.embedding_geometry.measure.space_agreement import SpaceAgreement
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report import Figure, Heatmap, Panel
from interp.report.estimate_lines import estimate_lines
from interp.report.numbers import between, fixed
from interp.statistics import stack_estimates

TWINS = "untrained twins"


def prompt_figures(result: EmbeddingGeometry) -> tuple[Figure, ...]:
    """Anisotropy and adjusted intra-sentence similarity over the spaces, where a run has enough sentences for them."""
    defined = ~np.isnan(result.layers.curves.point).any(axis=1)
    return tuple(_prompt_figure(result, index) for index in (0, 2) if defined[index])


def _prompt_figure(result: EmbeddingGeometry, quantity: int) -> Figure:
    layers, gap = result.layers, result.n_encoder_spaces
    curve, name = layers.curves[quantity], QUANTITIES[quantity]
    shown = (0, gap - 1, len(layers.spaces) - 1)
    values = ", ".join(f"{fixed(curve.point[at])} in {layers.spaces[at]}" for at in shown)
    return Figure(
        name="layers-" + name.split()[0],
        caption=f"{name.capitalize()} in every space of the encoder and of the decoder, with 95 % intervals over sentences; "
        "untrained twins with their range.",
        alt=f"Line chart: {name} is {values}; untrained twins {', '.join(fixed(curve.control_mean[at]) for at in shown)}.",
        chart=estimate_lines([("model", curve, TWINS)], "space", name, layers.spaces, gap),
    )


def group_figure(result: EmbeddingGeometry) -> Figure | None:
    """How far the groups lie apart in every encoder space; None where they cannot be compared."""
    if not result.in_sentences or not all(comparison.test for comparison in result.in_sentences):
        return None
    spaces = tuple(comparison.space for comparison in result.in_sentences)
    effects = stack_estimates([comparison["effect"] for comparison in result.in_sentences])
    first, last = effects[0], effects[-1]
    return Figure(
        name="groups-over-layers",
        caption=(
            "Mean cosine within groups minus between groups, every word taken in the same sentences, with 95 % intervals over "
            "words; untrained twins with their range."
        ),
        alt=(
            f"Line chart: the groups lie {fixed(first.point, 3)} apart in {spaces[0]} and {fixed(last.point, 3)} in "
            f"{spaces[-1]}; untrained twins {fixed(first.control_mean, 3)} and {fixed(last.control_mean, 3)}."
        ),
        chart=estimate_lines([("model", effects, TWINS)], "space", "mean cosine within - between groups", spaces),
    )


def sense_figure(contexts: ContextCurves) -> Figure:
    """The sense split over the encoder's spaces."""
    split = contexts.curves[2]
    return Figure(
        name="sense-split",
        caption=(
            f"Mean cosine of occurrences of one sense minus that of two senses, mean over {len(contexts.words)} words with 95 % "
            "intervals; untrained twins with their range."
        ),
        alt=(
            f"Line chart: the senses lie {fixed(split.point[0], 3)} apart in {contexts.spaces[0]} and "
            f"{fixed(split.point[-1], 3)} in {contexts.spaces[-1]}; untrained twins {fixed(split.control_mean[-1], 3)} there."
        ),
        chart=estimate_lines(
            [("model", split, TWINS)], "space", "sense split (difference of mean cosines)", contexts.spaces
        ),
    )


def context_figure(contexts: ContextCurves, start: str) -> Figure:
    """How alike a word stays to itself in different sentences, and how far it goes from its static vector."""
    curves = [(name, contexts.curves[index], f"untrained, {name}") for index, name in enumerate(CONTEXT_QUANTITIES[:2])]
    last = ", ".join(
        f"{name} {fixed(curve.point[-1])} (untrained twins {fixed(curve.control_mean[-1])})"
        for name, curve, _ in curves
    )
    return Figure(
        name="words-in-context",
        caption=(
            f"{len(contexts.words)} words in eight sentences each: mean cosine of a word's occurrences minus anisotropy "
            f"(self-similarity), and 1 minus their cosine with {start} (drift), with 95 % intervals over words; "
            "untrained twins with their range."
        ),
        alt=f"Line chart over the encoder's spaces; in {contexts.spaces[-1]}: {last}.",
        chart=estimate_lines(curves, "space", "cosine or its difference", contexts.spaces),
    )


def agreement_figure(found: SpaceAgreement) -> Figure:
    """Debiased CKA of all pairs of spaces, in the model and against its twins."""
    against = found.across.mean(axis=0)
    highest = float(np.max(found.cka.point - 2 * np.eye(len(found.spaces))))
    return Figure(
        name="space-agreement",
        caption=(
            "Debiased CKA over sentences, from 0 (no agreement beyond chance) to 1: between all spaces of the model, and between "
            "a space of the model (row) and one of an untrained twin (column, mean over twins)."
        ),
        alt=(
            f"Two heatmaps of the agreement of {len(found.spaces)} spaces; two different spaces of the model agree by up to "
            f"{fixed(highest)}, spaces of the model and of a twin by {between(against.min(), against.max())}."
        ),
        chart=Heatmap(
            panels=(
                Panel("model", found.cka.point, found.spaces, found.spaces, "space", "space"),
                Panel(
                    "model against untrained twin", against, found.spaces, found.spaces, "space of the model", "twin"
                ),
            ),
            color_label="debiased CKA",
            lower=min(0.0, float(against.min())),
            upper=1.0,
        ),
    )
