"""A corpus is read one prompt at a time, with the checks of prompt files, from every kind of file."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from pyarrow import parquet

from interp.prompts import Columns, PromptError, PromptStream, bundled, read_prompts

ROWS = [{"source": f"a\u2028text {number}", "target": f"ein, Text {number}", "note": "n"} for number in range(5)]


def text(folder: Path) -> Path:
    (folder / "c.txt").write_text("".join(f"{row['source']}\r\n" for row in ROWS), encoding="utf-8-sig")
    return folder / "c.txt"


def lines(folder: Path) -> Path:
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return folder / "c.jsonl"


def cells(folder: Path) -> Path:
    rows = "".join(f'"{row["source"]}","{row["target"]}",n\n' for row in ROWS)
    (folder / "c.csv").write_text(f"source,target,note\n{rows}", encoding="utf-8")
    return folder / "c.csv"


def tabs(folder: Path) -> Path:
    rows = "".join(f"{row['source']}\t{row['target']}\tn\n" for row in ROWS)
    (folder / "c.tsv").write_text(f"source\ttarget\tnote\n{rows}", encoding="utf-8")
    return folder / "c.tsv"


def columns(folder: Path) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "c.parquet")
    return folder / "c.parquet"


def dataset(folder: Path) -> Path:
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "set", num_shards=2)
    return folder / "set"


@pytest.mark.parametrize("write", [lines, cells, tabs, columns, dataset, text])
def test_a_stream_gives_the_prompts_that_the_reader_gives(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    stream = PromptStream(path)
    assert tuple(stream) == read_prompts(path).prompts == tuple(stream)
    assert len(tuple(PromptStream(path, limit=2))) == 2
    found = stream.digest()
    assert (found.prompts, found.has_targets) == (5, write is not text)
    if write is not text:
        assert found == PromptStream(lines(tmp_path)).digest(), "one digest for the same prompts, whatever holds them"


def test_bundled_sets_columns_and_prefixes(tmp_path: Path) -> None:
    assert tuple(PromptStream("references")) == bundled("references").prompts
    found = tuple(PromptStream(lines(tmp_path), Columns("target"), limit=1, prefix="ein, "))
    assert found == read_prompts(tmp_path / "c.jsonl", 1, Columns("target")).behind("ein, ").prompts
    assert (found[0].source, found[0].prefix) == ("ein, Text 0", "ein, ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "c.jsonl is empty"),
        ('{"source": "a"}\n\n', "line 2 is empty"),
        ('{"source": "a"}\n{"source": "b", "target": "c"}\n', "prompt 2 (id 2) has a target, unlike those before it"),
        ('{"source": "a"}\n{"source": 3}\n', "line 2: 'source' is a JSON number"),
        ('{"source": "a"}\n{"source": "\\ud800"}\n', "half a surrogate pair"),
        (b'{"source": "\xff"}\n', "is not UTF-8"),
    ],
)
def test_what_is_no_prompt_is_told_with_its_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PromptError) as told:
        PromptStream(tmp_path / "c.jsonl").digest()
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("name", "message"), [("none.txt", "cannot be read"), ("c.xyz", "has no columns")])
def test_what_is_no_file_is_told(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=message):
        next(iter(PromptStream(tmp_path / name)))
    with pytest.raises(PromptError, match="limit is 0"):
        next(iter(PromptStream(tmp_path / name, limit=0)))


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "txt"])
def test_memory_does_not_grow_with_the_corpus(suffix: str, tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.{suffix}"
        row: dict[str, Callable[[int], Any]] = {
            "jsonl": lambda n: json.dumps({"source": f"some text {n}"}),
            "csv": lambda n: f"some text {n}",
            "txt": lambda n: f"some text {n}",
        }
        head = "source\n" if suffix == "csv" else ""
        path.write_text(head + "".join(row[suffix](number) + "\n" for number in range(rows)))
        tracemalloc.start()
        try:
            assert PromptStream(path).digest().prompts == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is made once
    assert peak(5000) < peak(500) + 2**16
