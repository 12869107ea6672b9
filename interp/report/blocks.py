"""What is a report made of?

Frozen blocks that say what is shown and nothing about how it looks; `report.py` puts them together, `page.py` makes files of it.

Each of them refuses, with a `ValueError`, a name that cannot be a file's and a text or list of sentences that is empty.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from markupsafe import Markup

from interp.report.card_parts import Part, leads_beside
from interp.report.charts import Chart
from interp.report.palette import Hue
from interp.report.visible_text import shorten

if TYPE_CHECKING:
    import pandas as pd

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def is_slug(text: str) -> bool:
    """Whether a text is at most 80 lower-case letters and digits in groups joined by single hyphens, as in file names.

    Args:
        text: any text.
    """
    return len(text) <= 80 and _SLUG.fullmatch(text) is not None


class Checked:
    """Checks of what every kind of block has: a name that is a slug, texts, and tuples of sentences."""

    may_be_empty: ClassVar[tuple[str, ...]] = ("explorer", "explored")

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, value in vars(self).items():
            if name == "name" and not is_slug(value):
                raise ValueError(
                    f"{kind}.name becomes a file name and must be at most 80 lower-case letters and digits "
                    f"in groups joined by hyphens, like 'cross-heads'; got {value!r}."
                )
            if name in ("findings", "limits"):
                if isinstance(value, str):
                    raise ValueError(f"{kind}.{name} must be a tuple of sentences, got one text.")
                if not value or not all(sentence.strip() for sentence in value):
                    raise ValueError(f"{kind}.{name} must hold at least one sentence and no empty one, got {value!r}.")
            elif isinstance(value, str) and not value.strip() and name not in self.may_be_empty:
                raise ValueError(f"{kind}.{name} is empty; a reader needs it, so write a sentence.")


@dataclass(frozen=True)
class Heading(Checked):
    """A line above the blocks that follow, until the next one."""

    text: str


@dataclass(frozen=True)
class Paragraph(Checked):
    """Plain text; an empty line begins a new paragraph."""

    text: str

    @property
    def paragraphs(self) -> list[str]:
        """The text split at empty lines; single line ends become spaces."""
        return [" ".join(part.split()) for part in re.split(r"\n\s*\n", self.text) if part.strip()]


@dataclass(frozen=True, slots=True)
class Span:
    """A column whose numbers are drawn in their cells, as a bar, or as a point with its interval and its controls.

    Attributes:
        value: the column of the numbers.
        low: the column of the lower ends of their intervals; empty where there are none.
        high: that of the upper ends.
        control_low: the column of the lowest controls; empty where there are none.
        control_high: that of the highest.
    """

    value: str
    low: str = ""
    high: str = ""
    control_low: str = ""
    control_high: str = ""

    @classmethod
    def of(
        cls, value: str, before: str | None = None, controls: tuple[str, ...] = ("twins low", "twins high")
    ) -> "Span":
        """The span of columns that are called as `Estimate.columns` calls them.

        Args:
            value: the column of the numbers.
            before: what precedes the other titles; by default the value and a blank.
            controls: titles of the lowest and the highest control; none where the table has no such columns.
        """
        start = f"{value} " if before is None else before
        return cls(value, *(f"{start}{end}" for end in ("low", "high", *controls)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it draws, the value's first."""
        return tuple(filter(None, (self.value, self.low, self.high, self.control_low, self.control_high)))


@dataclass(frozen=True, eq=False)
class Table(Checked):
    """A table, whole as CSV and in part on the page.

    Attributes:
        name: slug; the file is `tables/<name>.csv`, with every row and column.
        caption: one or two sentences that say what a row is and what the columns mean.
        frame: the table; an index that is not 0, 1, 2, ... becomes the first columns.
        rows_shown: rows that stand on the page, from the top; None shows all. With scripts a reader calls the others.
        columns_shown: columns on the page, at most eight; None shows the first ones.
        spans: values that are drawn in their cell with what belongs to them; those columns are not printed again.
        addresses: of the page that every row leads to, beside the report; none by default.
        opened: whether it stands open on the page.
        hues: texts of cells that carry the color which stands for them elsewhere in the report.

    Raises:
        ValueError: if columns are repeated or unknown, or an address leads elsewhere or is missing.
    """

    name: str
    caption: str
    frame: "pd.DataFrame"
    rows_shown: int | None = 12
    columns_shown: tuple[str, ...] | None = None
    spans: tuple[Span, ...] = ()
    addresses: tuple[str, ...] = ()
    opened: bool = False
    hues: Mapping[str, Hue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import pandas as pd

        super().__post_init__()
        frame = self.frame if isinstance(self.frame.index, pd.RangeIndex) else self.frame.reset_index()
        names = [str(column) for column in frame.columns]
        if not names or isinstance(frame.columns, pd.MultiIndex) or len(set(names)) < len(names):
            raise ValueError(
                f"Table {self.name!r} needs one level of columns with distinct names, got {list(frame.columns)}."
            )
        if self.rows_shown is not None and self.rows_shown < 1:
            raise ValueError(f"Table.rows_shown must be at least 1 or None for all, got {self.rows_shown}.")
        if self.addresses and (
            len(self.addresses) != len(frame) or not all(leads_beside(one) for one in self.addresses if one)
        ):
            raise ValueError(
                f"Table {self.name!r} needs an address beside the report, or an empty text, for every row."
            )
        wanted = [*(self.columns_shown or names), *(column for span in self.spans for column in span.columns)]
        unknown = [column for column in wanted if column not in names]
        if unknown or self.columns_shown == ():
            raise ValueError(
                f"Table {self.name!r} cannot show the columns {unknown}; its columns are {', '.join(names)}."
            )
        # A copy, so that a frame changed later does not change the block.
        # As objects: pandas' own strings, which it makes where pyarrow is installed, hold no half of a surrogate pair.
        object.__setattr__(self, "frame", frame.set_axis(pd.Index(names, dtype=object), axis="columns").copy())

    @property
    def legend(self) -> str:
        """What is drawn in its cells; empty if nothing is."""
        if not self.spans:
            return ""
        line = "its interval" if any(span.low for span in self.spans) else "its size"
        return f"Drawn under a number: {line}{', and its controls in gray' if any(s.control_low for s in self.spans) else ''}."

    @property
    def title(self) -> str:
        """The first sentence of the caption, or as much of it as a line holds."""
        first = re.split(r"(?<=[.?!:;])\s", self.caption, maxsplit=1)[0]
        return shorten(first.rstrip(":;"), 110)


@dataclass(frozen=True)
class Figure(Checked):
    """A chart with its words.

    Attributes:
        name: slug; the file is `figures/<name>.svg`, or of another format.
        caption: how to read it.
        alt: one sentence with the finding's numbers, for those who do not see the figure.
        chart: the data of the figure.
    """

    name: str
    caption: str
    alt: str
    chart: Chart


@dataclass(frozen=True)
class View(Checked):
    """An interactive piece, closed until the reader opens it.

    Attributes:
        name: slug.
        title: the line the reader clicks.
        html: markup without external addresses, as `interp.report.views` makes it.
        fallback: the name of a `Figure` of the same report that shows the same, or a sentence that says why
            there is none.
        mouse: whether it needs a mouse; otherwise keys do the same.

    Raises:
        ValueError: if the markup is a text that nobody vouched for.
    """

    name: str
    title: str
    html: Markup
    fallback: str
    mouse: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.html, Markup):
            raise ValueError(
                f"View.html of {self.name!r} is plain text; take `markupsafe.Markup` if you trust it as HTML."
            )


@dataclass(frozen=True)
class Card(Checked):
    """Small pictures and tables made of real text, open, without mouse and script.

    Attributes:
        name: slug.
        title: what it shows, for those who do not see it.
        parts: what it shows, in order.

    Raises:
        ValueError: if there is nothing to show, or a text that is no part.
    """

    name: str
    title: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts or any(isinstance(part, str) and not isinstance(part, Markup) for part in self.parts):
            raise ValueError(
                f"Card {self.name!r} needs parts, and a text among them must stand in a Line or be Markup."
            )


Block = Heading | Paragraph | Table | Figure | View | Card
