"""Tables as prompts: what other tools write is read, by whatever name its columns have, and what is no text is no matter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from pyarrow import ipc, parquet

from interp.prompts import Columns, PromptError, PromptStream, read_prompts

ROWS: list[dict[str, Any]] = [
    {"id": 7, "translation": {"en": 'The "old" cat.', "de": "Die Katze."}, "label": 1, "source": "A", "note": "x"},
    {"id": 8, "translation": {"en": "A dog.", "de": "Ein Hund."}, "label": 0, "source": "B", "note": None},
]
FIELDS = Columns("translation.en", "translation.de")


def parquet_file(folder: Path) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "p.parquet")
    return folder / "p.parquet"


def arrow_file(folder: Path) -> Path:
    table = pyarrow.Table.from_pylist(ROWS)
    with ipc.new_file(folder / "p.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "p.arrow"


def arrow_stream(folder: Path) -> Path:
    table = pyarrow.Table.from_pylist(ROWS)
    with ipc.new_stream(folder / "s.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "s.arrow"


def dataset(folder: Path) -> Path:
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "set")
    return folder / "set"


def json_lines(folder: Path) -> Path:
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n", encoding="utf-8")
    return folder / "p.jsonl"


@pytest.mark.parametrize("write", [parquet_file, arrow_file, arrow_stream, dataset, json_lines])
def test_every_kind_of_table_gives_the_same_prompts(write: Any, tmp_path: Path) -> None:
    found = read_prompts(write(tmp_path), columns=FIELDS)
    assert found.sources == ['The "old" cat.', "A dog."]
    assert found.targets == ["Die Katze.", "Ein Hund."]
    assert [prompt.id for prompt in found.prompts] == ["7", "8"]
    assert found.prompts[0].fields == {"note": "x"}
    assert found.sha256 == read_prompts(json_lines(tmp_path), columns=FIELDS).sha256
    assert read_prompts(write(tmp_path), 1, FIELDS).sources == ['The "old" cat.']


def test_without_columns_source_and_target_are_taken(tmp_path: Path) -> None:
    found = read_prompts(parquet_file(tmp_path))
    assert (found.sources, found.targets) == (["A", "B"], None)


def test_tab_separated_texts_keep_their_quotation_marks(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text('source\ttarget\nSay "yes\tSag "ja\na\tb\n', encoding="utf-8")
    found = read_prompts(tmp_path / "p.tsv")
    assert found.sources == ['Say "yes', "a"]
    assert found.targets == ['Sag "ja', "b"]
    (tmp_path / "p.csv").write_text('english,x\n"a, b",1\n', encoding="utf-8")
    assert read_prompts(tmp_path / "p.csv", columns=Columns("english")).sources == ["a, b"]


def test_what_is_no_text_is_ignored_in_json_too(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"source": "a", "label": 3, "tags": ["x"], "gold": null, "note": "n"}\n')
    assert dict(read_prompts(tmp_path / "p.jsonl").prompts[0].fields) == {"note": "n"}


def split_dataset(folder: Path) -> Path:
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(folder / "both")
    return folder / "both"


def broken(folder: Path) -> Path:
    (folder / "b.parquet").write_bytes(b"PAR1 nothing")
    return folder / "b.parquet"


def ragged(folder: Path) -> Path:
    (folder / "r.tsv").write_text("source\tx\na\n")
    return folder / "r.tsv"


def text_file(folder: Path) -> Path:
    (folder / "t.txt").write_text("a\n")
    return folder / "t.txt"


def no_rows(folder: Path) -> Path:
    pytest.importorskip("datasets").Dataset.from_dict({"source": []}).save_to_disk(folder / "d")
    return folder / "d"


def damaged(part: str, content: str | None) -> Callable[[Path], Path]:
    """A saved dataset, a file of which holds something else or is gone."""

    def write(folder: Path) -> Path:
        datasets = pytest.importorskip("datasets")
        datasets.Dataset.from_list([{"source": "a"}, {"source": "b"}]).save_to_disk(folder / "d")
        file = next((folder / "d").glob(part))
        file.unlink() if content is None else file.write_text(content)
        return folder / "d"

    return write


@pytest.mark.parametrize(
    ("write", "columns", "message"),
    [
        (no_rows, Columns(), "d has no rows"),
        (damaged("state.json", "{"), Columns(), "no readable dataset (JSONDecodeError: "),
        (damaged("state.json", "{}"), Columns(), "no readable dataset (KeyError: "),
        (damaged("dataset_info.json", "[]"), Columns(), "no readable dataset ("),
        (damaged("*.arrow", "ARROW1"), Columns(), "no readable dataset (ArrowInvalid: "),
        (damaged("*.arrow", None), Columns(), "cannot be read (No such file"),
        (parquet_file, Columns("sources"), "no column 'sources' (did you mean 'source'?)"),
        (parquet_file, Columns("translation.fr"), "no column 'translation.fr'"),
        (parquet_file, Columns("label"), "holds a int, not text"),
        (parquet_file, Columns("note"), "the column 'note' has no text here"),
        (split_dataset, Columns(), "the splits train"),
        (lambda folder: folder, Columns(), "no dataset"),
        (broken, Columns(), "no readable .parquet"),
        (ragged, Columns(), "line 2 has 1 cells"),
        (text_file, Columns(), "has no columns"),
        (lambda folder: folder / "none.parquet", Columns(), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(write: Any, columns: Columns, message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError) as told:
        read_prompts(write(tmp_path), columns=columns)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


ANY = Columns()
"""What a file is read by where its columns are named, by whatever name: by other code than a file with columns as ours."""


def with_header(separator: str) -> Any:
    def write(folder: Path, names: list[str], rows: list[list[str]]) -> Path:
        path = folder / ("t.tsv" if separator == "\t" else "t.csv")
        path.write_text("".join(separator.join(row) + "\n" for row in [names, *rows]), encoding="utf-8")
        return path

    return write


def in_parquet(folder: Path, names: list[str], rows: list[list[str]]) -> Path:
    parquet.write_table(
        pyarrow.table([list(column) for column in zip(*rows, strict=True)], names), folder / "t.parquet"
    )
    return folder / "t.parquet"


def in_arrow(folder: Path, names: list[str], rows: list[list[str]]) -> Path:
    table = pyarrow.table([list(column) for column in zip(*rows, strict=True)], names)
    with ipc.new_stream(folder / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "t.arrow"


def in_json(folder: Path, names: list[str], rows: list[list[str]]) -> Path:
    lines = [json.dumps({name: cell or None for name, cell in zip(names, row, strict=True)}) + "\n" for row in rows]
    (folder / "t.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / "t.jsonl"


def in_dataset(folder: Path, names: list[str], rows: list[list[str]]) -> Path:
    made = [{name: cell or None for name, cell in zip(names, row, strict=True)} for row in rows]
    datasets.Dataset.from_list(made).save_to_disk(folder / "t")
    return folder / "t"


FORMATS = {
    "csv": with_header(","),
    "tsv": with_header("\t"),
    "parquet": in_parquet,
    "arrow": in_arrow,
    "jsonl": in_json,
    "dataset": in_dataset,
}


def refusal(path: Path, columns: Columns | None, stream: bool) -> str:
    with pytest.raises(PromptError) as told:
        list(PromptStream(path, columns)) if stream else read_prompts(path, columns=columns)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("columns", [None, ANY, Columns("note")])
@pytest.mark.parametrize("names", [["source", "source", "note"], ["source", "", "note"]])
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "arrow"])
def test_columns_called_alike_or_nothing_are_refused_in_every_format(
    kind: str, names: list[str], columns: Columns | None, stream: bool, tmp_path: Path
) -> None:
    told = refusal(FORMATS[kind](tmp_path, names, [["a", "b", "c"]]), columns, stream)
    assert f"{', '.join(map(repr, names))}; every column needs a name of its own" in told


def test_fields_of_a_column_called_alike_are_refused(tmp_path: Path) -> None:
    nested = pyarrow.StructArray.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], ["en", "en"])
    parquet.write_table(pyarrow.table([nested], ["translation"]), tmp_path / "t.parquet")
    told = refusal(tmp_path / "t.parquet", Columns("translation.en"), stream=False)
    assert "the column 'translation' has 'en', 'en'" in told


@pytest.mark.parametrize("columns", [None, ANY])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_message_names_the_line_of_the_file_or_the_row_of_the_table(
    kind: str, columns: Columns | None, tmp_path: Path
) -> None:
    write, names = FORMATS[kind], ["id", "source", "target"]
    first, second = ("line 2", "line 3") if kind in ("csv", "tsv") else ("row 1", "row 2")
    if kind == "jsonl":
        first, second = "line 1", "line 2"

    def told(*rows: list[str], stream: bool = False) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return refusal(write(folder, names, list(rows)), columns, stream)

    assert f", {second}: id 'x' was already used in {first}" in told(["x", "a", "b"], ["x", "c", "d"])
    if kind not in ("parquet", "arrow"):  # as written here, their empty cells are texts
        assert f", {second}: there is no target here" in told(["x", "a", "b"], ["y", "c", ""])
        assert f", {second}: prompt 2 (id y) has no target" in told(["x", "a", "b"], ["y", "c", ""], stream=True)
    for stream in (False, True):
        assert f", {second}: 'source' is empty" in told(["x", "a", "b"], ["y", " ", "d"], stream=stream)


@pytest.mark.parametrize("columns", [None, ANY])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", '{"source": "a"}\n\n{"source": "b"}\n', "line 2 is empty"),
        ("p.tsv", "source\na\n\nb\n", "line 3 is empty"),
        ("p.csv", 'source\n"a\nb"\nc,d\n', "line 4 has 2 cells"),
        ("p.tsv", "source\na\nb\tc\n", "line 3 has 2 cells"),
        (
            "p.jsonl",
            '{"source": "a"}\n{"source": "b", "n": ' + "1" * 5000 + "}\n",
            "line 2 is not valid JSON (too large)",
        ),
        ("p.jsonl", '{"source": "a"}\n3\n', "line 2 holds a JSON number"),
        ("p.jsonl", '{"source": "a"}\n{"source": "b", "source": "c"}\n', "line 2: key 'source' appears twice"),
        (
            "p.tsv",
            f"source\na\n{'b' * 140_000}\n",
            "line 3 has a cell of more than 131,072 characters; a text has at most",
        ),
        (
            "p.csv",
            f"source\na\n{'b' * 140_000}\n",
            "line 3 has a cell of more than 131,072 characters; a text has at most",
        ),
        ("p.csv", 'source\na\n"' + "b\n" * 70_000, "or close the quotation mark"),
        ("p.tsv", "\na\n", "first line must be a header"),
        ("p.tsv", "source\ttarget\n\tb\n", "line 2: 'source' is empty; add the text"),
    ],
)
def test_a_file_is_refused_alike_whatever_its_columns_are_called(
    columns: Columns | None, name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    for stream in (False, True):
        told = refusal(tmp_path / name, columns, stream)
        assert message in told
        assert "sys." not in told


def test_a_dataset_is_read_as_it_is_whatever_view_was_saved_with_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_list([{"source": "a b", "target": "c", "id": number} for number in range(3)])
    saved.with_format("numpy", columns=["id"]).save_to_disk(tmp_path / "d")
    assert [prompt.source for prompt in read_prompts(tmp_path / "d").prompts] == ["a b"] * 3
