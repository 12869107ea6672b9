"""Presenting: findings in sentences, the evidence, and what it does not support."""

from analyses.logit_attribution.ablation_blocks import ablation_blocks, ablation_findings
from analyses.logit_attribution.activation_patching import Patching
from analyses.logit_attribution.activation_patching_blocks import (
    PATCHING_LIMITS,
    patching_blocks,
    patching_findings,
    patching_pages,
)
from analyses.logit_attribution.assumptions import (
    family_limits,
    lens_reading,
    norm_limit,
    norms_held,
    patching_limits,
    sampled_limits,
)
from analyses.logit_attribution.example import example_blocks
from analyses.logit_attribution.figures import heads_figure, waterfall_figure
from analyses.logit_attribution.glance import headline, highlights
from analyses.logit_attribution.lens_blocks import lens_blocks, lens_findings
from analyses.logit_attribution.neuron_blocks import NEURON_LIMITS, neuron_blocks, neuron_findings
from analyses.logit_attribution.sentences import encoder_sentence, source_sentence, strongest_sentences, value_sentence
from analyses.logit_attribution.summary import LogitAttribution
from analyses.logit_attribution.tables import category_table, completeness_table, component_table, encoder_table
from interp.attribution.components import ComponentKind
from interp.attribution.logit_readout import FLOAT32_GAP
from interp.report import Block, Section
from interp.report.numbers import number, with_interval
from interp.statistics import FEWEST_TESTED

DIRECT_LIMIT = (
    "Direct effects only: a contribution is what a component's own write adds to the logit. What later components "
    "would do if it were missing, and what it does through them, is not in these numbers; the total effect of "
    "removing a component can be larger, smaller, or of the other sign (self-repair: McGrath et al. 2023; Rushing "
    "and Nanda 2024)."
)

LIMITS = (
    "The splits over source tokens and over encoder components follow the values only. Why a head attends where "
    "it does (queries and keys) is held fixed.",
    "With shared embeddings the decoder's input embedding scores its own token, for or against repetition; it is "
    "therefore always listed as a component.",
    "Every decoder row counts alike inside its prompt, the first row (which reads the start token) and the row "
    "that predicts the end of the sentence included; answers of several pieces are explained piece by piece.",
    "Every untrained twin is explained against its own runner-up on the same labels; for a twin the label is an "
    "arbitrary token, so its logit difference is negative by selection. The twins show how large contributions "
    "are without training, not zero.",
)

SAMPLED_LIMITS = (
    "Ablations and depths are measured on a sample of the prompts, on the decoder's heads only, and against one "
    "untrained twin; with fewer than six sentences the range of the sentences stands for an interval. Zeroing z removes "
    "exactly the head's write, but leaves the range of activations that later components know; mean and resample "
    "ablation stay nearer to it.",
    "An encoder layer from which the decoder cannot yet read the answer may still hold it: intermediate memories "
    "are unlike any the decoder was trained on.",
)


def present(result: LogitAttribution) -> Section:
    """The section of one run."""
    blocks: tuple[Block, ...] = (
        waterfall_figure(result),
        heads_figure(result),
        component_table(result),
        category_table(result),
        encoder_table(result),
        *example_blocks(result),
        *_sampled_blocks(result),
        completeness_table(result),
    )
    return Section(
        name="logit-attribution",
        title="Direct logit attribution",
        question="Which heads and layers wrote the predicted logit, and from which source tokens?",
        findings=findings(result),
        blocks=blocks,
        limits=(
            DIRECT_LIMIT,
            norm_limit(result.cfg),
            *LIMITS,
            *_unnamed_rows(result.unnamed_rows),
            *family_limits(result.cfg),
            *((*SAMPLED_LIMITS, *sampled_limits(result.cfg)) if result.ablation else ()),
            *(NEURON_LIMITS if result.neurons else ()),
            *((*PATCHING_LIMITS, *patching_limits(result.cfg)) if isinstance(result.patching, Patching) else ()),
        ),
        pages=patching_pages(result.patching) if result.patching else (),
        cites=("elhage2021", "nostalgebraist2020", "langedijk2023", "mcgrath2023", "nanda2023"),
        headline=headline(result),
        highlights=highlights(result),
    )


def _unnamed_rows(count: int) -> tuple[str, ...]:
    """What is left out because it stands for nothing, if there is anything."""
    if not count:
        return ()
    return (
        f"The tokenizer has no piece for {count} rows of the embedding: they are left out of runner-ups, of ranks and of the "
        "readings of neurons; the model's probabilities count them.",
    )


def findings(result: LogitAttribution) -> tuple[str, ...]:
    """What was found, most important first."""
    return (
        value_sentence(result),
        *strongest_sentences(result),
        _kinds(result),
        _significant(result),
        source_sentence(result),
        encoder_sentence(result),
        *(ablation_findings(result.ablation, norms_held(result.cfg)) if result.ablation else ()),
        *(lens_findings(result.lens_curves) if result.lens_curves else ()),
        *(neuron_findings(result.neurons) if result.neurons else ()),
        *(patching_findings(result.patching) if result.patching else ()),
        _exactness(result),
    )


def _sampled_blocks(result: LogitAttribution) -> tuple[Block, ...]:
    ablated = ablation_blocks(result.ablation, norms_held(result.cfg)) if result.ablation else ()
    depths = lens_blocks(result.lens_curves, lens_reading(result.cfg)) if result.lens_curves else ()
    neurons = neuron_blocks(result.neurons) if result.neurons else ()
    return (*ablated, *depths, *neurons, *(patching_blocks(result.patching) if result.patching else ()))


_OF_KIND: dict[ComponentKind, str] = {
    "embedding": "the decoder's input embedding",
    "self-attention head": "all self-attention heads",
    "cross-attention head": "all cross-attention heads",
    "MLP": "all MLPs",
    "positions": "the decoder's positions",
    "bias": "all biases",
}


def _kinds(result: LogitAttribution) -> str:
    parts = [
        f"{_OF_KIND[name]} {with_interval(result.kind_sums[index], write=number)}"
        for index, name in enumerate(result.kinds)
    ]
    return f"By kind: {', '.join(parts[:-1])} and {parts[-1]} logits."


def _significant(result: LogitAttribution) -> str:
    passed = result.test.p_value < 0.05
    both = passed & result.difference.outside_controls if result.n_twins else passed
    # The biases of untrained twins are zero, so lying outside their range means nothing.
    counted = ~result.of_kind("bias")
    both, total = both & counted, int(counted.sum())
    components = "components" if counted.all() else "components that are no biases"
    if (result.test.count < FEWEST_TESTED).all():
        return f"With fewer than {FEWEST_TESTED} sentences it is not tested which means differ from 0."
    if not both.any():
        return (
            f"None of the {total} {components} has a mean that differs from 0 (family-wise p < 0.05, sign flips of "
            "sentences and a correction for skewness) and an interval outside what one more untrained twin may have."
        )
    positive = int((both & (result.difference.point > 0)).sum())
    outside = " and an interval outside what one more untrained twin may have" if result.n_twins else ""
    return (
        f"{int(both.sum())} of {total} {components} have a mean that differs from 0 (family-wise p < 0.05, sign flips of "
        f"sentences and a correction for skewness){outside}: {positive} for the label, {int(both.sum()) - positive} against it."
    )


def _exactness(result: LogitAttribution) -> str:
    worst = result.worst_gap
    sentence = (
        "The components add up to the logits, source tokens to their heads, and encoder components to their source "
        "tokens, with a largest gap of "
        f"{number(worst, 1)} of the size of a row's contributions (root of their summed squares)"
    )
    if worst <= FLOAT32_GAP:
        return f"{sentence}."
    return (
        f"{sentence}: more than the {FLOAT32_GAP:g} that float32 reaches. Read contributions of that size as noise, or "
        "load the model with dtype float32."
    )
