"""From shares per prompt to the atlas: who computes what, with intervals over sentences and untrained twins."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analyses.core.contract import Evidence, Observed
from analyses.core.evidence import observed_estimate
from analyses.core.sentence_means import by_sentence
from analyses.expert_routing.arrays import ARRAYS, STACKS
from interp.axes import Stack
from interp.statistics import CORRELATION, SHARE, Estimate, estimate_mean, mean_over_prompts
from interp.text.words import CATEGORIES


@dataclass(frozen=True, slots=True, eq=False)
class Routes:
    """Who computes what in the layers of one stack that have experts.

    Attributes:
        layers: those layers.
        categories: kinds of token that occur.
        kinds: share of a kind's tokens that an expert computes, [layer expert category].
        tokens: share of all tokens, [layer expert].
        probability: mean where it computes, [layer expert].
        nobody: share of tokens that no expert computes, [layer].
        preference: how much more often two tokens share an expert if they are of one kind, [layer].
    """

    layers: tuple[int, ...]
    categories: tuple[str, ...]
    kinds: Estimate
    tokens: Estimate
    probability: Estimate
    nobody: Estimate
    preference: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """The experts of a model by kind of token.

    Attributes:
        n_experts: of a layer that has them.
        capacity: tokens of one text that an expert computes; None for any number.
        n_sentences: different sentences, the unit of every interval.
        n_twins: untrained twins.
        routes: of every stack that has experts.
        preference: mean over all layers with experts.
    """

    n_experts: int
    capacity: int | None
    n_sentences: int
    n_twins: int
    routes: Mapping[Stack, Routes]
    preference: Estimate


def summarize(evidence: Evidence) -> Atlas:
    """The atlas of one run.

    Args:
        evidence: of the model and its twins.
    """
    evidence = by_sentence(evidence, ARRAYS)
    cfg = evidence.cfg
    stacks = [stack for stack in STACKS if cfg.expert_layers(stack)]
    model, *twins = (_preferences(one, stacks) for one in (evidence.model, *evidence.twins))
    return Atlas(
        n_experts=cfg.n_experts,
        capacity=cfg.expert_capacity,
        n_sentences=len(evidence.prompt_ids),
        n_twins=len(evidence.twins),
        routes={stack: _routes(evidence, stack) for stack in stacks},
        preference=estimate_mean(model, twins, evidence.seed, support=CORRELATION),
    )


def _preferences(observed: Observed, stacks: list[Stack]) -> np.ndarray:
    """Mean over the layers in which it is defined, of every sentence."""
    layers = np.concatenate([observed.prompts[f"{stack}.preference"] for stack in stacks], 1)
    return mean_over_prompts(layers.T)


def _routes(evidence: Evidence, stack: Stack) -> Routes:
    occurs = np.flatnonzero(~np.isnan(evidence.model.prompts[f"{stack}.kinds"]).all((0, 1, 2)))
    model, *twins = (one.prompts[f"{stack}.kinds"][..., occurs] for one in (evidence.model, *evidence.twins))
    names = ("tokens", "probability", "nobody", "preference")
    return Routes(
        layers=evidence.cfg.expert_layers(stack),
        categories=tuple(CATEGORIES[kind] for kind in occurs),
        kinds=estimate_mean(model, twins, evidence.seed, support=SHARE),
        **{
            name: observed_estimate(evidence, f"{stack}.{name}", CORRELATION if name == "preference" else SHARE)
            for name in names
        },
    )
