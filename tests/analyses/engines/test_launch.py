"""Ranks of torchrun leave nothing behind in the folder for temporary files."""

import tempfile
from pathlib import Path

import pytest

from analyses.engines.launch import launch


@pytest.mark.parametrize(("words", "code"), [(["list", "analyses"], 0), (["list", "nothing"], 2)])
def test_nothing_is_left_of_the_ranks(
    words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert launch(words, 1) == code
    assert not list(tmp_path.iterdir())
