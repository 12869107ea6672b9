"""Comparison: what differs between two runs? First how they were made, then every table, cell by cell.

Both runs are verified first: what a manifest only says is not compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from analyses.runs.verify import OpenedRun, open_run
from interp.errors import InputError


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        where: what differs: `config.seed`, `versions.torch`, `tables/x.csv`.
        what: how, in words.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


_MADE = ("package", "config", "model", "models", "moments", "prompts", "twin_seeds", "plugins", "runs", "versions")


def compare_runs(
    first: Path, second: Path, rtol: float = 0.0, atol: float = 0.0, scope: Literal["all", "tables"] = "all"
) -> tuple[Difference, ...]:
    """All differences between two runs, making before results.

    Args:
        first: a run's folder.
        second: another.
        rtol: relative tolerance of numbers in tables; where something is tolerated, the order of rows is no difference.
        atol: absolute tolerance of numbers in tables.
        scope: `tables` leaves out how the runs were made. Pages and pictures, which show the tables' numbers, are compared byte
            by byte, and only where nothing is tolerated.

    Raises:
        InputError: if a folder is no run, or not what its manifest says, or a table cannot be read.
    """
    runs = open_run(first), open_run(second)
    one, two = (run.manifest for run in runs)
    if one.digest == two.digest:
        return ()
    made = [item for part in _MADE for item in _values(part, *(run.manifest.model_dump().get(part) for run in runs))]
    names = sorted(name for name in {*one.files, *two.files} if _is_table(name))
    results = [item for name in names for item in _tables(name, *runs, rtol, atol)]
    if scope == "tables":
        return tuple(results)
    exact = rtol == atol == 0
    found = (*made, *results, *(_other_files(one.files, two.files) if exact else ()))
    # What else a digest is over: the command, which follows from the configuration where both are of one version.
    return found or tuple(_values("command", one.command, two.command))


def _other_files(one: Mapping[str, str], two: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name) and not _is_table(name):
            yield Difference(name, _only_in(name in one) if (name in one) != (name in two) else "other bytes")


def _is_table(name: str) -> bool:
    return name.startswith(("tables/", "first/tables/", "second/tables/"))


def _only_in(first: bool) -> str:
    return f"only in the {'first' if first else 'second'} run"


def _values(where: str, one: Any, two: Any) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted({*one, *two}):
            yield from _values(f"{where}.{key}", one.get(key), two.get(key))
    elif one != two:
        yield Difference(where, f"{one!r} against {two!r}")


def _tables(name: str, one: OpenedRun, two: OpenedRun, rtol: float, atol: float) -> Iterator[Difference]:
    hashes = [run.manifest.files.get(name) for run in (one, two)]
    if None in hashes:
        yield Difference(name, _only_in(hashes[0] is not None))
        return
    found = list(compare_frames(name, _frame(one, name), _frame(two, name), rtol, atol))
    # 0.50 for 0.5, an empty cell for nan: equal once they are read, and other bytes.
    if not found and rtol == atol == 0 and hashes[0] != hashes[1]:
        found.append(Difference(name, "other bytes, though every cell reads the same"))
    yield from found


def _frame(run: OpenedRun, name: str) -> pd.DataFrame:
    content = run.read(name)
    try:
        if b"\0" in content:
            raise ValueError("it holds a NUL")
        return pd.read_csv(BytesIO(content))
    except (ValueError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name} of {str(run.folder)!r} is no table that can be read ({reason}).") from error


def compare_frames(
    name: str, left: pd.DataFrame, right: pd.DataFrame, rtol: float, atol: float
) -> Iterator[Difference]:
    """Differences between two tables, column by column; arguments as for `compare_runs`."""
    alone = [sorted(map(str, {*one.columns} - {*two.columns})) for one, two in ((left, right), (right, left))]
    if any(alone):
        only = (
            f"{', '.join(own)} only in the {place}"
            for own, place in zip(alone, ("first", "second"), strict=True)
            if own
        )
        yield Difference(name, f"other columns: {'; '.join(only)}")
        return
    if list(left.columns) != list(right.columns):
        yield Difference(name, "the same columns in another order")
        return
    if len(left) != len(right):
        yield Difference(name, f"{len(left)} rows against {len(right)}")
        return
    if rtol or atol:
        # Rows ordered by a number may change places where two of them are nearly equal, and are the same rows.
        alike = [column for column in left if left[column].dtype == right[column].dtype]
        names = [str(column) for column in alike if not pd.api.types.is_float_dtype(left[column].dtype)]
        left, right = (frame.sort_values(names, ignore_index=True) if names else frame for frame in (left, right))
    for column in left.columns:
        yield from _columns(f"{name}: {column}", left[column], right[column], rtol, atol)


def _columns(where: str, left: pd.Series, right: pd.Series, rtol: float, atol: float) -> Iterator[Difference]:
    if pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right):
        one, two = left.to_numpy(float), right.to_numpy(float)
        differs = ~np.isclose(one, two, rtol=rtol, atol=atol, equal_nan=True)
        if differs.any():
            gap = np.abs(one - two)
            largest = f"largest gap {np.nanmax(gap):.3g}" if np.isfinite(gap[differs]).any() else "defined in one only"
            yield Difference(where, f"{int(differs.sum())} of {len(one)} cells differ, {largest}")
        return
    differs = (left.astype(str) != right.astype(str)).to_numpy()
    if differs.any():
        yield Difference(where, f"{int(differs.sum())} of {len(left)} texts differ")
