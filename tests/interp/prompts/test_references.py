"""References come from lines of translation pairs and from prompts with targets, and say which."""

import gzip
import json
from pathlib import Path

import pytest

from interp.errors import InputError
from interp.prompts.references import read_references
from interp.prompts.table_files import Columns

SOURCE, TARGET = "translate English to German: A dog.", "Ein Hund."
LINE = f"own\tde\t{SOURCE}\t{TARGET}\n"


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz", "p.txt", "pairs"])
def test_lines_of_pairs_keep_their_corpus_and_language(name: str, encoding: str, tmp_path: Path) -> None:
    (pair,) = read_references(written(tmp_path / name, LINE, encoding))
    assert (pair.corpus, pair.language, pair.source, pair.target) == ("own", "de", SOURCE, TARGET)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.tsv", f"source\ttarget\r\n{SOURCE}\t{TARGET}\r\n"),
        ("p.tsv", f"id\tsource\ttarget\tnote\n1\t{SOURCE}\t{TARGET}\tx\n"),
        ("p.csv", f"target,source\n{TARGET},{SOURCE}\n"),
        ("p.jsonl", json.dumps({"source": SOURCE, "target": TARGET})),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_prompts_are_of_their_file_and_task(name: str, text: str, encoding: str, tmp_path: Path) -> None:
    (pair,) = read_references(written(tmp_path / name, text, encoding))
    assert (pair.corpus, pair.language) == (name, "translate English to German")
    assert (pair.source, pair.target) == (SOURCE, TARGET)


def test_a_field_names_the_language_and_columns_may_have_other_names(tmp_path: Path) -> None:
    rows = [{"en": "A dog.", "de": TARGET, "language": "de"}, {"en": "A cat.", "de": "Eine Katze."}]
    path = written(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows)))
    found = read_references(path, Columns("en", "de"))
    assert [(pair.language, pair.source, pair.target) for pair in found] == [
        ("de", "A dog.", TARGET),
        ("any", "A cat.", "Eine Katze."),
    ]
    path = written(tmp_path / "p.tsv", f"de\ten\n{TARGET}\t{SOURCE}\n")
    assert read_references(path, Columns("en", "de"))[0].source == SOURCE


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.tsv", f"{SOURCE}\t{TARGET}\n", "line 1 has 2 cells between tabs and names no column `source`"),
        ("p.tsv", f"source\n{SOURCE}\n", "has no targets"),
        ("p.jsonl", json.dumps({"source": SOURCE}), "has no targets"),
        ("p.tsv", "", "holds no pairs"),
        ("none.tsv", None, "no pair file"),
    ],
)
def test_what_holds_no_references_is_one_sentence(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        written(tmp_path / name, text)
    with pytest.raises(InputError) as told:
        read_references(tmp_path / name)
    assert message in str(told.value)
