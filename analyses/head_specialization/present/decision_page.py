"""The page that follows one head from its patterns to the verdict, with every number."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from analyses.head_specialization.present.cards import card
from analyses.head_specialization.roles.decide import LEAST_TEXTS
from analyses.head_specialization.roles.definitions import DECISION, RULES, rule_text
from analyses.head_specialization.roles.walkthrough import Walkthrough
from analyses.head_specialization.summary import HeadAtlas
from interp.report import Block, Page, Paragraph, Table
from interp.report.numbers import fixed, significant

PAGE = "how-a-role-is-decided"


def decision_page(atlas: HeadAtlas) -> Page | None:
    """How one verdict comes about; None where nothing was judged."""
    followed = atlas.walkthrough
    if followed is None:
        return None
    label = followed.label
    outcome = f"it has the role ({_STRENGTH[label.strength]})" if label.passes else "it does not have the role"
    lead = f"{label.head} and the role {label}: {outcome}. Every step from its attention to this verdict, with its numbers."
    return Page(PAGE, "How a role is decided", lead, tuple(_blocks(atlas, followed)))


_STRENGTH = {"threshold": "at the published threshold", "tendency": "as a clear tendency"}


def _blocks(atlas: HeadAtlas, followed: Walkthrough) -> Iterator[Block]:
    label, settings = followed.label, atlas.settings.model_dump()
    if label.head in atlas.specimens:
        yield Paragraph("First, where the head looks: its attention on one prompt, and its numbers over all.")
        yield replace(card(atlas, label.head), name="decided-head")
    yield Paragraph(
        f"Then a score for every independent text: {followed.n_texts} of {len(followed.scores)} have rows that tell it from "
        f"its rivals. The rule is: {rule_text(label.rule, settings)}; chance is {RULES[label.rule].chance}."
    )
    texts = pd.DataFrame({
        "text": np.arange(1, len(followed.scores) + 1),
        "score": followed.scores.astype(np.float64),
        "chance": followed.nulls.astype(np.float64),
    }).dropna()
    yield Table("role-decision-texts", f"Score of {label.head} for {label}, text by text.", texts, rows_shown=10)
    yield Paragraph(
        "Last, the six conditions. All must hold at once for a role at its threshold, or at the level of a tendency."
    )
    yield Table(
        "role-decision-steps", "The conditions, in the order in which they are read.", steps_frame(atlas, followed)
    )


def steps_frame(atlas: HeadAtlas, followed: Walkthrough) -> pd.DataFrame:
    """Every condition of a verdict: what is asked for, what was found, and whether it holds."""
    label, settings = followed.label, atlas.settings
    needs_threshold = label.strength == "threshold"
    floor = settings.effect if needs_threshold else settings.tendency_effect
    goal = followed.goal if needs_threshold else followed.near_goal
    twins = np.isfinite(label.control_best)
    found = {
        "texts": (f"at least {LEAST_TEXTS}", str(followed.n_texts), followed.n_texts >= LEAST_TEXTS),
        "rule": (
            f"score of at least {fixed(goal, 3)}",
            f"{fixed(label.score, 3)}, chance {fixed(label.null, 3)}",
            label.holds,
        ),
        "effect": (f"at least {fixed(floor)}", fixed(label.effect, 3), label.effect >= floor),
        "controls": (
            f"interval above {fixed(label.control_best, 3)}" if twins else "no twins were run",
            f"{fixed(label.low, 3)} to {fixed(label.high, 3)}",
            not twins or label.low > label.control_best,
        ),
        "test": (
            f"adjusted p of at most {settings.false_discovery_rate:g}",
            significant(label.p_adjusted),
            label.p_adjusted <= settings.false_discovery_rate,
        ),
        "stability": (
            f"at least {label.needed:.1%} of the resamples",
            f"{label.stability:.1%}",
            label.stability >= label.needed,
        ),
    }
    meaning = {name: text.format(**settings.model_dump()) for name, text in DECISION.items()}
    return pd.DataFrame([
        {"condition": name, "meaning": meaning[name], "asked": asks, "found": value, "holds": "yes" if holds else "no"}
        for name, (asks, value, holds) in found.items()
    ])
