"""Tables as prompts: what other tools write is read, by whatever name its columns have, and what is no text is no matter."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from pyarrow import ipc, parquet

from interp.prompts import Columns, PromptError, read_prompts

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


@pytest.mark.parametrize(
    ("write", "columns", "message"),
    [
        (parquet_file, Columns("sources"), "no column 'sources' (did you mean 'source'?)"),
        (parquet_file, Columns("translation.fr"), "no column 'translation.fr'"),
        (parquet_file, Columns("label"), "holds a int, not text"),
        (parquet_file, Columns("note"), "'source' is a JSON null"),
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
