"""On which prompt does a head do best what it does?

Means over prompts have no picture. So the patterns of the first prompts are kept, in steps of 1/255, and the card of a head shows
the prompt on which its score is highest. Roles that are judged on other material (random repeats, parsed sentences) are shown on
the prompt where the head's attention is sharpest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Evidence
from analyses.head_specialization.criterion import Criterion, Rule
from analyses.head_specialization.measure.kept_patterns import STEPS
from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.roles.nearest import NearestRoles
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.statistics import largest

_LEAST_CARDS, _MOST_CARDS = 6, 48
_ON_PROMPTS: tuple[Rule, ...] = ("share", "mass", "margin", "lift", "odds", "copying", "monotone")


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """One head on one prompt.

    Attributes:
        prompt: place of the prompt in its set, from 0.
        id: its id.
        score: of the head's role on this prompt; NaN for roles that are judged on other material.
        pattern: the head's attention.
        queries: tokens that attend.
        keys: tokens that are attended to.
    """

    prompt: int
    id: str
    score: float
    pattern: Float[np.ndarray, "query key"]
    queries: tuple[str, ...]
    keys: tuple[str, ...]


def specimens_of(
    evidence: Evidence,
    labels: Sequence[RoleLabel],
    uncertain: Sequence[RoleLabel],
    nearest: Mapping[AttentionKind, NearestRoles],
    criteria: Mapping[AttentionKind, Sequence[Criterion]],
) -> dict[HeadId, Specimen]:
    """The heads that get a card, in the order of the cards, each with its best prompt.

    These are the heads with a role, at most 48; where there are fewer than 6, uncertain ones and those nearest to a role follow.
    """
    if "specimen.source" not in evidence.model.experiment:
        return {}
    ranked = sorted(labels, key=lambda label: (-label.score, label.head))
    chosen: dict[HeadId, Criterion | None] = {}
    for label in (*ranked, *uncertain):
        enough = _MOST_CARDS if label.passes else _LEAST_CARDS
        if len(chosen) < enough:
            chosen.setdefault(label.head, _matching(criteria[label.head.kind], label))
    for head, role in _nearest_first(nearest):
        if len(chosen) >= _LEAST_CARDS:
            break
        own = [criterion for criterion in criteria[head.kind] if criterion.role == role]
        chosen.setdefault(head, max(own, key=lambda criterion: _highest(criterion, head)))
    order = {kind: number for number, kind in enumerate(ATTENTION_KINDS)}
    heads = sorted(chosen, key=lambda head: (order[head.kind], head.layer, head.head))
    return {head: _specimen(evidence, head, chosen[head]) for head in heads}


def _matching(criteria: Sequence[Criterion], label: RoleLabel) -> Criterion | None:
    """The criterion by which a label was given."""
    for criterion in criteria:
        detail = criterion.detail[label.head.layer][label.head.head] if criterion.detail else ""
        if (criterion.role, criterion.rule, detail) == (label.role, label.rule, label.detail):
            return criterion
    return None


def _nearest_first(nearest: Mapping[AttentionKind, NearestRoles]) -> Iterator[tuple[HeadId, str]]:
    """Heads by progress towards their nearest role, the largest first."""
    cells = [
        (-float(found.progress[cell]), HeadId(kind, *map(int, cell)), found.role[cell[0]][cell[1]])
        for kind, found in nearest.items()
        for cell in np.ndindex(*found.progress.shape)
        if np.isfinite(found.progress[cell])
    ]
    yield from ((head, role) for _, head, role in sorted(cells))


def _highest(criterion: Criterion, head: HeadId) -> float:
    values = criterion.score[:, head.layer, head.head]
    return float(np.nanmax(values)) if np.isfinite(values).any() else -np.inf


def _specimen(evidence: Evidence, head: HeadId, criterion: Criterion | None) -> Specimen:
    arrays = evidence.model.experiment
    sources, targets = arrays["specimen.source"], arrays["specimen.target"]
    scores = np.full(0, np.nan)
    if criterion is not None and criterion.rule in _ON_PROMPTS:
        scores = criterion.score[: len(sources), head.layer, head.head]
    if np.isfinite(scores).any():
        prompt = largest(scores)[0]
        score = float(scores[prompt])
    else:
        entropy = evidence.model.prompts[f"{head.kind}.entropy"][: len(sources), head.layer, head.head]
        prompt, score = (largest(-entropy)[0]), np.nan
    source, target = (tuple(piece for piece in row[prompt] if piece) for row in (sources, targets))
    queries, keys = (source if head.kind == "encoder" else target), (target if head.kind == "decoder" else source)
    pattern = arrays[f"specimen.{head.kind}"][prompt, head.layer, head.head, : len(queries), : len(keys)]
    return Specimen(prompt, evidence.prompt_ids[prompt], score, pattern / STEPS, queries, keys)
