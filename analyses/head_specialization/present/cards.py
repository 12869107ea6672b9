"""A card for each head with a role: its best example as a picture, its evidence with controls, its importance.

Where hardly any head has a role, the heads nearest to one have cards too, and each says plainly that it has none.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from analyses.head_specialization.present.legend import hue_of
from analyses.head_specialization.present.wording import count_sentence, sentence
from analyses.head_specialization.roles.best_examples import Specimen
from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.roles.definitions import rule_text
from analyses.head_specialization.roles.metrics import IMPORTANCE, Metric
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.report import Beside, Block, Card, Heading, Line, Page, Paragraph, PatternPicture, SmallTable, Title
from interp.report.numbers import between, counted, decimals_for, fixed, print_number, significant
from interp.report.views import KIND_NAMES

PAGE = "head-cards"

_MEASURES = (
    "entropy, confidence, distance, divergence from position alone, divergence from content alone, EOS mass, EOS value norm, "
    "prefix mass, first token mass, first token value norm, OV eigenvalue score, copying hit rate"
).split(", ")
"""Metrics that every card shows, where heads of its kind have them."""


def cards_page(atlas: HeadAtlas) -> Page | None:
    """The page of all cards; None if no patterns were kept."""
    if not atlas.specimens:
        return None
    labeled = {label.head for label in atlas.labels}
    without = sum(head not in labeled for head in atlas.specimens)
    missing = len(labeled.difference(atlas.specimens))
    lead = count_sentence(atlas)
    if without:
        lead += (
            f" {without} of these cards {'are' if without > 1 else 'is'} of heads that come near a role and have none."
        )
    if missing:
        lead += f" The {missing} heads with the lowest scores have no card; the tables have them."
    return Page(PAGE, "Cards of single heads", lead, tuple(_blocks(atlas)))


def _blocks(atlas: HeadAtlas) -> Iterator[Block]:
    yield Paragraph(
        "Each picture shows, of a sample of the prompts, the one on which the head scores highest: rows attend to columns, "
        "darker is more, and a pointer on a cell shows its weight. Scores are means over independent texts, with 95 % intervals."
    )
    for kind in ATTENTION_KINDS:
        heads = [head for head in atlas.specimens if head.kind == kind]
        if heads:
            yield Heading(KIND_NAMES[kind].capitalize())
        for head in heads:
            yield card(atlas, head)


def card(atlas: HeadAtlas, head: HeadId) -> Card:
    """One card.

    Raises:
        KeyError: if no pattern of this head was kept.
    """
    specimen = atlas.specimens[head]
    own = [label for label in atlas.labels if label.head == head]
    near = [label for label in (*atlas.uncertain, *atlas.candidates) if label.head == head]
    nearest = atlas.nearest[head.kind].role[head.layer][head.head]
    shown = {(label.role, label.rule, label.detail): label for label in near if label.holds or label.role == nearest}
    evidence = own or list(shown.values())
    role = evidence[0].leading if evidence else nearest
    label = f"Attention of {head} on prompt {specimen.id}"
    picture = PatternPicture(specimen.pattern, specimen.queries, specimen.keys, hue_of(role), label)
    roles = tuple((str(label), hue_of(label.leading)) for label in own)
    parts = (
        Title(str(head), roles or (("no role", None),)),
        Line((_verdict(atlas, head, own, near),)),
        Line((_caption(specimen, role),), small=True),
        Beside(picture, (_importance_table(atlas, head), _measures_table(atlas, head))),
        _evidence_table(atlas, evidence),
    )
    return Card(f"head-{str(head).lower()}", f"Card of {head}", parts)


def _verdict(atlas: HeadAtlas, head: HeadId, own: Sequence[RoleLabel], near: Sequence[RoleLabel]) -> str:
    if own:
        return " ".join(sentence(label) for label in own)
    if near and near[0].holds:
        return (
            f"The rule of {near[0]} holds on average, but the head does not have the role: the rule holds in "
            f"{near[0].stability:.0%} of the resamples, adjusted p {significant(near[0].p_adjusted)}. {sentence(near[0])}"
        )
    found, cell = atlas.nearest[head.kind], (head.layer, head.head)
    role = f"{found.role[cell[0]][cell[1]]} {found.detail[cell[0]][cell[1]]}".rstrip()
    return (
        f"No role. It is nearest to {role}: score {fixed(found.score[cell])}, chance {fixed(found.null[cell])}; "
        f"{found.progress[cell]:.0%} of the way from chance to what the rule asks for."
    )


def _caption(specimen: Specimen, role: str) -> str:
    if np.isfinite(specimen.score):
        return f"Prompt {specimen.id}, where its score for {role} is highest: {fixed(specimen.score)}."
    return f"Prompt {specimen.id}, where it is sharpest; {role} is judged on other material."


def _evidence_table(atlas: HeadAtlas, labels: Sequence[RoleLabel]) -> SmallTable:
    rows = [
        (
            f"{label}: {rule_text(label.rule, atlas.settings.model_dump())}",
            fixed(label.score),
            _span(label.low, label.high),
            _two(label.null),
            _span(label.control_low, label.control_high),
            _two(label.permuted),
            _two(label.shuffled),
            f"{label.stability:.0%}",
            significant(label.p_adjusted),
        )
        for label in labels
    ]
    titles = ("rule", "score", "95 %", "chance", "twins", "permuted", "shuffled", "stability", "adjusted p")
    return SmallTable("Evidence and controls", titles, rows, numeric=True)


def _importance_table(atlas: HeadAtlas, head: HeadId) -> SmallTable:
    rows = []
    for metric in atlas.metrics[head.kind]:
        if metric.name in IMPORTANCE.values():
            everyone = np.concatenate([
                np.abs(other.point.ravel())
                for kind in ATTENTION_KINDS
                for other in atlas.metrics[kind]
                if other.name == metric.name
            ])
            rank = 1 + int((everyone > abs(metric.point[head.layer, head.head])).sum())
            rows.append((*_metric_row(metric, head), f"{rank} of {int(np.isfinite(everyone).sum())}"))
    titles = ("measure", "value", "95 %", "twin", "rank by size")
    return SmallTable(f"Importance, on {counted(atlas.sample, 'prompt')}", titles, rows, numeric=True)


def _measures_table(atlas: HeadAtlas, head: HeadId) -> SmallTable:
    rows = [
        _metric_row(metric, head)
        for metric in atlas.metrics[head.kind]
        if metric.name in _MEASURES and np.isfinite(metric.point[head.layer, head.head])
    ]
    return SmallTable("What else is known of it", ("measure", "value", "95 %", "twins"), rows, numeric=True)


def _metric_row(metric: Metric, head: HeadId) -> tuple[str, str, str, str]:
    cell = (head.layer, head.head)
    decimals = max(decimals_for(metric.point[np.isfinite(metric.point)].tolist()), 2)
    value, low, high, least, most = (
        print_number(float(values[cell]), decimals) if np.isfinite(values[cell]) else "–"
        for values in (metric.point, metric.low, metric.high, metric.control_low, metric.control_high)
    )
    return (
        metric.name,
        value,
        low if low == high else f"{low} to {high}",
        least if least == most else f"{least} to {most}",
    )


def _two(value: float) -> str:
    return fixed(value) if np.isfinite(value) else "–"


def _span(low: float, high: float) -> str:
    return between(low, high) if np.isfinite(low) and np.isfinite(high) else "–"
