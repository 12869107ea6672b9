"""Docstrings of the library say what goes in, what comes out, what is refused, and name only sources that are there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULES = sorted((ROOT / "interp").rglob("*.py"))

Function = tuple[str, ast.FunctionDef, bool]


def public_functions() -> Iterator[Function]:
    """(place, function, whether it is a method) of every public function and every public method of a public class."""
    for path in MODULES:
        place = str(path.relative_to(ROOT))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            for function in inner:
                names = {getattr(node, "name", "_"), getattr(function, "name", "_")}
                if isinstance(function, ast.FunctionDef) and not any(name.startswith("_") for name in names):
                    yield f"{place}:{function.lineno} {function.name}", function, isinstance(node, ast.ClassDef)


FUNCTIONS = list(public_functions())


def section(function: ast.FunctionDef, name: str) -> str | None:
    """The lines of one section of a docstring, or None where it has none."""
    found = re.search(rf"^{name}:\n((?:(?: .*)?\n)*)", (ast.get_docstring(function) or "") + "\n", re.MULTILINE)
    return None if found is None else found[1]


def parameters(function: ast.FunctionDef, method: bool) -> list[str]:
    own = function.args
    names = [argument.arg for argument in (*own.posonlyargs, *own.args, *own.kwonlyargs)]
    names += [argument.arg for argument in (own.vararg, own.kwarg) if argument is not None]
    static = any(isinstance(node, ast.Name) and node.id == "staticmethod" for node in function.decorator_list)
    return [name for name in names[1 if method and not static else 0 :] if not name.startswith("_")]


def raises(function: ast.FunctionDef) -> bool:
    """Whether the body itself raises an error, other than again what it caught."""
    inner = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef) and node is not function]
    nested = {id(node) for other in inner for node in ast.walk(other)}
    return any(isinstance(n, ast.Raise) and n.exc is not None and id(n) not in nested for n in ast.walk(function))


def unsaid(function: ast.FunctionDef) -> bool:
    """Whether the type leaves open what is returned: a tensor without axes, several things, a mapping."""
    returned = ast.unparse(function.returns) if function.returns is not None else "None"
    several = re.fullmatch(r"tuple\[(.*)\]", returned)
    text = (ast.get_docstring(function) or "").split("\n\nArgs:")[0]
    if several is not None and not several[1].endswith("..."):
        return not re.search(r" and |, |->|\(", text)
    if re.match(r"(dict|Mapping)\[", returned):
        return not re.search(r"->| by | of | every | each ", text)
    return returned == "Tensor" and not re.search(r"\[|shape|copy", text)


def test_arguments_are_described_each_and_no_other() -> None:
    wrong = []
    for place, function, method in FUNCTIONS:
        described = re.findall(r"^    (\w+): ", section(function, "Args") or "", re.MULTILINE)
        if sorted(described) != sorted(parameters(function, method)):
            wrong.append(f"{place} has {parameters(function, method)} and describes {described}")
    assert not wrong, "\n".join(wrong)


def test_refusals_are_described() -> None:
    wrong = [place for place, function, _ in FUNCTIONS if raises(function) and section(function, "Raises") is None]
    assert not wrong, "\n".join(wrong)


def test_what_the_type_leaves_open_is_said() -> None:
    wrong = [place for place, function, _ in FUNCTIONS if section(function, "Returns") is None and unsaid(function)]
    assert not wrong, "\n".join(wrong)


_NAME = r"[A-ZÀ-Ž][\w’'-]*[a-zà-ž][\w’'-]*"
_CITED = re.compile(rf"({_NAME}(?: et al\.?| (?:and|&) {_NAME})?),? \(?((?:1[89]|20)\d\d)\b")


def strings(path: Path) -> Iterator[str]:
    """What a file says to its readers: the strings of a module, docstrings among them, or the whole of a text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def texts() -> Iterator[tuple[str, str]]:
    """(file, text on one line) of everything that may cite."""
    for folder, kinds in (
        ("interp", ("py", "md")),
        ("analyses", ("py",)),
        ("training", ("py", "md")),
        ("docs", ("md",)),
    ):
        for path in (path for kind in kinds for path in sorted((ROOT / folder).rglob(f"*.{kind}"))):
            if "_generated" not in path.parts:
                yield from ((str(path.relative_to(ROOT)), " ".join(text.split())) for text in strings(path))


def test_every_citation_is_in_the_bibliography_and_every_entry_is_cited() -> None:
    pytest.importorskip("sphinxcontrib.bibtex", reason="needs the extra `docs`: pip install -e '.[docs]'")
    from docs.extensions.citations import KEYS

    unknown, cited = [], set()
    for place, text in texts():
        cited |= {name for name in KEYS if name in text}
        found = [] if place.startswith("training") else _CITED.findall(text)
        unknown += [f"{place}: {who} {year}" for who, year in found if f"{who} {year}" not in KEYS]
    assert not unknown, "\n".join(unknown)
    uncited = sorted(set(KEYS) - cited)
    assert not uncited


def test_no_docstring_names_a_document_that_is_not_there() -> None:
    names = {path.name for folder in ("", "docs/", "benchmarks/", "training/") for path in ROOT.glob(f"{folder}*")}
    names |= {path.name for folder in ("interp", "analyses", "docs") for path in (ROOT / folder).rglob("*")}
    names |= {name.removesuffix(".jinja") for name in names}
    wrong = [
        f"{place}: {name}"
        for place, text in texts()
        if place.endswith(".py")
        for name in re.findall(r"[\w-]+\.(?:md|ipynb|py)\b|\bmethods [A-H]\.\d", text)
        if name not in names
    ]
    assert not wrong, "\n".join(wrong)
