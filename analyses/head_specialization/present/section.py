"""The section of the head atlas: figures of roles, tables, and pages of cards; its sentences are in `wording`."""

from collections.abc import Iterator

import pandas as pd

from analyses.head_specialization.measure.copy_hits import why_no_copying
from analyses.head_specialization.measure.relations import syntax_frame
from analyses.head_specialization.present.cards import cards_page
from analyses.head_specialization.present.decision_page import decision_page
from analyses.head_specialization.present.figures import atlas_figure, bias_figures, map_figure, metric_figures
from analyses.head_specialization.present.glance import headline, highlights
from analyses.head_specialization.present.legend import hue_of, hues_of_texts
from analyses.head_specialization.present.notes import head_notes
from analyses.head_specialization.present.tables import (
    candidates_frame,
    copying_frame,
    heads_frame,
    labels_frame,
    overview_frame,
    shown_metrics,
)
from analyses.head_specialization.present.wording import findings
from analyses.head_specialization.roles.definitions import decision_rows, rule_rows
from analyses.head_specialization.summary import HeadAtlas
from interp.attribution.components import VALUE_BIAS, source_components
from interp.axes import ATTENTION_KINDS
from interp.report import Block, Hue, Page, Paragraph, Section, Span, Table, View
from interp.report.views import KIND_NAMES, AttentionPatterns, head_view, model_view

_TWINS = ("twins min", "twins max")

LIMITS = (
    "A role is a description of where a head looked on these prompts, not of what it is for; ablation and attribution say that.",
    "Attention weights need not be importance: with more keys than a head is wide they are not even identifiable (Jain and "
    "Wallace 2019; Wiegreffe and Pinter 2019; Brunner et al. 2020).",
    "Mass on end-of-sentence or on the start token may be a way to attend to nothing: values there are often small (Kobayashi et "
    "al. 2020).",
    "A lift of 5 is out of reach where a category is more than a fifth of the keys, such as end-of-sentence in sources of fewer "
    "than five tokens: no such head can be called a sink there.",
    "Duplicate-token and induction heads are looked for on random tokens, far from the text the model was trained on: a head "
    "that copies only in real text is missed, and one that copies random tokens need not do so in real text.",
    "Untrained twins attend almost evenly, so they are an easy control; base rates and the exchange of rows are the harder ones.",
    "The nearest role of a head without one is no finding: the rule does not hold, and the number says how far it is from it.",
)

_SHARED_BIAS = (
    "Heads of equal index share one position bias in every layer of a stack of T5, so equal positional scores across layers are "
    "not independent findings."
)
_VALUE_BIASES = (
    "Values have biases in this family, so a head writes something whatever it attends to: value norms hold that bias, and zero "
    "ablation removes it too."
)


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
            *(atlas_figure(atlas, kind) for kind in ATTENTION_KINDS),
            *_role_tables(atlas),
            *_evidence_tables(atlas),
            *metric_figures(atlas),
            *bias_figures(atlas),
            *(map_figure(atlas, kind) for kind in atlas.maps),
            *_head_tables(atlas),
        ),
        limits=_limits(atlas),
        pages=tuple(page for page in (cards_page(atlas), decision_page(atlas), _views_page(atlas)) if page is not None),
        cites=("voita2019", "clark2019", "vigbelinkov2019", "michel2019", "elhage2021", "olsson2022"),
        heads=head_notes(atlas),
        headline=headline(atlas),
        highlights=highlights(atlas),
        methods=tuple(_method(atlas).split("\n\n")),
    )


def _limits(atlas: HeadAtlas) -> tuple[str, ...]:
    """What holds everywhere, and what holds in this family, before the last."""
    own = ((_SHARED_BIAS,) if atlas.bias else ()) + (
        (_VALUE_BIASES,) if VALUE_BIAS in source_components(atlas.cfg) else ()
    )
    return (*LIMITS[:-1], *own, LIMITS[-1])


def _method(atlas: HeadAtlas) -> str:
    settings = atlas.settings.model_dump()
    texts = ", ".join(f"{KIND_NAMES[kind]} {count}" for kind, count in atlas.texts.items())
    needed = "; ".join(f"{name}: {text}" for name, text in decision_rows(settings))
    rules = "; ".join(
        f"{roles}: {asks} over {chance} ({source})" for roles, asks, chance, source in rule_rows(settings)
    )
    copying = "" if why_no_copying(atlas.cfg) is None else " Copying is not judged on this model."
    return (
        f"Numbers are means over rows within a prompt, then over independent texts: prompts of one sentence, or with one text "
        f"to read, count once ({texts}). Padding and the decoder's first row, which can only attend to the start token, are left "
        f"out. Intervals are 95 % bootstrap-t intervals over these texts ({settings['resamples']} resamples), below six texts "
        f"their range. A base rate is what an even spread over the legal keys would give; lift is mass over base rate.\n\n"
        f"A head has a role if all of this holds. {needed}.\n\nRules. {rules}.{copying} A role is judged on the rows that can "
        f"tell it from its rivals: offsets where the key there is no sink, sinks where none is within one step. Several "
        f"tendencies of one head are one mixture. One page shows how one verdict comes about."
    )


def _role_tables(atlas: HeadAtlas) -> Iterator[Block]:
    labels = labels_frame(atlas)
    if len(labels):
        yield Table(
            name="head-roles",
            caption=(
                "Every role that a head has, those at the published threshold first. Strength: threshold, or clear tendency; "
                "effect: the attention behind the score, from chance (0) to all of it (1). Score is what the rule speaks about, "
                "with its 95 % interval; null is the exchange of rows (argmax share) or the base rate (mass); twins: the same "
                "head, untrained; best twin: the best head of any twin, which the interval must exceed; permuted: with the "
                "entries of its weights permuted; shuffled: on the same tokens in random order."
            ),
            frame=labels,
            rows_shown=20,
            columns_shown=("head", "role", "rule", "strength", "effect", "score", "null", "stability"),
            spans=(Span.of("score", "", _TWINS), Span("effect"), Span("stability")),
            hues=hues_of_texts(atlas.labels, list(labels["role"])),
        )
    else:
        yield Paragraph(
            "No head has a role at these thresholds. What follows shows how near each one comes; near is not a finding."
        )
    overview = overview_frame(atlas)
    yield Table(
        name="head-overview",
        caption=(
            "Head × role × importance, every head. Nearest is the role a head has or comes nearest to; "
            "strength: how far its score lies from chance (0) to always (1). Gradient importance is Michel's score; ablations "
            "give the change without the head (positive for a loss, negative for a logit difference: the head helps); each "
            "beside the same head, untrained. Clusters are those of the maps."
        ),
        frame=overview,
        rows_shown=None,
        columns_shown=tuple(name for name in overview.columns if name not in {"progress", "chance"}),
        spans=(Span("score"), Span("strength")),
        hues=_overview_hues(atlas, overview),
    )


def _overview_hues(atlas: HeadAtlas, frame: pd.DataFrame) -> dict[str, Hue]:
    """Roles and nearest roles in the colors of the atlas."""
    nearest = {
        f"{role} {detail}".strip(): hue_of(role)
        for found in atlas.nearest.values()
        for roles, details in zip(found.role, found.detail, strict=True)
        for role, detail in zip(roles, details, strict=True)
        if role
    }
    return nearest | hues_of_texts(atlas.labels, list(frame["role"]))


def _evidence_tables(atlas: HeadAtlas) -> Iterator[Block]:
    candidates = candidates_frame(atlas)
    shown = ("best of", "role", "head", "passes", "score", "null", "stability", "p above null")
    yield Table(
        name="head-role-candidates",
        caption=(
            "For every role and rule the head that comes nearest, whether it passes or not; stability is the share of bootstrap "
            "resamples of the prompts in which the rule holds; p above null is that of the claim that some head of this kind "
            "scores above its null at all, by the largest statistic over heads under sign flips of texts."
        ),
        frame=candidates,
        columns_shown=shown,
        spans=(Span.of("score", "", _TWINS), Span("stability")),
        hues=hues_of_texts(atlas.candidates, list(candidates["role"])),
    )
    copying = copying_frame(atlas)
    if len(copying):
        yield Table(
            name="head-copying",
            caption=(
                "Copying from weights: the score of the OV circuit's eigenvalues, 1 if every token raises itself (Elhage et al. "
                "2021), beside the same matrices turned at random (drawn only where the score could pass) and an untrained "
                "twin; hit rate: how often the token a head reads is among the five it raises most, on real words."
            ),
            frame=copying,
            spans=(Span("hit rate"),),
        )
    if atlas.syntax:
        yield Table(
            name="head-syntax",
            caption=(
                "Syntactic relations of the gold parses: the head that finds the related word most often, chosen on one half of "
                "the sentences and estimated on the other, beside the best fixed offset chosen the same way (Voita et al. 2019)."
            ),
            frame=syntax_frame(atlas.syntax),
            rows_shown=20,
        )


def _head_tables(atlas: HeadAtlas) -> Iterator[Block]:
    for kind in ATTENTION_KINDS:
        frame = heads_frame(atlas, kind)
        yield Table(
            name=f"heads-{kind}",
            caption=(
                f"Every head of {KIND_NAMES[kind]}: heads with a role first, then by how far their entropy lies below that of "
                "the untrained twins. The CSV has base rates, lifts and more metrics."
            ),
            frame=frame,
            columns_shown=("head", "role", *shown_metrics(atlas, kind)),
            spans=tuple(Span.of(name, controls=_TWINS) for name in shown_metrics(atlas, kind)),
            hues=hues_of_texts(atlas.labels, list(frame["role"])),
        )


def _views_page(atlas: HeadAtlas) -> Page:
    return Page(
        "head-views",
        f"BertViz views of prompt {atlas.example_id}",
        "All heads of one prompt as BertViz draws them (Vig 2019); the page to explore shows every prompt.",
        tuple(_views(atlas)),
    )


def _views(atlas: HeadAtlas) -> Iterator[Block]:
    patterns = AttentionPatterns(
        encoder=atlas.example["pattern.encoder"],
        decoder=atlas.example["pattern.decoder"],
        cross=atlas.example["pattern.cross"],
        source_tokens=atlas.source_pieces,
        target_tokens=atlas.decoder_pieces,
    )
    instead = (
        "Without either, the prompts' own pages show every head, and the cards show single heads with their tokens."
    )
    for kind in ATTENTION_KINDS:
        title = f"{KIND_NAMES[kind].capitalize()} of prompt {atlas.example_id}"
        yield View(f"head-view-{kind}", f"{title}: head view", head_view(patterns, kind), instead)
        yield View(f"model-view-{kind}", f"{title}: model view", model_view(patterns, kind), instead)
