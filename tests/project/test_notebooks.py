"""Notebooks are committed clean and say what a study must say; that they run is checked by `pytest --nbmake notebooks`."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"), key=lambda path: int(path.name.partition("_")[0]))
SPOKEN = ("**Question.**", "predict", "control", "## What this does not show")


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def prose(path: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")


def test_there_are_ten_in_order() -> None:
    assert [path.name.partition("_")[0] for path in NOTEBOOKS] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = read(path)
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert cell["metadata"] == {}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_predicts_measures_controls_and_states_limits(path: Path) -> None:
    text = prose(path)
    missing = [word for word in SPOKEN if word.lower() not in text.lower()]
    assert not missing
    assert text.startswith(f"# {path.name.partition('_')[0]}. ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_needs_no_network_and_no_private_names(path: Path) -> None:
    for source in code(path):
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(name.name for name in node.names)]
                assert not [name for name in names if name.startswith("_")]
        assert not re.search(r"https?://|/home/|/root/|/work/|from_pretrained|interp\.load\([^)]", source)
