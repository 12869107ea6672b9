"""Presenting what patching did: sentences, heads by effect, a table with the control, and a page with the pairs."""

import numpy as np
import pandas as pd

from analyses.logit_attribution.activation_patching import NoPatching, Patching
from interp.axes import AttentionKind
from interp.report import Block, Figure, Heatmap, Page, Panel, Span, Table
from interp.report.numbers import interval, number, with_interval
from interp.statistics import Interval, falling_order, largest

PATCHING_LIMITS = (
    "Patching tells what moving one activation does on short sentences of our own that differ in a single word, with the "
    "answer's prefix given; sites that make up for each other show small effects one at a time, and effects need not add up "
    "to 1. An effect above 1 or below 0 is possible.",
)

_KINDS: dict[AttentionKind, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}


def patching_findings(found: Patching | NoPatching) -> tuple[str, ...]:
    """How many pairs flip, which head restores and which is needed most, and how good the approximations are."""
    if isinstance(found, NoPatching) and not found.candidates:
        return (
            "Minimal pairs are not asked of this model: the bundled ones are to be translated, and none of the prompts asks for "
            "a translation out of and into their languages.",
        )
    if isinstance(found, NoPatching):
        return (
            f"Of {found.candidates} bundled minimal pairs only {found.flipping} flip this model's answer, too few to patch on.",
        )
    restores, needed = (largest(shares.point)[0] for shares in (found.denoise, found.noise))
    gradient, integrated = (interval(point, low, high, 3, number) for point, low, high in found.correlation)
    return (
        f"{sum(found.flips)} of {len(found.flips)} bundled minimal pairs flip this model's answer ({_by_kind(found)}). On "
        f"{sum(found.used)} of them, every site by itself was moved between the clean and the corrupted run: the clean "
        f"activation that restores most of the answer's lead is that of {found.sites[restores]}, "
        f"{_share(found.denoise, restores)} of it (the clean activation of another pair {_share(found.control, restores)}), "
        f"and the one whose corruption costs most is that of {found.sites[needed]}, {_share(found.noise, needed)}.",
        "Attribution patching, which needs one gradient instead of a run for every site, correlates with the exact effect over "
        f"{len(found.sites)} sites at {gradient}, its integrated variant at {integrated}.",
    )


def _share(shares: Interval, site: int) -> str:
    return with_interval(shares[site], write=number)


def _by_kind(found: Patching) -> str:
    kinds = dict.fromkeys(pair.kind for pair in found.candidates)
    parts = []
    for kind in kinds:
        flips = [flips for pair, flips in zip(found.candidates, found.flips, strict=True) if pair.kind == kind]
        parts.append(f"{kind} {sum(flips)} of {len(flips)}")
    return ", ".join(parts)


def patching_blocks(found: Patching | NoPatching) -> tuple[Block, ...]:
    """Heatmap of heads, and the table of all sites."""
    if isinstance(found, NoPatching):
        return ()
    figure = _heads_figure(found)
    return (*([figure] if figure else []), _table(found))


def patching_frame(found: Patching) -> pd.DataFrame:
    """One row a site, the one that restores most first."""
    columns: dict[str, object] = {"site": found.sites}
    for name, shares in (
        ("denoising", found.denoise),
        ("noising", found.noise),
        ("another pair", found.control),
        ("attribution patching", found.gradient),
        ("integrated", found.integrated),
    ):
        columns |= {name: shares.point, f"{name}: low": shares.low, f"{name}: high": shares.high}
    order = falling_order(found.denoise.point)
    return pd.DataFrame(columns).iloc[order].reset_index(drop=True)


def _table(found: Patching) -> Table:
    drawn = ("denoising", "noising", "another pair", "attribution patching", "integrated")
    return Table(
        name="logit-attribution-patching",
        caption=(
            f"Every site patched by itself on {sum(found.used)} minimal pairs, the one that restores most first, as shares of "
            f"the answer's lead (ratio of means over pairs; mean lead {number(float(found.lead.mean()))} logits) with 95 % "
            "bootstrap intervals: denoising restores the clean activation in the corrupted run, noising corrupts it in the clean "
            "run; control: the clean activation of the next pair, often one of the same kind. Attribution patching approximates "
            "denoising."
        ),
        frame=patching_frame(found),
        rows_shown=12,
        columns_shown=("site", *drawn),
        spans=tuple(Span.of(name, f"{name}: ", controls=()) for name in drawn),
    )


def _heads_figure(found: Patching) -> Figure | None:
    """Layer by head for every kind of head that was patched; None if other sites were."""
    panels = []
    for kind, title in _KINDS.items():
        heads = {head: site for site, head in enumerate(found.heads) if head is not None and head.kind == kind}
        if not heads:
            continue
        values = np.full((max(head.layer for head in heads) + 1, max(head.head for head in heads) + 1), np.nan)
        for head, site in heads.items():
            values[head.layer, head.head] = found.denoise.point[site]
        layers, columns = (tuple(map(str, range(size))) for size in values.shape)
        panels.append(Panel(title, values, layers, columns, row_axis="layer", column_axis="head"))
    if not panels:
        return None
    best = largest(found.denoise.point)[0]
    return Figure(
        name="logit-attribution-patching",
        caption=(
            "How much of the answer's lead on minimal pairs the clean z of one head restores in the corrupted run (1: all of "
            "it): purple restores, orange takes away."
        ),
        alt=(
            f"Heatmaps of denoising effects of every head; {found.sites[best]} restores most, {_share(found.denoise, best)} "
            "of the lead."
        ),
        chart=Heatmap(panels=tuple(panels), color_label="share of the lead restored", center=0.0),
    )


def patching_pages(found: Patching | NoPatching) -> tuple[Page, ...]:
    """The pairs, and which of them flip."""
    if isinstance(found, NoPatching):
        return ()
    leads = iter(found.lead)
    frame = pd.DataFrame({
        "pair": [pair.id for pair in found.candidates],
        "differs in": [pair.kind for pair in found.candidates],
        "clean": [pair.clean for pair in found.candidates],
        "corrupted": [pair.corrupted for pair in found.candidates],
        "flips the answer": ["yes" if flips else "no" for flips in found.flips],
        "lead (logits)": [float(next(leads)) if used else np.nan for used in found.used],
    })
    caption = "The bundled minimal pairs; those with a lead (clean less corrupted) were patched."
    return (
        Page(
            name="minimal-pairs",
            title="Minimal pairs",
            lead="Pairs of sentences that differ in one word, and whether this model answers them differently.",
            blocks=(Table("logit-attribution-pairs", caption, frame, rows_shown=None),),
        ),
    )
