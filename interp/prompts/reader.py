"""How do the user's texts become prompts?

Three formats are read: `.txt` (one source a line), `.jsonl` (one JSON object a line) and `.csv` (with a header). Texts are taken
as they stand: nothing is trimmed, cut, skipped or repaired. In `.jsonl` a text may be given as the list of its words. What cannot
be read as it stands is refused with one sentence that names the line. A whole file is checked even when only its first prompts
are wanted, so that no error hides behind a limit.
"""

import csv
import hashlib
import io
import json
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from interp.input_files import RepeatedKeyError, read_at_most, read_regular, without_repeats
from interp.prompts.prompt import Prompt, PromptError, PromptSet
from interp.prompts.table_files import TABLE_SUFFIXES, Columns, as_json_lines
from interp.text.words import Words, task_prefix

Format = Literal["txt", "jsonl", "csv"]

FORMAT_OF_SUFFIX: dict[str, Format] = {".txt": "txt", ".jsonl": "jsonl", ".csv": "csv"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# JSON escapes can spell these, but no tokenizer and no UTF-8 file can take them.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_OWN_KEYS = ("id", "source", "target")
_TEXT_KEYS = (*_OWN_KEYS, "prefix", "source_words", "target_words")
_LONGEST = 100_000
"""Characters of a text: several times what the longest models read."""
_MOST_FIELDS = 100

Record = tuple[int, dict[str, object]]
"""The line of a prompt and its values as found in the file, before they are checked."""


def read_prompts(path: str | Path, limit: int | None = None, columns: Columns | None = None) -> PromptSet:
    """Prompts of a `.txt`, `.jsonl` or `.csv` file, of a table (`interp.prompts.table_files`), or of standard input.

    A prompt without an `id` is named by its number in the file, from 1. In `.csv` an empty `target` means that there is none.

    Args:
        path: a file (UTF-8, with or without byte order mark, LF or CRLF), or "-" for standard input, which is read as JSON Lines
            if its first character other than white space is `{` and as plain lines otherwise.
        limit: most prompts kept, from the start; None keeps all.
        columns: where source and target stand, if they are called otherwise.

    Raises:
        PromptError: if the file cannot be read or holds something that is no prompt, or the limit is below 1.
    """
    if str(path) == "-":
        try:
            name, content = "stdin", read_at_most(sys.stdin.buffer)
        except OSError as error:
            raise PromptError(f"Standard input cannot be read ({error.strerror}); give prompts, one a line.") from None
        kind: Format = "jsonl" if content.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{") else "txt"
    elif columns is not None or Path(path).suffix.lower() in TABLE_SUFFIXES or Path(path).is_dir():
        name, kind, content = Path(path).name, "jsonl", as_json_lines(Path(path), columns or Columns())
    else:
        name, (kind, content) = Path(path).name, _opened(Path(path))
    return parse_prompts(content, kind, name, limit)


def parse_prompts(content: bytes, kind: Format, name: str, limit: int | None = None) -> PromptSet:
    """Prompts of a file's content.

    Args:
        content: all bytes of the file.
        kind: its format.
        name: name of the set; messages call the file by it.
        limit: most prompts kept, from the start; None keeps all.

    Raises:
        PromptError: if the content holds something that is no prompt, or the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise PromptError(f"Prompt limit is {limit}; it must be 1 or more, or left out to keep all prompts.")
    text = _decoded(content, name)
    records = records_of(io.StringIO(text, newline="" if kind == "csv" else "\n"), name, kind)
    lines: dict[str, int] = {}
    prompts: list[Prompt] = []
    for number, (line, values) in enumerate(records, start=1):
        prompt = checked_prompt(values, str(number), f"{name}, line {line}")
        if prompt.id in lines:
            raise PromptError(
                f"{name}, line {line}: id {prompt.id!r} was already used in line {lines[prompt.id]}; "
                "ids must be unique (a prompt without an id is named by its number), so rename one."
            )
        lines[prompt.id] = line
        prompts.append(prompt)
    if not prompts:
        raise PromptError(f"{name} has a header but no prompts; add at least one row below the header.")
    without_target = [lines[prompt.id] for prompt in prompts if prompt.target is None]
    if 0 < len(without_target) < len(prompts):
        raise PromptError(
            f"{name}, line {without_target[0]}: there is no target here, but {len(prompts) - len(without_target)} of the "
            f"{len(prompts)} prompts have one; give every prompt a target, or none and let the model generate them all."
        )
    return PromptSet(name, tuple(prompts[:limit]), hashlib.sha256(content).hexdigest())


def _opened(path: Path) -> tuple[Format, bytes]:
    """Format of a file, by its suffix in upper or lower case, and all its bytes."""
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise PromptError(f"{path} is a folder; give one .txt, .jsonl or .csv file.")
        if path.suffix.lower() not in FORMAT_OF_SUFFIX:
            raise PromptError(
                f"{path} ends in {path.suffix!r}, which is no prompt format; use .txt (one source a line), .jsonl or .csv."
            )
        return FORMAT_OF_SUFFIX[path.suffix.lower()], read_regular(path)
    except FileNotFoundError:
        raise PromptError(f"{path} does not exist; give the path of a .txt, .jsonl or .csv file.") from None
    except OSError as error:
        raise PromptError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from None


def _decoded(content: bytes, name: str) -> str:
    """Text of the file without its byte order mark."""
    mark = len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK) else 0
    if not content[mark:].strip():
        raise PromptError(f"{name} is empty; it must hold at least one prompt.")
    nul = content.find(b"\x00")
    if nul >= 0:
        raise PromptError(f"{name} has a NUL byte at byte {nul}: it is no text file in UTF-8; save it as UTF-8 text.")
    try:
        return content[mark:].decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + mark
        raise PromptError(
            f"{name} is not UTF-8: byte {offset} is 0x{content[offset]:02x}; save the file as UTF-8 text."
        ) from None


def records_of(lines: Iterable[str], name: str, kind: Format) -> Iterator[Record]:
    """Line and values of every prompt of a file, before they are checked (`checked_prompt`).

    Args:
        lines: of the file, each with its end.
        name: what messages call the file.
        kind: its format.

    Raises:
        PromptError: at the first line that is not of the format.
    """
    return _csv_records(lines, name) if kind == "csv" else _line_records(lines, name, kind)


def _line_records(lines: Iterable[str], name: str, kind: Format) -> Iterator[Record]:
    """One source or one JSON object a line; only LF and CRLF end a line, since texts may hold U+2028 and the like."""
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\n").removesuffix("\r")
        if not line.strip():
            raise PromptError(f"{name}, line {number} is empty; every line must hold one prompt, so remove the line.")
        if "\r" in line:
            raise PromptError(
                f"{name}, line {number} has a carriage return inside; lines must end in LF or CRLF, so convert the file."
            )
        yield number, {"source": line} if kind == "txt" else _json_object(line, f"{name}, line {number}")


def _json_object(line: str, place: str) -> dict[str, object]:
    """The JSON object on a line."""
    wrong = ""
    try:
        value = json.loads(line, object_pairs_hook=without_repeats)
        if isinstance(value, dict):
            return value
        wrong = f"holds a JSON {_json_type(value)}, not an object"
    except RepeatedKeyError as error:
        raise PromptError(f"{place}: key {error.key!r} appears twice in one object; keep one of them.") from None
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too large"
        wrong = f"is not valid JSON ({reason})"
    raise PromptError(f'{place} {wrong}; write one object a line, as {{"source": "..."}}.')


def _csv_records(lines: Iterable[str], name: str) -> Iterator[Record]:
    """One row a prompt, below a header that names the columns."""
    rows = csv.reader(lines, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for row in rows:
            if header is None:
                header = _checked_header(row, name)
            elif not row:
                raise PromptError(f"{name}, line {line} is empty; every row must hold one prompt, so remove the line.")
            elif len(row) != len(header):
                raise PromptError(
                    f"{name}, line {line} has {len(row)} cells, but the header has {len(header)}; give every row one cell a "
                    "column, with texts that contain commas in double quotes."
                )
            else:
                cells: dict[str, object] = dict(zip(header, row, strict=True))
                if cells.get("target") == "":
                    cells["target"] = None
                yield line, cells
            # A quoted cell may span lines: a row is named by the line on which it begins.
            line = rows.line_num + 1
    except csv.Error as error:
        raise PromptError(
            f"{name}, line {line} is not valid CSV ({error}); put texts with commas or quotes in double "
            "quotes and double the quotes inside."
        ) from None


def _checked_header(header: list[str], name: str) -> list[str]:
    """The header, if it names each column once and one of them `source`."""
    found = ", ".join(repr(column) for column in header)
    if len(header) > _MOST_FIELDS:
        raise PromptError(
            f"{name}: the header names {len(header):,} columns; at most {_MOST_FIELDS} are read, so leave some out."
        )
    if "source" not in header:
        raise PromptError(
            f"{name}: the first line must be a header with a column 'source', but has {found}; add the "
            "header, with columns separated by commas."
        )
    if len(set(header)) < len(header) or "" in header:
        raise PromptError(f"{name}: the header has {found}; every column needs a name of its own, so rename or remove.")
    return header


def checked_prompt(values: dict[str, object], number: str, place: str) -> Prompt:
    """The prompt of a record whose values are all of the right type.

    Args:
        values: of the record.
        number: its id, where it has none.
        place: what messages call it.

    Raises:
        PromptError: if it holds something that is no prompt.
    """
    if "source" not in values:
        raise PromptError(
            f"{place} has no 'source', only {', '.join(map(repr, list(values)[:10])) or 'nothing'}; add the source text."
        )
    if len(values) > _MOST_FIELDS:
        raise PromptError(
            f"{place} has {len(values):,} fields; a prompt has at most {_MOST_FIELDS}, so leave some out."
        )
    values = _texts_of_words(values, place)
    for key, value in values.items():
        if key == "target" and value is None:
            continue
        if not isinstance(value, str) and key not in _TEXT_KEYS:
            continue  # what else a file holds is no matter of ours
        if not isinstance(value, str):
            raise PromptError(f"{place}: {key!r} is a JSON {_json_type(value)}, not text; write it in double quotes.")
        if max(len(key), len(value)) > _LONGEST:
            raise PromptError(
                f"{place}: {key[:20]!r} has {max(len(key), len(value)):,} characters; a text has at most {_LONGEST:,}, so split "
                "it."
            )
        if key in _OWN_KEYS and not value.strip():
            remedy = "add the text" if key == "source" else "add it or leave it out"
            raise PromptError(f"{place}: {key!r} is empty; {remedy}.")
        if _NO_TEXT.search(key) or _NO_TEXT.search(value):
            raise PromptError(f"{place}: {key!r} holds a NUL or half a surrogate pair, which is no text; remove it.")
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    fields = {key: text for key, text in texts.items() if key not in _OWN_KEYS}
    return Prompt(texts.get("id", number), texts["source"], texts.get("target"), fields)


def _texts_of_words(values: dict[str, object], place: str) -> dict[str, object]:
    """The values, with lists of words joined into texts; the words of the text itself stand in a field of their own."""
    found = dict(values)
    for key in ("source", "target"):
        if not isinstance(words := values.get(key), list):
            continue
        if not words or not all(isinstance(word, str) and len(word.split()) == 1 for word in words):
            raise PromptError(f"{place}: {key!r} is a list, but not of words without spaces; give a text or its words.")
        text, _ = Words.joined(words)
        prefix = str(values.get("prefix", task_prefix(text))) if key == "source" else ""
        found |= {key: text, f"{key}_words": " ".join(words[len(prefix.split()) :])}
    return found


_JSON_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
}


def _json_type(value: object) -> str:
    """JSON's word for the type of a parsed value."""
    return _JSON_TYPES.get(type(value), "object")
