"""What the head atlas says at a glance and in five sentences; `wording` has what stands behind them."""

import numpy as np

from analyses.head_specialization.present.tables import importance_frame
from analyses.head_specialization.present.wording import count_sentence, entropy_sentence, importance_sentence, sentence
from analyses.head_specialization.roles.metrics import IMPORTANCE
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.report import Finding, Headline
from interp.report.headline import Sureness
from interp.report.numbers import interval, percent, with_interval
from interp.statistics import largest

_MOST_ROLES = 2


def headline(atlas: HeadAtlas) -> Headline:
    """How many heads have a role, beside the controls', and the atlas with the most of them."""
    labeled = {label.head for label in atlas.labels}
    main = max(ATTENTION_KINDS, key=lambda kind: sum(head.kind == kind for head in labeled))
    return Headline(_count(atlas), _sureness(atlas, len(labeled)), f"atlas-{main}")


def highlights(atlas: HeadAtlas) -> tuple[Finding, ...]:
    """The count, the clearest roles, the sharpest head and the one that matters most."""
    clearest = sorted(atlas.labels, key=lambda label: (label.null - label.score, label.head))[:_MOST_ROLES]
    roles = [
        Finding(
            f"{label.head} is {label}, with a score of {interval(label.score, label.low, label.high)}.",
            (sentence(label),),
        )
        for label in clearest
    ]
    return (Finding(_count(atlas), (count_sentence(atlas),)), *roles, _sharpest(atlas), *_most_important(atlas))


def _count(atlas: HeadAtlas) -> str:
    labeled = len({label.head for label in atlas.labels})
    if not labeled:
        return "No head has a role that passes its rule, its test and the bootstrap."
    return (
        f"{percent(labeled / atlas.heads)} of the heads have a role that passes its rule, its test and the bootstrap."
    )


def _sureness(atlas: HeadAtlas, labeled: int) -> Sureness:
    """Whether more heads have a role than in any control."""
    controls = [*atlas.twin_labels, *([] if atlas.permuted_labels is None else [atlas.permuted_labels])]
    if not controls:
        return "not judged"
    return "beyond all controls" if labeled > max(controls) else "within the controls"


def _sharpest(atlas: HeadAtlas) -> Finding:
    """The head with the lowest entropy of all kinds."""
    metrics = {kind: atlas.metric(kind, "entropy") for kind in ATTENTION_KINDS}
    lowest = {kind: largest(-metric.point) for kind, metric in metrics.items()}
    kind = min(ATTENTION_KINDS, key=lambda kind: float(metrics[kind].point[lowest[kind]]))
    value = with_interval(metrics[kind][lowest[kind]])
    words = f"{HeadId(kind, *lowest[kind])} is the most focused head: its normalised entropy is {value}."
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
