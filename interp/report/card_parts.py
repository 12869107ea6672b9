"""What is a card made of? Small pieces of data; how they look is in `templates/cards.html.jinja`.

They need neither mouse nor script, are made of real text, and cost next to nothing, where a figure takes a third of a second.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from markupsafe import Markup

from interp.report.palette import Hue
from interp.report.visible_text import shown_token

_BESIDE = re.compile(r"(?:[a-z0-9][a-z0-9_-]*/)*[a-z0-9][a-z0-9_-]*\.html(?:#[a-z0-9_-]+)?")
_LONGEST_TOKEN = 24


def leads_beside(address: str) -> bool:
    """Whether an address is that of a page beside this one, which loads nothing by itself.

    Args:
        address: as it stands in a link.
    """
    return _BESIDE.fullmatch(address) is not None


@dataclass(frozen=True, slots=True)
class Token:
    """A tokenizer's piece inside a text or a table, kept apart from the direction of its neighbors.

    Attributes:
        piece: the piece.
        strong: whether it is set in bold.
    """

    piece: str
    strong: bool = False

    @property
    def shown(self) -> str:
        """The piece, at most 24 characters long, a dot for the space."""
        return shown_token(self.piece, _LONGEST_TOKEN)


@dataclass(frozen=True, slots=True)
class Title:
    """The heading of a card.

    Attributes:
        text: the heading.
        tags: what stands beside it, each with its hue or without one.
    """

    text: str
    tags: tuple[tuple[str, Hue | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph of words and tokens.

    Attributes:
        runs: what follows each other.
        small: whether it is set smaller, as captions are.
    """

    runs: tuple[str | Token, ...]
    small: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Links to pages of the same folder, one a line.

    Attributes:
        items: address and text of each.

    Raises:
        ValueError: if an address leads elsewhere.
    """

    items: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        for address, _ in self.items:
            if not leads_beside(address):
                raise ValueError(f"Links lead to pages beside this one, like 'first/index.html'; got {address!r}.")


@dataclass(frozen=True, eq=False)
class TokenStrip:
    """A sentence whose tokens are colored by a signed number each, with the number under it: purple above zero, orange below.

    Attributes:
        pieces: the tokens.
        values: their numbers.
        strongest: the size that gets the full color; the same for all strips that are to be compared.

    Raises:
        ValueError: if there are not as many values as pieces.
    """

    pieces: Sequence[str]
    values: Float[np.ndarray, " token"]
    strongest: float

    def __post_init__(self) -> None:
        if len(self.pieces) != len(self.values):
            raise ValueError(
                f"A TokenStrip needs a value for each of its {len(self.pieces)} pieces, got {len(self.values)}."
            )


@dataclass(frozen=True, slots=True)
class StripLegend:
    """What the colors of token strips mean.

    Attributes:
        strongest: the size that gets the full color.
        unit: of the numbers.
        below: whom a negative number helps.
        above: whom a positive number helps.
    """

    strongest: float
    unit: str
    below: str
    above: str


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Attention weights as a picture of one gray pixel each, black for 1, with words under it: a cell of a table.

    Attributes:
        weights: from 0 to 1.
        name: what is shown, for those who do not see it.
        note: the words.
    """

    weights: Float[np.ndarray, "query key"]
    name: str
    note: str


@dataclass(frozen=True, eq=False)
class PatternPicture:
    """Attention weights with their tokens: rows attend to columns; the darker, the larger the weight, which is in a tooltip.

    Attributes:
        weights: from 0 to 1; those below one in fifty are not drawn.
        queries: tokens of the rows.
        keys: tokens of the columns.
        hue: the color.
        label: what it shows, for those who do not see it; the largest weight is added.
        title: a word above it, if any.
    """

    weights: Float[np.ndarray, "query key"]
    queries: Sequence[str]
    keys: Sequence[str]
    hue: Hue
    label: str
    title: str = ""


CellContent = str | Token | Thumbnail


@dataclass(frozen=True, slots=True)
class SmallTable:
    """A table of a few texts, without a file of its own; the first cell of every row is its heading.

    Attributes:
        caption: what a row is.
        columns: headings.
        rows: cells; without rows nothing is shown.
        numeric: whether all but the first column hold numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[CellContent]]
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """A picture with tables at its side, or above them where there is little room.

    Attributes:
        picture: the picture.
        tables: the tables, below each other.
    """

    picture: PatternPicture
    tables: tuple[SmallTable, ...]


@dataclass(frozen=True, slots=True)
class Tinted:
    """A cell of a `TintedTable`.

    Attributes:
        text: a few letters; empty for an empty cell.
        hue: its color; None leaves it white.
        strength: from 0 to 1, how dark.
        title: what it says in words, for a tooltip.
    """

    text: str
    hue: Hue | None = None
    strength: float = 0.0
    title: str = ""


@dataclass(frozen=True, slots=True)
class TintedTable:
    """A narrow table of colored cells with a few letters each: rows over moments, say.

    Attributes:
        caption: what a row and a column is.
        columns: headings; that of the rows first.
        rows: heading and cells.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Tinted]]]


@dataclass(frozen=True, eq=False)
class PanelLine:
    """A line of a `LinePanel`.

    Attributes:
        label: what it shows.
        y: its values; NaN leaves a gap.
        hue: its color.
        strong: where it is drawn thick; nowhere if None.
    """

    label: str
    y: Float[np.ndarray, " moment"]
    hue: Hue
    strong: Bool[np.ndarray, " moment"] | None = None


@dataclass(frozen=True, eq=False)
class LinePanel:
    """A small chart.

    Attributes:
        title: its heading.
        lines: what it shows.
        mark: a moment that is marked by an upright line, counted from 0; None for none.
    """

    title: str
    lines: tuple[PanelLine, ...]
    mark: int | None = None


@dataclass(frozen=True, eq=False)
class LinePanels:
    """Small multiples: charts with the same axes, as many in a row as a layer has heads where there is room.

    Attributes:
        panels: the charts, row by row.
        columns: charts of one row.
        x: positions of the moments, ascending.
        x_names: what the first and the last moment are called.
        lower: lower end of the axes.
        upper: upper end.
        label: what is shown, for those who do not see it.
    """

    panels: tuple[LinePanel, ...]
    columns: int
    x: Float[np.ndarray, " moment"]
    x_names: tuple[str, str]
    lower: float
    upper: float
    label: str


_Text = Title | Line | Links | TokenStrip | StripLegend | SmallTable | TintedTable | Markup
Part = _Text | PatternPicture | Beside | LinePanels
"""What a card may hold. `Markup` is trusted: no script, no address outside the page."""
