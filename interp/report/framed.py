"""Results that are tables: one method says the table, and the name in a terminal and the look in a notebook follow from it."""

from typing import TYPE_CHECKING

from interp.report import notebook_html

if TYPE_CHECKING:
    import pandas as pd

_ROWS_SHOWN = 12


class Framed:
    """A result with `to_frame`. Dataclasses among them are declared with `repr=False`, or theirs would print every number."""

    __slots__ = ()

    def to_frame(self) -> "pd.DataFrame":
        """The result as a table: named columns, units in brackets behind the name.

        Raises:
            NotImplementedError: in a class that does not say its table.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        frame = self.to_frame()
        return f"{type(self).__name__}({len(frame)} rows: {', '.join(map(str, frame.columns))})"

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        left_out = len(frame) - _ROWS_SHOWN
        caption = type(self).__name__ + (f", {left_out} more rows in to_frame()" if left_out > 0 else "")
        rows = frame.head(_ROWS_SHOWN).itertuples(index=False, name=None)
        return notebook_html.table(caption, tuple(frame.columns), rows)
