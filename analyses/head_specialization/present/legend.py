"""Which color and which few letters stand for a role, in every figure, table and card?

Roles come in families of one hue each, because six hues are what readers of any color vision can tell apart; the letters name
the role within its family.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analyses.head_specialization.roles.decide import RoleLabel
from interp.report import Hue


@dataclass(frozen=True, slots=True)
class Family:
    """Roles that share a hue.

    Attributes:
        name: what they have in common.
        hue: their color.
        codes: role -> the letters that stand for it.
    """

    name: str
    hue: Hue
    codes: Mapping[str, str]


FAMILIES = (
    Family(
        "position", "blue", {"previous token": "prev", "current token": "self", "next token": "next", "offset": "±n"}
    ),
    Family(
        "special tokens",
        "orange",
        {
            "EOS sink": "EOS",
            "first-token sink": "1st",
            "prefix head": "pref",
            "punctuation sink": "punc",
            "sentinel sink": "sent",
        },
    ),
    Family(
        "repetition",
        "green",
        {"duplicate token": "dup", "induction": "ind", "token before a copy": "befo", "copying": "copy"},
    ),
    Family(
        "alignment",
        "purple",
        {
            "alignment at the output": "al-o",
            "alignment at the input step": "al-i",
            "monotone": "mono",
            "translation": "tran",
        },
    ),
    Family("rarity", "gold", {"rare token": "rare"}),
    Family("syntax", "sky", {"syntactic": "syn"}),
)
"""Every role there is, in the order of legends."""


def family_of(role: str) -> Family:
    """The family of a role.

    Raises:
        KeyError: if no family has it.
    """
    for family in FAMILIES:
        if role in family.codes:
            return family
    raise KeyError(f"The role {role!r} has no family; give it a hue and letters in `legend.FAMILIES`.")


def hue_of(role: str) -> Hue:
    """The hue of a role."""
    return family_of(role).hue


def code_of(role: str, detail: str = "") -> str:
    """The letters of a role; an offset is its own, a relation its first letters."""
    if role == "offset" and detail:
        return detail
    if role == "syntactic" and detail:
        return detail.split()[0][:5]
    return family_of(role).codes[role]


def hues_of_texts(labels: tuple[RoleLabel, ...], texts: list[str]) -> dict[str, Hue]:
    """The hue of every text that names roles, as tables print them: that of the first role in it."""
    hues = {str(label): hue_of(label.leading) for label in labels}
    return {text: hues[first] for text in texts if (first := text.split(", ")[0]) in hues}
