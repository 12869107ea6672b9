"""What was tried against runs, and what held: runs tests/attacks/ and the faults of runs, and writes the table of docs/trust.md.

    python -m benchmarks.trials                 all groups; about ten minutes
    python -m benchmarks.trials altered_runs    some; the rows of the others stay

A group is a file; its name and what it tries are the first line of its docstring.
"""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "trust.md"
TRIALS = {
    path.stem.removeprefix("test_"): path
    for path in (*sorted((ROOT / "tests" / "attacks").glob("test_*.py")), ROOT / "tests/analyses/runs/test_faults.py")
}
"""Name of a group -> its file."""
_TABLE = re.compile(r"(<!-- trials -->\n).*?(<!-- /trials -->)", re.DOTALL)


class Held:
    """Counts the trials of every file and those that held."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.held: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a trial by its outcome; one that was skipped was not tried."""
        if report.when == "call" and not report.skipped:
            group = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
            self.tried[group] += 1
            self.held[group] += report.passed


def groups() -> dict[str, tuple[str, str]]:
    """Group -> what it is called and what it tries."""
    found = {}
    for group, path in TRIALS.items():
        line = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
        name, _, what = line.partition(": ")
        found[group] = name, what
    return found


def table(rows: dict[str, tuple[int, int]]) -> str:
    """The table as Markdown, groups in the order of their files, and the sum."""
    named = groups()
    lines = ["| group | tried | held | what |", "|---|---|---|---|"]
    lines += [
        f"| {named[file][0]} | {tried} | {held} | {named[file][1]} |" for file, (tried, held) in sorted(rows.items())
    ]
    sums = [sum(row[column] for row in rows.values()) for column in (0, 1)]
    return "\n".join([*lines, f"| **all** | {sums[0]} | {sums[1]} | |", ""])


def written() -> dict[str, tuple[int, int]]:
    """The rows that the page has."""
    files = {name: file for file, (name, _) in groups().items()}
    found = re.findall(r"^\| ([^|*]+) \| (\d+) \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {files[name]: (int(tried), int(held)) for name, tried, held in found if name in files}


def main(chosen: list[str]) -> int:
    """Run the trials and write the page; 1 where one did not hold."""
    counts = Held()
    places = [str(TRIALS[name]) for name in chosen or TRIALS]
    pytest.main(["-q", "-p", "no:cacheprovider", *places], plugins=[counts])
    rows = written() | {name: (counts.tried[name], counts.held[name]) for name in counts.tried}
    text = _TABLE.sub(lambda found: found[1] + table(rows) + found[2], PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
    print(table(rows))
    return int(counts.tried != counts.held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
