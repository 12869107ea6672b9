"""The sentences of the head atlas: every one with its numbers, its interval, its chance level and its controls."""

from collections.abc import Sequence

import numpy as np

from analyses.head_specialization.measure.copy_hits import why_no_copying
from analyses.head_specialization.measure.repeats import fits
from analyses.head_specialization.measure.stimuli import LONGEST
from analyses.head_specialization.present.tables import importance_frame
from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.roles.definitions import rule_text
from analyses.head_specialization.roles.metrics import IMPORTANCE
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.report.numbers import between, bounds, fixed, interval, untrained_twins, with_interval
from interp.report.views import KIND_NAMES

_MOST_SENTENCES = 8

_PHRASES = {
    "share": "has its strongest weight there in {score} of the rows",
    "mass": "puts {score} of its attention there",
    "content": "puts {score} of its attention there on random repeated sequences",
    "margin": "has an agreement (1 - AER) of {score} with the gold links",
    "syntax": "finds the right word in {score} of the pairs of the sentences that did not choose it",
    "copying": "has the token it reads among the five that it raises most in {score} of the cases",
    "translation": "has the aligned word among the five that it raises most in {score} of the cases",
    "monotone": "reads the source in its order, with Kendall's tau of {score} between place and row",
    "lift": "puts {score} of its attention there",
    "odds": "puts {score} of its attention there",
}


def findings(atlas: HeadAtlas) -> tuple[str, ...]:
    """What was found: a count first, then the strongest roles, the nearest miss, and what matters most."""
    by_score = sorted(atlas.labels, key=lambda label: (label.strength != "threshold", -label.score, label.head))
    strongest = _strongest_of_each(by_score)[:_MOST_SENTENCES]
    sentences = [_fault(atlas), count_sentence(atlas), _counts(atlas), *map(sentence, strongest), _nearest_miss(atlas)]
    sentences += [
        entropy_sentence(atlas),
        _position_sentence(atlas),
        _repeats_sentence(atlas),
        _copying_sentence(atlas),
        _syntax_sentence(atlas),
    ]
    sentences += [importance_sentence(atlas), _similarity_sentence(atlas)]
    return tuple(text for text in sentences if text)


def count_sentence(atlas: HeadAtlas) -> str:
    """How many heads have a role, how strong, on how many independent texts, and how many of the controls' heads."""
    full = {label.head for label in atlas.labels if label.strength == "threshold"}
    near = {label.head for label in atlas.labels} - full
    untrained, count = sum(atlas.twin_labels), atlas.heads * len(atlas.twin_labels)
    permuted = ""
    if atlas.permuted_labels is not None:
        kept = " and its position bias kept" if atlas.bias else ""
        permuted = f"; with its weights permuted{kept}, {atlas.permuted_labels or 'none'} of the model's heads would"
    return (
        f"{len(full) + len(near) or 'None'} of {atlas.heads} heads {'has' if len(full) + len(near) < 2 else 'have'} a role: "
        f"{len(full) or 'none'} at the published threshold, {len(near) or 'none'} as a clear tendency, on {atlas.counts}"
        f"{atlas.decided_elsewhere()}; of "
        f"{count} heads of {len(atlas.twin_labels)} untrained twins, {untrained or 'none'} "
        f"{'does' if untrained == 1 else 'do'}{permuted}."
    )


def _fault(atlas: HeadAtlas) -> str:
    """Why decoder and cross-attention heads were not judged, if they were not."""
    if not atlas.counts.fault:
        return ""
    return (
        f"Decoder and cross-attention heads are not judged by what they read: {atlas.counts.fault}. Give targets "
        "(source and target in the prompts' file) to judge them."
    )


def _strongest_of_each(labels: list[RoleLabel]) -> list[RoleLabel]:
    """The first label of every kind and role."""
    seen: dict[tuple[AttentionKind, str], RoleLabel] = {}
    for label in labels:
        seen.setdefault((label.head.kind, label.role), label)
    return list(seen.values())


def _counts(atlas: HeadAtlas) -> str:
    """How many heads of each kind have each role."""
    heads = {(label.head, label.role) for label in atlas.labels}
    counts: dict[tuple[AttentionKind, str], int] = {}
    for head, role in heads:
        counts[head.kind, role] = counts.get((head.kind, role), 0) + 1
    parts = [
        f"{KIND_NAMES[kind]}: "
        + ", ".join(f"{role} {number}" for (other, role), number in sorted(counts.items()) if other == kind)
        for kind in ATTENTION_KINDS
        if any(other == kind for other, _ in counts)
    ]
    return f"Heads by role: {'; '.join(parts)}." if parts else ""


def _nearest_miss(atlas: HeadAtlas) -> str:
    """The failing head with the largest positional share, of all criteria that no head passes."""
    passed = {(label.head.kind, label.role) for label in atlas.labels}
    missed = [label for label in atlas.candidates if not label.passes and (label.head.kind, label.role) not in passed]
    if not missed:
        return ""
    label = max(missed, key=lambda label: (label.score - label.null, label.head))
    return (
        f"Of the roles that no head has, {label.role} of {KIND_NAMES[label.head.kind]} comes nearest: {label.head} "
        f"{_phrase(label)} {bounds(label.low, label.high)}, where the rule asks for "
        f"{rule_text(label.rule, atlas.settings.model_dump())}; {_controls(label)}."
    )


def sentence(label: RoleLabel) -> str:
    """One role as a sentence: score with interval, base rate, twins."""
    strength = "clear tendency: " if label.strength == "tendency" else ""
    return f"{label.head}, {strength}{label}: it {_phrase(label)} {bounds(label.low, label.high)}; {_controls(label)}."


def _phrase(label: RoleLabel) -> str:
    return _PHRASES[label.rule].format(score=fixed(label.score))


def _controls(label: RoleLabel) -> str:
    parts = [f"chance {fixed(label.null)}"]
    if np.isfinite(label.control_low):
        parts.append(f"{untrained_twins(label)}, their best head {fixed(label.control_best)}")
    if np.isfinite(label.permuted):
        parts.append(f"permuted weights {fixed(label.permuted)}")
    return "; ".join(parts)


def entropy_sentence(atlas: HeadAtlas) -> str:
    """The most focused head of all kinds, with its twins."""
    cells = [
        (float(metric.point[layer, head]), kind, layer, head)
        for kind in ATTENTION_KINDS
        for metric in (atlas.metric(kind, "entropy"),)
        for layer in range(metric.point.shape[0])
        for head in range(metric.point.shape[1])
    ]
    _, kind, layer, head = min(cells)
    entropy = atlas.metric(kind, "entropy")[layer, head]
    return (
        f"The most focused head is {HeadId(kind, layer, head)}: normalized entropy {with_interval(entropy)}, where 1 is an "
        f"even spread; {untrained_twins(entropy)}."
    )


def _position_sentence(atlas: HeadAtlas) -> str:
    """The self-attention head that its position bias explains best, and how many it explains better than content does."""
    if not atlas.bias:
        enter = "added to the embedding" if atlas.cfg.adds_positions else "which turn queries and keys"
        return (
            "How far a head attends by position and how far by content is not measured: this "
            f"{atlas.cfg.model_type} has positions={atlas.cfg.positions!r}, {enter}, so its scores "
            "are no sum of a position bias and content."
        )
    cells = []
    for kind in ("encoder", "decoder"):
        position, content = (atlas.metric(kind, f"divergence from {part} alone") for part in ("position", "content"))
        cells += [
            (float(position.point[cell]), float(content.point[cell]), HeadId(kind, *map(int, cell)))
            for cell in np.ndindex(*position.point.shape)
        ]
    positional = sum(by_position < by_content for by_position, by_content, _ in cells)
    nearest, other, head = min(cells, key=lambda cell: cell[0] - cell[1])
    return (
        f"{positional} of {len(cells)} self-attention heads are nearer to what their position bias alone would give than to "
        f"what their content scores alone would; the most positional is {head}, with a divergence of {fixed(nearest, 3)} nats "
        f"from position alone and {fixed(other, 3)} from content alone."
    )


def _repeats_sentence(atlas: HeadAtlas) -> str:
    """Why random repeats were not run, if they were not."""
    if fits(atlas.cfg):
        return ""
    return (
        f"Duplicate-token and induction heads are not looked for: their random sequences have up to {LONGEST} tokens, and this "
        f"{atlas.cfg.model_type} has max_positions={atlas.cfg.max_positions}."
    )


def _copying_sentence(atlas: HeadAtlas) -> str:
    """The head whose weights copy most, or why that was not asked."""
    reason = why_no_copying(atlas.cfg)
    if reason is not None and atlas.settings.copying == "all":
        return (
            f"Copying heads are not looked for: this {atlas.cfg.model_type} has {reason}, so what a head adds to the logits is "
            "not one product of its matrices."
        )
    cells = [
        (float(found.score[cell]), HeadId(kind, *map(int, cell)), found, cell)
        for kind, found in atlas.copying.items()
        for cell in np.ndindex(*found.score.shape)
        if np.isfinite(found.score[cell])
    ]
    if not cells:
        return ""
    score, head, found, cell = max(cells, key=lambda item: (item[0], item[1]))
    above = sum(value >= atlas.settings.mass for value, *_ in cells)
    turned = ""
    if np.isfinite(found.null[cell]):
        turned = f"; turned at random {fixed(found.null[cell])}, 95 % of the draws below {fixed(found.null_high[cell])}"
    return (
        f"The weights of {head} copy most: OV eigenvalue score {fixed(score)}, where 1 is a head that raises exactly what it "
        f"reads{turned}; untrained twin {fixed(found.twin_score[cell])}. {above or 'None'} of {len(cells)} decoder and "
        f"cross-attention heads {'reach' if above > 1 else 'reaches'} {atlas.settings.mass:g}.{_hits_in_words(atlas)}"
    )


def _hits_in_words(atlas: HeadAtlas) -> str:
    """How often the heads whose eigenvalues pass really raise what they read."""
    hits = np.concatenate([found.hits[np.isfinite(found.hits)] for found in atlas.copying.values()])
    if not hits.size:
        return ""
    chance = next(iter(atlas.copying.values())).chance
    return (
        f" On real words {'the best of them has' if hits.size > 1 else 'it has'} the token it reads among the five that it "
        f"raises most in {fixed(hits.max())} of the cases (chance {fixed(chance, 4)}; {atlas.settings.mass:g} is asked for)."
    )


def _syntax_sentence(atlas: HeadAtlas) -> str:
    """The relation in which a head gains most over a fixed offset."""
    if not atlas.syntax:
        return ""
    best = atlas.syntax[0]
    count = sum(found.syntactic for found in atlas.syntax)
    twin = f"; best head of an untrained twin {fixed(best.twin_accuracy)}" if np.isfinite(best.twin_accuracy) else ""
    return (
        f"Against gold parses {count or 'none'} of {len(atlas.syntax)} relations and directions has a head whose interval lies "
        f"{100 * atlas.settings.margin:.0f} points above the best fixed offset; the largest gain is "
        f"{best.head} on {best.relation} ({best.direction}): "
        f"{interval(best.accuracy, best.low, best.high)} of {best.pairs} pairs, offset {best.offset:+d} "
        f"{fixed(best.offset_accuracy)}{twin}."
    )


def importance_sentence(atlas: HeadAtlas) -> str:
    """The head that matters most, and whether the measures agree."""
    frame = importance_frame(atlas)
    names = [name for name in frame.columns if name in IMPORTANCE.values()]
    if not names:
        return ""
    name, top = names[0], frame.iloc[0]
    agreed = "; ".join(f"{other}: {fixed(test.statistic)}" for other, test in atlas.agreement.items())
    ranks = f" Rank correlation over all heads of the gradient score with the size of {agreed}." if agreed else ""
    return (
        f"By {name}, {top['head']} (role: {top['role']}) matters most: "
        f"{interval(top[name], top[f'{name} low'], top[f'{name} high'], 3)}; untrained twins "
        f"{between(top[f'{name} twins min'], top[f'{name} twins max'], 3)}.{ranks}{_left_out(atlas, names)}"
    )


def _left_out(atlas: HeadAtlas, names: Sequence[str]) -> str:
    """How many prompts have no other sentence of their task, which mean and resample ablation need."""
    found = [atlas.values["cross"][name] for name in names if name.startswith(("mean", "resample"))]
    missing = int(np.isnan(found[0]).any((1, 2)).sum()) if found else 0
    if not missing:
        return ""
    return (
        f" {missing} of {len(found[0])} prompts share their task prefix with no other sentence of their batch and count in "
        "neither mean nor resample ablation."
    )


def _similarity_sentence(atlas: HeadAtlas) -> str:
    """How clearly the heads of each kind fall into groups."""
    parts = [
        f"{KIND_NAMES[kind]} {int(layout.cluster.max()) + 1} clusters, mean silhouette {fixed(layout.silhouette)}"
        for kind, layout in atlas.maps.items()
        if np.isfinite(layout.silhouette)
    ]
    return f"By how alike they attend, heads form groups: {'; '.join(parts)} (1: apart, 0: none)." if parts else ""
