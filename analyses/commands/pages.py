"""What commands share that write one page: the command line that made it, the names of its blocks, its files."""

import re
import shlex
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from analyses.commands.messages import say

if TYPE_CHECKING:
    from interp.report import Report


def typed_command() -> str:
    """The command line as it was typed, but without folders of this machine."""
    words = [PurePath(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["interp", *words])


def page_slug(out: Path, rest: str = "") -> str:
    """A name for a page's blocks, so that two pages of a folder do not share files.

    Args:
        out: the page.
        rest: what its blocks are about, behind the page's name.
    """
    readable = "-".join(re.findall("[a-z0-9]+", out.stem.lower()))[:40].strip("-")
    return "-".join(filter(None, (readable, rest))) or "page"


def write_page(report: "Report", out: Path) -> None:
    """Write a report as one page with its figures and tables beside it, and say where.

    Args:
        report: the report.
        out: the page.
    """
    from interp.report import render

    for path, content in render(report).items():
        place = out if path == "index.html" else out.parent / path
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    say(f"page: {out}")
