"""What the head atlas says at a glance and in five sentences; `wording` has what stands behind them."""

import numpy as np

from analyses.head_specialization.present.tables import importance_frame
from analyses.head_specialization.present.wording import count_sentence, entropy_sentence, importance_sentence, sentence
from analyses.head_specialization.roles.definitions import Strength
from analyses.head_specialization.roles.metrics import IMPORTANCE
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.report import Finding, Headline
from interp.report.headline import Sureness
from interp.report.numbers import interval, with_interval
from interp.statistics import controlled, largest

_MOST_ROLES = 2


def headline(atlas: HeadAtlas) -> Headline:
    """How many heads have a role, beside the controls', and the atlas with the most of them."""
    labeled = {label.head for label in atlas.labels}
    main = max(ATTENTION_KINDS, key=lambda kind: sum(head.kind == kind for head in labeled))
    return Headline(_count(atlas), _sureness(atlas, len(labeled)), f"atlas-{main}")


def highlights(atlas: HeadAtlas) -> tuple[Finding, ...]:
    """The count, the clearest roles, the sharpest head and the one that matters most."""
    clearest = sorted(
        atlas.labels, key=lambda label: (label.strength != "threshold", label.null - label.score, label.head)
    )[:_MOST_ROLES]
    roles = [
        Finding(
            f"{label.head} {_IS[label.strength]} {label}, with a score of {interval(label.score, label.low, label.high)}.",
            (sentence(label),),
        )
        for label in clearest
    ]
    return (Finding(_count(atlas), (count_sentence(atlas),)), *roles, _sharpest(atlas), *_most_important(atlas))


_IS: dict[Strength, str] = {"threshold": "is", "tendency": "has a clear tendency to be"}


def _count(atlas: HeadAtlas) -> str:
    """What most heads with a role do, those at a threshold before tendencies."""
    if atlas.counts.fault:
        return "Only encoder heads are judged: the targets say nothing of the others."
    strength: Strength = "threshold" if any(label.strength == "threshold" for label in atlas.labels) else "tendency"
    heads: dict[tuple[AttentionKind, str], set[HeadId]] = {}
    for label in atlas.labels:
        if label.strength == strength:
            heads.setdefault((label.head.kind, label.role), set()).add(label.head)
    if not heads:
        return f"None of {atlas.heads} heads has a role, nor a clear tendency to one."
    (kind, role), found = max(heads.items(), key=lambda item: len(item[1]))
    number = atlas.cfg.layers_of(kind) * atlas.cfg.heads_of(kind)
    verb = "has" if len(found) == 1 else "have"
    what = "the role" if strength == "threshold" else "a clear tendency to the role"
    return f"{len(found)} of {number} {_KINDS[kind]} heads {verb} {what} {role!r}."


_KINDS: dict[AttentionKind, str] = {"encoder": "encoder", "decoder": "decoder", "cross": "cross-attention"}


def _sureness(atlas: HeadAtlas, labeled: int) -> Sureness:
    """Whether more heads have a role than one more untrained twin may; with permuted weights position bias gives roles too."""
    if len(atlas.twin_labels) < 2 or atlas.counts.fault:
        return "not judged"
    return (
        "beyond all controls"
        if controlled(float(labeled), [float(count) for count in atlas.twin_labels]).above_controls
        else "within the controls"
    )


def _sharpest(atlas: HeadAtlas) -> Finding:
    """The head with the lowest entropy of all kinds."""
    metrics = {kind: atlas.metric(kind, "entropy") for kind in ATTENTION_KINDS}
    lowest = {kind: largest(-metric.point) for kind, metric in metrics.items()}
    kind = min(ATTENTION_KINDS, key=lambda kind: float(metrics[kind].point[lowest[kind]]))
    value = with_interval(metrics[kind][lowest[kind]])
    words = f"{HeadId(kind, *lowest[kind])} is the most focused head: its normalized entropy is {value}."
    return Finding(words, (entropy_sentence(atlas),))


def _most_important(atlas: HeadAtlas) -> tuple[Finding, ...]:
    """The head that matters most by the first measure that was taken."""
    frame = importance_frame(atlas)
    names = [name for name in frame.columns if name in IMPORTANCE.values()]
    if not names or not np.isfinite(frame[names[0]].iloc[0]):
        return ()
    name, top = names[0], frame.iloc[0]
    value = interval(top[name], top[f"{name} low"], top[f"{name} high"], 3)
    return (Finding(f"{top['head']} matters most by {name}: {value}.", (importance_sentence(atlas),)),)
