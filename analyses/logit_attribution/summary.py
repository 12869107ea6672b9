"""From numbers per prompt, of the model and its twins, to estimates over sentences with intervals and controls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from analyses.core.contract import Arrays, Evidence, Example
from analyses.core.sentence_means import by_sentence
from analyses.core.text_counts import TextCounts
from analyses.logit_attribution.ablation import AblationCheck, ablation_check
from analyses.logit_attribution.activation_patching import NoPatching, Patching, patching
from analyses.logit_attribution.arrays import ARRAYS
from analyses.logit_attribution.lenses import LensCurves, lens_curves
from analyses.logit_attribution.neurons import Neurons, neurons
from interp.attribution.components import (
    COMPONENT_KINDS,
    Component,
    ComponentKind,
    components_of,
    source_components,
)
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId
from interp.statistics import Estimate, Interval, SignFlipTest, bootstrap_ranks, estimate_mean, skewness_corrected_test
from interp.text.words import CATEGORIES, PAD

GAPS = {
    "gap: logit difference": "difference.gap",
    "gap: label": "label.gap",
    "gap: source tokens": "difference.source_gap",
    "gap: encoder components": "difference.memory_gap",
}
"""What is split, and the array with the gaps of its sum."""


@dataclass(frozen=True, slots=True, eq=False)
class LogitAttribution:
    """Who wrote the logits, over all prompts.

    Attributes:
        cfg: the model's facts.
        components: of the decoder.
        kinds: the kinds of component that there are, in the order of `interp.attribution.components.COMPONENT_KINDS`.
        difference: contribution to the logit difference of label and runner-up.
        label: contribution to the label's logit.
        centered: contribution to the label's logit less the vocabulary's mean logit.
        share: squared length of the write at the last norm, as a share of that of the stream there.
        value: the logit difference itself (one cell).
        first_choice: share of labels that are the model's first choice (one cell).
        kind_sums: contribution of all components of each kind to the difference.
        ranks: ranks by |contribution to the difference|.
        test: sign-flip test of the difference, error controlled over all components.
        categories: contribution of every cross head to the difference, by source category.
        category_names: the categories that occur, in the order of the last axis of `categories`.
        category_share: mean share of source tokens in every category.
        encoder_components: of the encoder, and the bias of the values where there is one.
        through_strongest: what each of them adds to the difference through the strongest cross head.
        through_all: the same through all cross heads.
        completeness: `prompt`, `rows`, and the gaps of `GAPS` as shares of the contributions' size.
        example: one prompt in full.
        target_origin: `given` or `generated`.
        counts: how many of the prompts are independent; sentences are what is resampled.
        n_twins: number of untrained twins.
        unnamed_rows: rows of the embedding that stand for nothing.
        ablation: every decoder head ablated on a sample of the prompts; None where nothing was sampled.
        lens_curves: the label by depth, on the same sample.
        neurons: the decoder neurons that contribute most, on the same sample.
        patching: what moving activations between minimal pairs does.
    """

    cfg: ModelConfig
    components: tuple[Component, ...]
    kinds: tuple[ComponentKind, ...]
    difference: Estimate
    label: Estimate
    centered: Estimate
    share: Estimate
    value: Estimate
    first_choice: Estimate
    kind_sums: Estimate
    ranks: Interval
    test: SignFlipTest
    categories: Estimate
    category_names: tuple[str, ...]
    category_share: Float[np.ndarray, " category"]
    encoder_components: tuple[Component, ...]
    through_strongest: Estimate
    through_all: Estimate
    completeness: pd.DataFrame
    example: Example
    target_origin: str
    counts: TextCounts
    n_twins: int
    unnamed_rows: int
    ablation: AblationCheck | None = None
    lens_curves: LensCurves | None = None
    neurons: Neurons | None = None
    patching: Patching | NoPatching | None = None

    @property
    def worst_gap(self) -> float:
        """The largest gap of all."""
        return float(self.completeness[list(GAPS)].to_numpy().max())

    @property
    def order(self) -> np.ndarray:
        """Components from the largest |contribution to the difference| to the smallest."""
        return np.argsort(self.ranks.point, kind="stable")

    def of_kind(self, kind: ComponentKind) -> np.ndarray:
        """Whether components are of a kind, [component]."""
        return _of_kind(self.components, kind)

    def heads(self, kind: ComponentKind) -> np.ndarray:
        """Indices of the components of one kind of head, [layer head]."""
        return np.flatnonzero(self.of_kind(kind)).reshape(-1, self.cfg.n_decoder_heads)

    @property
    def strongest_cross(self) -> HeadId:
        """The cross head with the largest |contribution to the difference|."""
        return _strongest_cross(self.components, self.ranks)


def summarize(evidence: Evidence) -> LogitAttribution:
    """From observations to estimates."""
    seed, cfg, by_prompt = evidence.seed, evidence.cfg, evidence.model.prompts
    prompt_ids, evidence = evidence.prompt_ids, by_sentence(evidence, ARRAYS)
    observed = evidence.model.prompts
    components = components_of(cfg, "decoder")
    kinds = tuple(kind for kind in COMPONENT_KINDS if _of_kind(components, kind).any())
    names, present, shares = _categories(observed["tokens"])
    placed = bootstrap_ranks(observed["difference.components"], seed)
    head = _strongest_cross(components, placed)

    def over(transform: Callable[[np.ndarray], np.ndarray], name: str) -> Estimate:
        twins = [transform(twin.prompts[name]) for twin in evidence.twins]
        return estimate_mean(transform(observed[name]), twins, seed)

    def plain(name: str) -> Estimate:
        return over(lambda values: values, name)

    result = LogitAttribution(
        cfg=cfg,
        components=components,
        kinds=kinds,
        difference=plain("difference.components"),
        label=plain("label.components"),
        centered=plain("centered.components"),
        share=plain("share.components"),
        value=over(lambda values: values[:, None], "difference.value"),
        first_choice=over(lambda values: values[:, None], "first_choice"),
        kind_sums=over(
            lambda values: np.stack([values[:, _of_kind(components, kind)].sum(1) for kind in kinds], axis=1),
            "difference.components",
        ),
        ranks=placed,
        test=skewness_corrected_test(observed["difference.components"], seed),
        categories=over(lambda values: values[..., present], "difference.categories"),
        category_names=names,
        category_share=shares,
        encoder_components=source_components(cfg),
        through_strongest=over(lambda values: values[:, head.layer, head.head], "difference.memory"),
        through_all=over(lambda values: values.sum((1, 2)), "difference.memory"),
        completeness=pd.DataFrame({
            "prompt": prompt_ids,
            "rows": by_prompt["rows"].astype(int),
            **{title: by_prompt[name] for title, name in GAPS.items()},
        }),
        example=evidence.example,
        target_origin=evidence.target_origin,
        counts=evidence.texts,
        n_twins=len(evidence.twins),
        unnamed_rows=int(evidence.model.weights["rows_without_a_piece"][0]),
    )
    controls = [twin.experiment for twin in evidence.twins if "total" in twin.experiment]
    return with_experiments(result, evidence.model.experiment, controls, seed)


def with_experiments(result: LogitAttribution, model: Arrays, twins: Sequence[Arrays], seed: int) -> LogitAttribution:
    """The result with what was found on the sample.

    Args:
        result: from all prompts.
        model: what `experiment` gave for the model.
        twins: what it gave for those twins it was run on.
        seed: for resampling.
    """
    if not model:
        return result
    result = replace(result, patching=patching(model, seed, result.cfg))
    if "total" not in model:
        return result
    control = twins[0] if twins else None
    return replace(
        result,
        ablation=ablation_check(model, control, seed),
        lens_curves=lens_curves(model, twins, seed),
        neurons=neurons(model, twins, seed),
    )


def _of_kind(components: tuple[Component, ...], kind: ComponentKind) -> np.ndarray:
    return np.array([one.kind == kind for one in components])


def _strongest_cross(components: tuple[Component, ...], placed: Interval) -> HeadId:
    order = np.argsort(placed.point, kind="stable")
    heads = (components[int(index)].head for index in order)
    return next(head for head in heads if head is not None and head.kind == "cross")


def _categories(
    tokens: Float[np.ndarray, "prompt category"],
) -> tuple[tuple[str, ...], np.ndarray, Float[np.ndarray, " present"]]:
    """Names and indices of the categories that occur, padding left out, and their mean share of the source tokens."""
    real = tokens.copy()
    real[:, PAD] = 0
    shares = (real / real.sum(1, keepdims=True)).mean(0)
    present = np.flatnonzero(shares > 0)
    return tuple(CATEGORIES[index] for index in present), present, shares[present]
