"""Role labels with their evidence, as a frame: one row a label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.roles.definitions import rule_text
from analyses.head_specialization.settings import HeadSettings


def evidence_frame(labels: Sequence[RoleLabel], settings: HeadSettings) -> pd.DataFrame:
    """One row for every label: rule, score with interval and null, controls, test and stability."""
    thresholds = settings.model_dump()
    columns = {
        "head": [str(label.head) for label in labels],
        "role": [str(label) for label in labels],
        "rule": [rule_text(label.rule, thresholds) for label in labels],
        "strength": [label.strength for label in labels],
        "effect": [label.effect for label in labels],
        "score": [label.score for label in labels],
        "low": [label.low for label in labels],
        "high": [label.high for label in labels],
        "null": [label.null for label in labels],
        "twins mean": [label.control for label in labels],
        "twins min": [label.control_low for label in labels],
        "twins max": [label.control_high for label in labels],
        "best twin": [label.control_best if np.isfinite(label.control_best) else np.nan for label in labels],
        "permuted": [label.permuted for label in labels],
        "shuffled": [label.shuffled for label in labels],
        "adjusted p": [label.p_adjusted for label in labels],
        "stability": [label.stability for label in labels],
    }
    return pd.DataFrame(columns)
