"""Pages that are made when the documentation is built: the command line, the gallery, the notebooks and the reference.

They come from the commands' own help, the committed example run, the notebooks and the packages, so that none can go stale.
"""

import html
import json
import shutil
from collections.abc import Iterator
from importlib import import_module
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
TRACES = ROOT / "training" / "traces"
FINDINGS = 3
"""Findings of each analysis that the gallery repeats; the report has all."""

WIDTH = {"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}


def command_line() -> str:
    """One page with the help of every command."""
    names = [command.name for command in commands.registered_commands if command.name]
    for group in commands.registered_groups:
        inner = group.typer_instance.registered_commands if group.typer_instance else []
        names += [f"{group.name} {command.name or command.callback.__name__}" for command in inner if command.callback]
    parts = ["# The command line\n", "What `interp COMMAND --help` prints.\n", _help([])]
    parts += [f"## interp {name}\n\n{_help(name.split())}" for name in names]
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
    return "\n".join([*parts, *_sections(EXAMPLE, results, manifest["config"]["analyses"])])


def traces_gallery(made: bool) -> str:
    """The figures of a trace of the tiny training runs, with their words.

    Args:
        made: whether the trace is made now, which takes about a minute; otherwise the page says how to make it.
    """
    given = [("", "seed-0"), ("--prompts", "prompts.jsonl"), ("--gold", "prompts.gold")]
    given += [("--seed-run", "seed-1"), ("--seed-run", "seed-2"), ("--control", "shuffled")]
    words = ["trace", *(word for option, name in given for word in (option, str(TRACES / name)) if word)]
    shown = " \\\n    ".join(f"{option} {(TRACES / name).relative_to(ROOT)}".strip() for option, name in given)
    parts = [
        "# Gallery of a trace\n",
        "How heads come to be while a tiny model learns: three seeds and a control on shuffled pairs, twelve checkpoints each "
        "([how to](../howto/trace.md)). Made by\n",
        f"```sh\ninterp trace {shown}\n```\n",
    ]
    if not made:
        return "\n".join([*parts, "`make docs` makes it and shows its figures here."])
    out = OUT / "trace"
    done = CliRunner().invoke(commands, [*words, "--out", str(out), "--overwrite", "--quiet"], env=WIDTH)
    assert done.exit_code == 0, done.output
    results = json.loads((out / "trace.json").read_text(encoding="utf-8"))
    links = '<a href="../trace/index.html">The whole page</a>, and <a href="../trace/steps.html">a slider over the steps</a>.'
    return "\n".join([*parts, f"<p>{links}</p>\n", *_sections(out, results, None)])


def _sections(folder: Path, results: dict[str, dict[str, object]], names: list[str] | None) -> Iterator[str]:
    """Sections of a page, by default all in its order: heading, question, first findings and all figures."""
    page = BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")
    order = [str(section["id"]).removeprefix("section-") for section in page.select("section[id^=section-]")]
    for name in [one for one in order if one in results] if names is None else names:
        section = page.find(id=f"section-{name.replace('_', '-')}")
        assert isinstance(section, Tag), f"{folder} has no section of {name}"
        yield f"## {_markdown(section.h2.get_text(strip=True))}\n\n*{_markdown(str(results[name]['question']))}*\n"
        findings = results[name]["findings"]
        assert isinstance(findings, list)
        yield from (f"- {_markdown(finding)}" for finding in findings[:FINDINGS])
        yield ""
        yield from (_figure(figure, folder.name) for figure in section.select("figure.block"))


def _figure(figure: Tag, folder: str) -> str:
    """One figure of a page: its file beside the page, its alternative text and its caption."""
    name = str(figure["id"]).removeprefix("figure-")
    for link in figure.select(".source"):
        link.decompose()
    alt, caption = (html.escape(text) for text in (figure.img["alt"], figure.figcaption.get_text(" ", strip=True)))
    source = f"../{folder}/figures/{name}.svg"
    return (
        f'<figure id="{name}"><a href="{source}"><img src="{source}" alt="{alt}" loading="lazy"></a>'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def _markdown(text: str) -> str:
    return html.escape(text).replace("*", r"\*").replace("_", r"\_").replace("$", r"\$").replace("[", r"\[")


def reference() -> dict[str, str]:
    """One page for every wing: what it is, the names it hands on, and its modules."""
    places = (*(ROOT / "interp").iterdir(), *(ROOT / "analyses" / name for name in ("core", "runs", "trace")))
    modules = sorted(_module(path) for path in places if (path / "__init__.py").exists() or path.suffix == ".py")
    return {module: _wing(module) for module in modules if not module.endswith("__init__")}


def _wing(module: str) -> str:
    folder = ROOT.joinpath(*module.split("."))
    package = import_module(module)
    parts = [f"# {module}\n", _automodule(module, members=not folder.is_dir())]
    if hasattr(package, "__all__"):
        parts.append(
            f"Names to import from `{module}`: {', '.join(f'`{name}`' for name in sorted(package.__all__))}.\n"
        )
    inner = {_module(path): True for path in folder.rglob("*.py") if path.name != "__init__.py"}
    inner |= {_module(path.parent): False for path in folder.rglob("*/__init__.py")}
    pages = (f"## {name}\n\n{_automodule(name, members)}" for name, members in sorted(inner.items()))
    return "\n".join([*parts, *pages])


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _automodule(module: str, members: bool) -> str:
    option = "" if members else "\n   :no-members:"
    return f"```{{eval-rst}}\n.. automodule:: {module}{option}\n```\n"


def _write(app: Sphinx) -> None:
    notebooks = OUT / "notebooks"
    shutil.rmtree(OUT, ignore_errors=True)  # pages of wings that are gone
    notebooks.mkdir(parents=True)
    (OUT / "reference").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(path, notebooks / path.name)
    made = app.config.nb_execution_mode != "off"  # whatever computes for a minute is made when the notebooks are
    pages = {"command-line": command_line(), "gallery": gallery(), "gallery-trace": traces_gallery(made)}
    pages |= {f"reference/{module}": text for module, text in reference().items()}
    for name, text in pages.items():
        (OUT / f"{name}.md").write_text(text, encoding="utf-8")


def _copy_example(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for folder in filter(Path.exists, (EXAMPLE, OUT / "trace")):
            shutil.copytree(folder, Path(app.outdir) / folder.name, dirs_exist_ok=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the pages before anything is read, and put the runs that they show beside them at the end."""
    app.connect("builder-inited", _write)
    app.connect("build-finished", _copy_example)
    return {"version": "1", "parallel_read_safe": True}
