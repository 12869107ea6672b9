"""Pages that are made when the documentation is built: the command line, the gallery and the notebooks.

They come from the commands' own help, from the committed example run and from the notebooks' folder, so that none can go stale.
"""

import html
import json
import shutil
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from typer.testing import CliRunner

from analyses.cli import app as commands

DOCS = Path(__file__).parent.parent
ROOT = DOCS.parent
EXAMPLE = ROOT / "reports" / "example"
OUT = DOCS / "_generated"
FINDINGS = 3
"""Findings of each analysis that the gallery repeats; the report has all."""

WIDTH = {"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}


def command_line() -> str:
    """One page with the help of every command."""
    names = [command.name for command in commands.registered_commands]
    parts = ["# The command line\n", "What `interp COMMAND --help` prints.\n", _help([])]
    parts += [f"## interp {name}\n\n{_help([name])}" for name in names if name]
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    shown = CliRunner().invoke(commands, [*words, "--help"], env=WIDTH, prog_name="interp").output
    return f"```text\n{shown.strip()}\n```\n"


def gallery() -> str:
    """The figures of the example run, with their words, and its findings."""
    results = json.loads((EXAMPLE / "results.json").read_text(encoding="utf-8"))
    manifest = json.loads((EXAMPLE / "manifest.json").read_text(encoding="utf-8"))
    parts = [
        "# Gallery\n",
        f"The example run that is committed in `reports/example`: {manifest['prompts']['count']} prompts and "
        f"{len(manifest['twin_seeds'])} untrained twins of the bundled model, few of both so that it stays small. Made by\n",
        f"```sh\n{manifest['command']}\n```\n",
        '<p><a href="../example/index.html">The whole report</a>, as it opens from disk.</p>\n',
    ]
    page = BeautifulSoup((EXAMPLE / "index.html").read_text(encoding="utf-8"), "html.parser")
    for name in manifest["config"]["analyses"]:
        section = page.find(id=f"section-{name.replace('_', '-')}")
        assert isinstance(section, Tag), f"the example report has no section of {name}"
        parts.append(f"## {_markdown(section.h2.get_text(strip=True))}\n\n*{_markdown(results[name]['question'])}*\n")
        parts += [f"- {_markdown(finding)}" for finding in results[name]["findings"][:FINDINGS]]
        parts += ["", *(_figure(figure) for figure in section.select("figure.block"))]
    return "\n".join(parts)


def _figure(figure: Tag) -> str:
    """One figure of the report: its outlines from the run's folder, its alternative text and its caption."""
    name = str(figure["id"]).removeprefix("figure-")
    for link in figure.select(".source"):
        link.decompose()
    alt, caption = (html.escape(text) for text in (figure.img["alt"], figure.figcaption.get_text(" ", strip=True)))
    source = f"../example/figures/{name}.svg"
    return (
        f'<figure id="{name}"><a href="{source}"><img src="{source}" alt="{alt}" loading="lazy"></a>'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def _markdown(text: str) -> str:
    return html.escape(text).replace("*", r"\*").replace("_", r"\_").replace("$", r"\$").replace("[", r"\[")


def other_modules() -> str:
    """The reference of every module of the library that no page of `reference/` names."""
    named = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    places = sorted({
        *(ROOT / "interp").glob("*.py"),
        *(path.parent for path in (ROOT / "interp").glob("*/__init__.py")),
    })
    modules = [f"interp.{place.stem}" for place in places if place.stem not in ("__init__", "checkpoints", "report")]
    rest = [module for module in modules if f"automodule:: {module}\n" not in named]
    parts = [f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n" for module in rest]
    return "\n".join(["# Further modules\n", "Modules of the library that stand on no page of their own.\n", *parts])


def _write(app: Sphinx) -> None:
    notebooks = OUT / "notebooks"
    notebooks.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(path, notebooks / path.name)
    for name, text in {"command-line": command_line(), "gallery": gallery(), "other-modules": other_modules()}.items():
        (OUT / f"{name}.md").write_text(text, encoding="utf-8")


def _copy_example(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        shutil.copytree(EXAMPLE, Path(app.outdir) / "example", dirs_exist_ok=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the pages before anything is read, and put the example run beside them at the end."""
    app.connect("builder-inited", _write)
    app.connect("build-finished", _copy_example)
    return {"version": "1", "parallel_read_safe": True}
