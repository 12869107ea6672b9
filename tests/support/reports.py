"""A small report with a block of every kind."""

import numpy as np
import pandas as pd
from markupsafe import Markup

from interp.report import BarChart, Figure, Paragraph, Report, Section, Table, View

BARS = BarChart(("a", "b"), np.array([0.5, -0.25]), None, None, None, "logits")


FRAME = pd.DataFrame({
    "head": [f"XL0H{index}" for index in range(20)],
    "effect": np.linspace(-1, 1, 20),
    "n": range(20),
})
FRAME.loc[1, "effect"] = np.nan


VIEW = View(
    "view",
    "A view",
    Markup('<div id="bertviz-1"></div>\n<script>\nrequirejs(["d3"], function (d3) {});\n</script>'),
    "effects",
)


def section(*blocks, **changes):
    fields = {
        "name": "heads",
        "title": "Heads",
        "question": "Which heads?",
        "findings": ("XL0H1 does 0.62 of the work.",),
        "blocks": blocks,
        "limits": ("Few prompts.",),
    }
    return Section(**{**fields, **changes})


def report(*sections, **changes):
    fields = {
        "title": "A title",
        "question": "A question?",
        "findings": ("A finding.",),
        "command": "interp run heads --seed 0",
        "sections": sections,
        "provenance": (("weights", "ab" * 32),),
        "notes": ("A note.",),
    }
    return Report(**{**fields, **changes})


FULL = report(
    section(
        Paragraph("First.\n\nSecond\nline."),
        Table("effects", "One row a head.", FRAME, rows_shown=3),
        Figure("effects", "The effects.", "XL0H1 does 0.62 of the work, the most of 2.", BARS),
        VIEW,
    )
)
