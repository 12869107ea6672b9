"""The section of the head atlas: sentences with numbers, tables, heatmaps, and the patterns of one prompt."""

from collections.abc import Iterator

import numpy as np

from analyses.head_specialization.drawings import atlas_figure, bias_figures, example_figure, map_figure, metric_figures
from analyses.head_specialization.roles import RoleLabel
from analyses.head_specialization.summary import HeadAtlas
from analyses.head_specialization.tables import (
    RULES,
    candidates_frame,
    heads_frame,
    importance_frame,
    labels_frame,
    shown_columns,
)
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.names import HeadId
from interp.report import Block, Paragraph, Section, Table, View
from interp.views import AttentionPatterns, head_view, model_view

KIND_NAMES: dict[AttentionKind, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}

_MOST_SENTENCES = 8

LIMITS = (
    "A role is a description of where a head looked on these prompts, not of what it is for; ablation and attribution say that.",
    "Attention weights need not be importance: with more keys than d_head they are not even identifiable (Jain and Wallace 2019; "
    "Wiegreffe and Pinter 2019; Brunner et al. 2020).",
    "Mass on end-of-sentence or on the start token may be a way to attend to nothing: values there are often small (Kobayashi et "
    "al. 2020).",
    "A lift of 5 is out of reach where a category is more than a fifth of the keys, such as end-of-sentence in sources of fewer "
    "than five tokens: no such head can be called a sink there.",
    "Duplicate-token and induction heads are looked for on random tokens, far from the text the model was trained on: a head "
    "that copies only in real text is missed, and one that copies random tokens need not do so in real text.",
    "Untrained twins attend almost evenly, so they are an easy control; base rates and the exchange of rows are the harder ones.",
    "Heads of equal index share one position bias in every layer of a stack of T5, so equal positional scores across layers are "
    "not independent findings.",
)


def _has_marks(atlas: HeadAtlas, kind: AttentionKind) -> bool:
    """Whether any head of a kind has a role or almost one; an atlas of none shows nothing."""
    return any(label.head.kind == kind for label in (*atlas.labels, *atlas.uncertain))


def present(atlas: HeadAtlas) -> Section:
    """The section of one run."""
    return Section(
        name="head-specialization",
        title="What each attention head does",
        question=(
            "Which heads attend by position, which to special tokens, and which do nothing that an untrained head would not?"
        ),
        findings=findings(atlas),
        blocks=(
            Paragraph(_method(atlas)),
            *(atlas_figure(atlas, kind) for kind in ATTENTION_KINDS if _has_marks(atlas, kind)),
            *_tables(atlas),
            *metric_figures(atlas),
            *bias_figures(atlas),
            *(map_figure(atlas, kind) for kind in atlas.maps),
            *_views(atlas),
        ),
        limits=LIMITS,
    )


def findings(atlas: HeadAtlas) -> tuple[str, ...]:
    """What was found, in sentences that carry the numbers: a count first, then the strongest roles."""
    labelled = len({label.head for label in atlas.labels})
    untrained = sum(atlas.twin_labels)
    count = atlas.heads * len(atlas.twin_labels)
    verb = "have" if labelled != 1 else "has"
    summary = (
        f"{labelled or 'None'} of {atlas.heads} heads {verb if labelled else 'has'} a role that passes its threshold, the "
        f"correction for all heads and roles, and the bootstrap over {atlas.prompts} prompts; of {count} heads of "
        f"{len(atlas.twin_labels)} untrained twins, {untrained or 'none'} {'do' if untrained != 1 else 'does'}."
    )
    by_score = sorted(atlas.labels, key=lambda label: (-label.score, label.head))
    strongest = _strongest_of_each(by_score)[:_MOST_SENTENCES]
    sentences = [summary, _counts(atlas), *(sentence(label) for label in strongest), _nearest_miss(atlas)]
    sentences += [_entropy_sentence(atlas), _position_sentence(atlas), _importance_sentence(atlas)]
    return tuple(text for text in sentences if text)


def _strongest_of_each(labels: list[RoleLabel]) -> list[RoleLabel]:
    """The first label of every kind and role."""
    seen: dict[tuple[AttentionKind, str], RoleLabel] = {}
    for label in labels:
        seen.setdefault((label.head.kind, label.role), label)
    return list(seen.values())


def _counts(atlas: HeadAtlas) -> str:
    """How many heads of each kind have each role."""
    counts: dict[tuple[AttentionKind, str], int] = {}
    for label in atlas.labels:
        key = (label.head.kind, label.role)
        counts[key] = counts.get(key, 0) + 1
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
    rule = RULES[label.rule].format(**atlas.settings.model_dump())
    return (
        f"Of the roles that no head has, {label.role} of {KIND_NAMES[label.head.kind]} comes nearest: {label.head} "
        f"{_phrase(label)} [{label.low:.2f}, {label.high:.2f}], where the rule asks for {rule}; chance {label.null:.2f}; "
        f"untrained twins {label.control_low:.2f} to {label.control_high:.2f}."
    )


_PHRASES = {
    "share": "has its strongest weight there in {score:.2f} of the rows",
    "mass": "puts {score:.2f} of its attention there",
    "content": "puts {score:.2f} of its attention there on random repeated sequences",
    "margin": "has an agreement (1 - AER) of {score:.2f} with the gold links",
    "lift": "puts {score:.2f} of its attention there",
    "odds": "puts {score:.2f} of its attention there",
}


def sentence(label: RoleLabel) -> str:
    """One role as a sentence: score with interval, base rate, twins."""
    return (
        f"{label.head}, {label}: it {_phrase(label)} [{label.low:.2f}, {label.high:.2f}]; "
        f"chance {label.null:.2f}; untrained twins {label.control_low:.2f} to {label.control_high:.2f}."
    )


def _phrase(label: RoleLabel) -> str:
    return _PHRASES[label.rule].format(score=label.score)


def _entropy_sentence(atlas: HeadAtlas) -> str:
    """The most focused head of all kinds, with its twins."""
    cells = [
        (float(metric.point[layer, head]), kind, layer, head)
        for kind in ATTENTION_KINDS
        for metric in (atlas.metric(kind, "entropy"),)
        for layer in range(metric.point.shape[0])
        for head in range(metric.point.shape[1])
    ]
    value, kind, layer, head = min(cells)
    metric = atlas.metric(kind, "entropy")
    return (
        f"The most focused head is {HeadId(kind, layer, head)}: normalised entropy {value:.2f} "
        f"[{metric.low[layer, head]:.2f}, {metric.high[layer, head]:.2f}], where 1 is an even spread; "
        f"untrained twins {metric.control_low[layer, head]:.2f} to {metric.control_high[layer, head]:.2f}."
    )


def _position_sentence(atlas: HeadAtlas) -> str:
    """The self-attention head that its position bias explains best, and how many it explains better than content does."""
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
        f"what their content scores alone would; the most positional is {head}, with a divergence of {nearest:.3f} nats from "
        f"position alone and {other:.3f} from content alone."
    )


def _importance_sentence(atlas: HeadAtlas) -> str:
    """The head that matters most, and whether the measures agree."""
    frame = importance_frame(atlas)
    if not len(frame):
        return ""
    name = frame.columns[2]
    top = frame.iloc[0]
    agreed = "; ".join(f"{other}: {test.statistic:.2f}" for other, test in atlas.agreement.items())
    ranks = f" Rank correlation over all heads of the gradient score with the size of {agreed}." if agreed else ""
    return (
        f"By {name}, {top['head']} (role: {top['role']}) matters most: {top[name]:.3f} [{top[f'{name} low']:.3f}, "
        f"{top[f'{name} high']:.3f}]; untrained twins {top[f'{name} twins min']:.3f} to {top[f'{name} twins max']:.3f}.{ranks}"
    )


def _method(atlas: HeadAtlas) -> str:
    settings = atlas.settings
    return (
        f"Numbers are means over {atlas.prompts} prompts of means over rows within a prompt; padding and the decoder's first "
        f"row, which can only attend to the start token, are left out. Intervals are 95 % bootstrap intervals over prompts "
        f"({settings.resamples} resamples). A base rate is what an even spread over the legal keys would give; lift is mass over "
        f"base rate.\n\n"
        f"Roles: positional if the strongest key lies at one offset in at least {settings.argmax_share:g} of the rows (Voita "
        f"et al. 2019) or more than {settings.mass:g} of the mass does (Clark et al. 2019, for the previous and next token; "
        f"extended to other offsets by us); sinks [ours] if at least {settings.mass:g} of the mass lies on the category and "
        f"at least {settings.lift:g} times its base rate (of prefix and first token, whose base rates are large: "
        f"{settings.lift:g} times its odds). Duplicate-token and induction heads [ours] if more than {settings.mass:g} of "
        f"the mass, on random sequences repeated with random periods, lies on other copies of the token or on what followed "
        f"them. Every role also needs a one-sided t-test against its null with false discovery rate "
        f"{settings.false_discovery_rate:g} over all heads and roles, and the same verdict in {settings.stability:.0%} of the "
        f"resamples (97.5 % for sinks)."
    )


def _tables(atlas: HeadAtlas) -> Iterator[Block]:
    labels = labels_frame(atlas)
    if len(labels):
        yield Table(
            name="head-roles",
            caption=(
                "Every role that a head has, the strongest first. Score is what the rule speaks about, with its 95 % interval; "
                "null is the exchange of rows (argmax share) or the base rate (mass); twins: the same head, untrained."
            ),
            frame=labels,
            rows_shown=20,
        )
    else:
        yield Paragraph("No head has a role at these thresholds.")
    yield Table(
        name="head-role-candidates",
        caption=(
            "For every role and rule the head that comes nearest, whether it passes or not; stability is the share of bootstrap "
            "resamples of the prompts in which the rule holds; p above null is that of the claim that some head of this kind "
            "scores above its null at all, by the largest statistic over heads under sign flips of prompts."
        ),
        frame=candidates_frame(atlas),
        columns_shown=(
            "best of",
            "role",
            "head",
            "passes",
            "score",
            "low",
            "high",
            "null",
            "twins mean",
            "stability",
            "p above null",
        ),
    )
    important = importance_frame(atlas)
    if len(important):
        yield Table(
            name="head-importance",
            caption=(
                "Every head with its role and what is lost without it: Michel's gradient score, and the change that "
                "ablation makes (positive for a loss, negative for a logit difference: the head helps)."
            ),
            frame=important,
            rows_shown=20,
            columns_shown=tuple(
                name for name in important.columns if not name.endswith((" low", " high", " min", " max"))
            ),
        )
    for kind in ATTENTION_KINDS:
        yield Table(
            name=f"heads-{kind}",
            caption=(
                f"Every head of {KIND_NAMES[kind]}: heads with a role first, then by how far their entropy lies below that of "
                "the untrained twins. The CSV has intervals, base rates, lifts, ranges of the twins and more metrics."
            ),
            frame=heads_frame(atlas, kind),
            columns_shown=shown_columns(atlas, kind),
        )


def _views(atlas: HeadAtlas) -> Iterator[Block]:
    patterns = AttentionPatterns(
        encoder=atlas.example["pattern.encoder"],
        decoder=atlas.example["pattern.decoder"],
        cross=atlas.example["pattern.cross"],
        source_tokens=atlas.source_pieces,
        target_tokens=atlas.decoder_pieces,
    )
    for kind in ATTENTION_KINDS:
        figure = example_figure(atlas, kind)
        yield figure
        title = f"{KIND_NAMES[kind].capitalize()} of prompt {atlas.example_id}"
        yield View(f"head-view-{kind}", f"{title}: head view", head_view(patterns, kind), figure.name)
        yield View(f"model-view-{kind}", f"{title}: model view", model_view(patterns, kind), figure.name)
