"""What does a role ask for? One table, which the decision, the report, the method card and `interp heads --help` read.

Every rule speaks of means over independent texts; `{names}` are settings of `HeadSettings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Rule = Literal["share", "mass", "content", "margin", "syntax", "copying", "lift", "odds", "monotone", "translation"]
Strength = Literal["threshold", "tendency"]
"""Whether a role meets its published threshold, or is half of the way there."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One rule.

    Attributes:
        roles: the roles it gives.
        asks: what it asks for.
        chance: what the score would be without the role.
        source: where the threshold was published.
    """

    roles: str
    asks: str
    chance: str
    source: str


RULES: Mapping[Rule, Definition] = MappingProxyType({
    "share": Definition(
        "previous, current, next token, offset",
        "argmax share >= {argmax_share:g}",
        "exchanged rows",
        "Voita et al. 2019",
    ),
    "mass": Definition(
        "previous, current, next token, offset",
        "mass > {mass:g} and odds ratio >= 4",
        "even spread",
        "Clark et al. 2019",
    ),
    "content": Definition(
        "duplicate token, induction, token before a copy",
        "mass on random repeats > {mass:g}",
        "even spread over earlier tokens",
        "[ours]",
    ),
    "margin": Definition("alignment", "1 - AER >= diagonal's + {margin:g}", "the diagonal", "[ours]"),
    "monotone": Definition(
        "monotone", "Kendall's tau of place read and row >= {monotone:g}", "rows in any order", "[ours]"
    ),
    "translation": Definition(
        "translation",
        "aligned word among the 5 most raised in >= {mass:g} of the cases",
        "words of other pairs",
        "[ours]",
    ),
    "syntax": Definition(
        "syntactic", "accuracy >= best offset's + {margin:g}", "best fixed offset", "Voita et al. 2019"
    ),
    "copying": Definition(
        "copying", "hit rate and OV eigenvalue score >= {mass:g}", "matrices turned at random", "[ours]"
    ),
    "lift": Definition(
        "EOS, punctuation, sentinel sink, rare token",
        "mass >= {mass:g} and lift >= {lift:g}",
        "share of the keys",
        "[ours]",
    ),
    "odds": Definition(
        "first-token sink, prefix head", "mass >= {mass:g} and odds ratio >= {lift:g}", "share of the keys", "[ours]"
    ),
})
"""Rule -> its definition, in the order of the tables."""

THRESHOLDS: Mapping[str, float] = MappingProxyType({
    "argmax_share": 0.90,
    "mass": 0.50,
    "lift": 5.0,
    "effect": 0.25,
    "monotone": 0.80,
    "tendency": 0.50,
    "tendency_effect": 0.15,
    "false_discovery_rate": 0.05,
    "stability": 0.90,
    "margin": 0.10,
})
"""Setting -> its default."""

DECISION: Mapping[str, str] = MappingProxyType({
    "rule": "the mean score meets the threshold of its rule; a clear tendency: it comes {tendency:.0%} of the way there",
    "effect": "the attention behind it comes {effect:.0%} of the way from chance to all of it; a tendency: {tendency_effect:.0%}",
    "controls": "its interval lies above the best head of the same kind in every untrained twin",
    "test": "the score is above chance, at a false discovery rate of {false_discovery_rate:g} over all heads and roles",
    "texts": "at least 3 independent texts have rows that tell the role from its rivals",
    "stability": "the rule holds in {stability:.0%} of the bootstrap resamples of texts (97.5 % for sinks and syntax)",
})
"""What must hold at once for a head to have a role."""


def rule_text(rule: Rule, settings: Mapping[str, Any]) -> str:
    """What a rule asks for, with its source.

    Args:
        rule: which.
        settings: `HeadSettings.model_dump()`.
    """
    definition = RULES[rule]
    source = definition.source if definition.source == "[ours]" else f"({definition.source})"
    return f"{definition.asks.format(**settings)} {source}"


def rule_rows(settings: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """The rules as rows of a table: roles, what is asked for, chance, source.

    Args:
        settings: `HeadSettings.model_dump()`.
    """
    return [(one.roles, one.asks.format(**settings), one.chance, one.source) for one in RULES.values()]


def decision_rows(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What must hold at once, as rows of a table.

    Args:
        settings: `HeadSettings.model_dump()`.
    """
    return [(name, text.format(**settings)) for name, text in DECISION.items()]
