"""Prompts are read exactly as they stand, or refused with a sentence that says where and why."""

import hashlib
import io
import json
import os
import pickle
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.prompts import Prompt, PromptError, bundled, describe, names, parse_prompts, read_prompts

PREFIX = re.compile(r"^translate English to (German|French): (.+)$")


@pytest.fixture
def write(tmp_path):
    def writing(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return writing


def test_txt_gives_one_source_a_line_untouched(write):
    content = "  two spaces first\nsecond\ttab, trailing \nline\u2028separator stays\n"
    prompts = read_prompts(write("mine.txt", content))
    assert prompts.name == "mine.txt"
    assert prompts.sources == ["  two spaces first", "second\ttab, trailing ", "line\u2028separator stays"]
    assert [prompt.id for prompt in prompts.prompts] == ["1", "2", "3"]
    assert prompts.targets is None
    assert prompts.sha256 == hashlib.sha256(content.encode("utf-8")).hexdigest()


def test_jsonl_keeps_targets_ids_and_further_fields(write):
    lines = [
        {"id": "a", "source": "Guten Tag", "target": "Grüß Gott", "language": "German"},
        {"source": "Hello", "target": "x"},
    ]
    prompts = read_prompts(write("mine.JSONL", "\n".join(json.dumps(line) for line in lines)))
    assert prompts.prompts == (
        Prompt("a", "Guten Tag", "Grüß Gott", {"language": "German"}),
        Prompt("2", "Hello", "x", {}),
    )
    assert prompts.targets == ["Grüß Gott", "x"]


def test_jsonl_takes_lists_of_words(write):
    source = ["translate", "English", "to", "German:", "The", "cat", "."]
    lines = [
        {"source": source, "target": ["我", "喜欢"]},
        {"source": ["x:", "I", "do"], "prefix": "x:", "target": "b c"},
    ]
    first, second = read_prompts(write("p.jsonl", "\n".join(json.dumps(line) for line in lines))).prompts
    assert (first.source, first.target) == ("translate English to German: The cat .", "我喜欢")
    assert first.fields == {"source_words": "The cat .", "target_words": "我 喜欢"}
    assert first.given == (source, ["我", "喜欢"])
    assert (second.source, second.fields["source_words"]) == ("x: I do", "I do")
    assert second.given == (["x:", "I", "do"], "b c")


def test_gold_words_that_undo_what_the_text_joins_leave_the_text_as_it_is():
    assert Prompt("1", "Don't.", None, {"source_words": "Don 't ."}).given == ("Don't.", None)


def test_jsonl_null_target_is_no_target(write):
    assert read_prompts(write("p.jsonl", '{"source": "a", "target": null}')).targets is None


def test_csv_reads_quotes_commas_and_cells_over_several_lines(write):
    content = 'source,target,kind\n"a, ""b""",x,\n"two\nlines",y,k\n'
    prompts = read_prompts(write("mine.csv", content))
    assert prompts.sources == ['a, "b"', "two\nlines"]
    assert [dict(prompt.fields) for prompt in prompts.prompts] == [{"kind": ""}, {"kind": "k"}]


def test_csv_empty_target_cells_mean_no_target(write):
    assert read_prompts(write("p.csv", "source,target\na,\nb,\n")).targets is None


PLAIN = {
    "p.txt": "é a\nb\n",
    "p.jsonl": '{"source": "é a"}\n{"source": "b"}\n',
    "p.csv": "source\né a\nb\n",
}


@pytest.mark.parametrize("name", PLAIN)
def test_byte_order_mark_and_crlf_change_nothing_but_the_fingerprint(write, name):
    first = read_prompts(write(name, PLAIN[name]))
    second = read_prompts(write(name, b"\xef\xbb\xbf" + PLAIN[name].replace("\n", "\r\n").encode("utf-8")))
    assert first.prompts == second.prompts
    assert first.sources == ["é a", "b"]
    assert first.sha256 != second.sha256


def test_limit_keeps_the_first_prompts_and_the_whole_fingerprint(write):
    path = write("p.txt", "a\nb\nc\n")
    assert read_prompts(path, limit=2).sources == ["a", "b"]
    assert read_prompts(path, limit=9).sources == ["a", "b", "c"]
    assert read_prompts(path, limit=2).sha256 == read_prompts(path).sha256


def test_limit_does_not_hide_an_error_further_down(write):
    with pytest.raises(PromptError, match="line 3 is empty"):
        read_prompts(write("p.txt", "a\nb\n\nc\n"), limit=1)


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_refused(write, limit):
    with pytest.raises(PromptError, match=f"limit is {limit}; it must be 1 or more"):
        read_prompts(write("p.txt", "a\n"), limit=limit)
    with pytest.raises(PromptError, match=f"limit is {limit}; it must be 1 or more"):
        bundled("translation", limit=limit)


@pytest.mark.parametrize("stdin_path", ["-", Path("-")])
@pytest.mark.parametrize(
    ("content", "sources"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b'{"source": "one"}\n', ["one"]),
        (b'\xef\xbb\xbf  {"source": "one"}\n', ["one"]),
        (b"[one]\n", ["[one]"]),
    ],
)
def test_standard_input_is_lines_unless_it_begins_with_a_brace(monkeypatch, stdin_path, content, sources):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    prompts = read_prompts(stdin_path)
    assert prompts.name == "stdin"
    assert prompts.sources == sources


REFUSED = {
    "empty file": ("p.txt", "", "p.txt is empty; it must hold at least one prompt"),
    "only white space": ("p.jsonl", "\n \n", "p.jsonl is empty"),
    "only a mark": ("p.txt", b"\xef\xbb\xbf", "p.txt is empty"),
    "empty line": ("p.txt", "a\n\nb\n", "p.txt, line 2 is empty; every line must hold one prompt"),
    "blank line": ("p.txt", "a\n \t\n", "p.txt, line 2 is empty"),
    "empty last line": ("p.jsonl", '{"source": "a"}\n\n', "p.jsonl, line 2 is empty"),
    "old Mac lines": ("p.txt", "a\rb\r", "line 1 has a carriage return inside"),
    "suffix": ("p.xlsx", "a", "p.xlsx ends in '.xlsx', which is no prompt format; give a .txt"),
    "no suffix": ("prompts", "a", "ends in '', which is no prompt format"),
    "nul": ("p.txt", b"a\nb\x00", "p.txt has a NUL byte at byte 3"),
    "utf-16": ("p.txt", "ab".encode("utf-16"), "p.txt has a NUL byte"),
    "latin-1": ("p.csv", "source\nf\xfcr".encode("latin-1"), "p.csv is not UTF-8: byte 8 is 0xfc; save"),
    "latin-1 after mark": ("p.txt", b"\xef\xbb\xbfa\xff", "byte 4 is 0xff"),
    "bad JSON": (
        "p.jsonl",
        '{"source": "a"}\n{"source": }\n',
        "line 2 is not valid JSON (Expecting value, column 12)",
    ),
    "deep JSON": ("p.jsonl", '{"source": ' + "[" * 100_000, "line 1 is not valid JSON"),
    "long number": ("p.jsonl", '{"source": ' + "1" * 5000 + "}", "line 1 is not valid JSON (too large)"),
    "array": ("p.jsonl", '["a"]\n', "line 1 holds a JSON array, not an object"),
    "string": ("p.jsonl", '"a"\n', "line 1 holds a JSON string, not an object"),
    "no source": (
        "p.jsonl",
        '{"source": "a"}\n{"x": "b"}\n',
        "line 2 has no 'source', only 'x'; add the source",
    ),
    "empty object": ("p.jsonl", "{}\n", "line 1 has no 'source', only nothing"),
    "number": ("p.jsonl", '{"source": 5}\n', "line 1: 'source' is a JSON number, not text; write it in"),
    "null source": ("p.jsonl", '{"source": null}\n', "'source' is a JSON null, not text"),
    "list id": ("p.jsonl", '{"source": "a", "id": ["b"]}\n', "'id' is a JSON array, not text"),
    "list of numbers": ("p.jsonl", '{"source": "a", "target": ["b", 1]}\n', "'target' is a list, but not of words"),
    "list of texts": ("p.jsonl", '{"source": ["a b"]}\n', "'source' is a list, but not of words without spaces"),
    "list of nothing": ("p.jsonl", '{"source": []}\n', "'source' is a list, but not of words"),
    "number id": ("p.jsonl", '{"source": "a", "id": 1}\n', "'id' is a JSON number, not text"),
    "boolean prefix": ("p.jsonl", '{"source": "a", "prefix": true}\n', "'prefix' is a JSON boolean, not text"),
    "object words": ("p.jsonl", '{"source": "a", "source_words": {}}\n', "'source_words' is a JSON object, not text"),
    "empty source": ("p.jsonl", '{"source": " "}\n', "line 1: 'source' is empty; add the text"),
    "empty target": (
        "p.jsonl",
        '{"source": "a", "target": ""}\n',
        "'target' is empty; add it or leave it out",
    ),
    "key twice": ("p.jsonl", '{"source": "a", "source": "b"}\n', "line 1: key 'source' appears twice"),
    "surrogate": ("p.jsonl", '{"source": "a\\ud800"}\n', "'source' holds a NUL or half a surrogate pair"),
    "escaped nul": ("p.jsonl", '{"source": "a\\u0000"}\n', "'source' holds a NUL or half a surrogate pair"),
    "surrogate key": ("p.jsonl", '{"source": "a", "k\\udfff": ""}\n', "holds a NUL or half a surrogate pair"),
    "id twice": (
        "p.jsonl",
        '{"source": "a", "id": "x"}\n{"source": "b"}\n{"source": "c", "id": "x"}\n',
        "line 3: id 'x' was already used in line 1; ids must be unique",
    ),
    "id like a number": (
        "p.jsonl",
        '{"source": "a", "id": "2"}\n{"source": "b"}\n',
        "line 2: id '2' was already used in line 1",
    ),
    "some targets": (
        "p.jsonl",
        '{"source": "a", "target": "x"}\n{"source": "b"}\n{"source": "c", "target": "x"}\n',
        "line 2: there is no target here, but 2 of the 3 prompts have one; give every prompt a target",
    ),
    "csv without header": (
        "p.csv",
        "Hello\nYou\n",
        "must be a header with a column 'source', but has 'Hello'",
    ),
    "csv with semicolons": (
        "p.csv",
        "source;target\na;b\n",
        "but has 'source;target'; add the header, with columns",
    ),
    "csv header only": ("p.csv", "source,target\n", "p.csv has a header but no prompts"),
    "csv header twice": (
        "p.csv",
        "source,source\na,b\n",
        "header has 'source', 'source'; every column needs a name",
    ),
    "csv nameless column": ("p.csv", "source,\na,b\n", "header has 'source', ''; every column needs a name"),
    "csv ragged": ("p.csv", "source,target\na,b\nc\n", "line 3 has 1 cells, but the header has 2"),
    "csv ragged after long cell": (
        "p.csv",
        'source\n"a\nb"\nc,d\n',
        "line 4 has 2 cells, but the header has 1",
    ),
    "csv empty row": ("p.csv", "source\na\n\nb\n", "line 3 is empty; every row must hold one prompt"),
    "csv open quote": ("p.csv", 'source\na\n"b\n', "line 3 is not valid CSV"),
    "csv text after quote": ("p.csv", 'source\n"a" b\n', "line 2 is not valid CSV"),
    "csv empty source": ("p.csv", "source,target\n,b\n", "line 2: 'source' is empty; add the text"),
}


@pytest.mark.parametrize(("name", "content", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_as_it_stands_is_refused_in_one_sentence(write, name, content, message):
    with pytest.raises(PromptError, match=re.escape(message)) as caught:
        read_prompts(write(name, content))
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert text.count(". ") == 0


def test_missing_file_and_folder_are_refused(tmp_path, write):
    with pytest.raises(PromptError, match=r"no\.txt does not exist; give the path"):
        read_prompts(tmp_path / "no.txt")
    with pytest.raises(PromptError, match="is a folder and no dataset"):
        read_prompts(tmp_path)
    with pytest.raises(PromptError, match=r"cannot be read \(Not a directory\)"):
        read_prompts(write("file.txt", "a") / "below.txt")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all: run as another user")
def test_file_without_permission_is_refused(write):
    path = write("p.txt", "a\n")
    path.chmod(0)
    with pytest.raises(PromptError, match=r"cannot be read \(Permission denied\)"):
        read_prompts(path)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_texts_survive_json_lines(pairs):
    content = "\n".join(json.dumps({"source": source, "target": target}) for source, target in pairs)
    prompts = parse_prompts(content.encode("ascii"), "jsonl", "p.jsonl")
    assert list(zip(prompts.sources, prompts.targets, strict=True)) == pairs


@given(st.binary(max_size=60), st.sampled_from(["txt", "jsonl", "csv"]))
def test_no_bytes_whatever_give_any_error_but_ours(content, kind):
    try:
        prompts = parse_prompts(content, kind, "p")
    except PromptError:
        return
    assert all(source.strip() for source in prompts.sources)


def test_bundled_names_are_described_and_unknown_ones_answered_with_the_nearest():
    assert names() == ("translation", "references")
    for name in names():
        assert len(bundled(name)) > 0
        assert "\n" not in describe(name)
    with pytest.raises(PromptError, match=r"no bundled prompt set 'Translatoin' \(did you mean 'translation'\?\)"):
        bundled("Translatoin")
    with pytest.raises(PromptError, match=r"set 'zzz'; the bundled sets are translation, references; for a file"):
        bundled("zzz")


def test_translation_pairs_each_sentence_with_both_languages():
    prompts = bundled("translation")
    assert len(prompts) == 64
    assert prompts.targets is None
    sentences: dict[str, dict[str, str]] = {}
    for prompt in prompts.prompts:
        found = PREFIX.match(prompt.source)
        assert found is not None
        assert found[1] == prompt.fields["language"]
        assert 5 <= len(found[2].split()) <= 14
        sentences.setdefault(prompt.fields["pair"], {})[found[1]] = found[2]
    assert len(sentences) == 32
    for pair in sentences.values():
        assert pair["German"] == pair["French"]
    assert len({pair["German"] for pair in sentences.values()}) == 32
    words = {word.strip(".?,").lower() for pair in sentences.values() for word in pair["German"].split()}
    assert {"chair", "table", "plate", "knife", "spoon", "horse", "goat", "sheep", "cat", "dog"} <= words


def test_references_are_prompts_of_the_default_set_with_targets():
    references = bundled("references")
    sources = {prompt.id: prompt.source for prompt in bundled("translation").prompts}
    assert len(references) == 24
    assert references.targets is not None
    for prompt in references.prompts:
        assert sources[prompt.id] == prompt.source
    assert len(set(references.targets)) == 24


def test_prompt_sets_can_be_hashed_and_sent_to_another_process():
    prompts = bundled("references", limit=3)
    assert pickle.loads(pickle.dumps(prompts)) == prompts  # noqa: S301 -- our own bytes
    assert len({hash(prompt) for prompt in prompts.prompts}) == 3


@pytest.mark.parametrize(
    ("prompt", "prefix", "sentence"),
    [
        (Prompt("1", "translate English to German: A dog."), "translate English to German:", "A dog."),
        (Prompt("2", "say: A dog.", None, {"prefix": "say: "}), "say: ", "A dog."),
        (Prompt("3", "summarize: A dog.", None, {"prefix": ""}), "", "summarize: A dog."),
        (Prompt("4", "A dog."), "", "A dog."),
    ],
)
def test_a_prompt_knows_its_prefix_and_its_sentence(prompt: Prompt, prefix: str, sentence: str) -> None:
    assert (prompt.prefix, prompt.sentence) == (prefix, sentence)
