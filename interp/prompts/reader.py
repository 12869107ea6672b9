"""How do the user's texts become prompts?

Three formats are read: `.txt` (one source a line), `.jsonl` (one JSON object a line) and `.csv` (with a header). Texts are taken
as they stand: nothing is trimmed, cut, skipped or repaired. In `.jsonl` a text may be given as the list of its words. What cannot
be read as it stands is refused with one sentence that names the line. A whole file is checked even when only its first prompts
are wanted, so that no error hides behind a limit.
"""

import hashlib
import io
import sys
from collections.abc import Iterable
from pathlib import Path

from interp.input_files import read_at_most, read_regular
from interp.prompts.prompt import Prompt, PromptError, PromptSet
from interp.prompts.table_files import TABLE_SUFFIXES, Columns, read_table
from interp.prompts.text_files import FILES, LONGEST, MOST_FIELDS, Format, Record, json_type, records_of
from interp.text.characters import NO_TEXT
from interp.text.words import Words, task_prefix

FORMAT_OF_SUFFIX: dict[str, Format] = {".txt": "txt", ".jsonl": "jsonl", ".csv": "csv"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OWN_KEYS = ("id", "source", "target")
_TEXT_KEYS = (*_OWN_KEYS, "prefix", "source_words", "target_words")


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
        table = Path(path)
        return _prompt_set(*read_table(table, columns or Columns()), table.name, limit)
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
    text = _decoded(content, name)
    records = records_of(io.StringIO(text, newline="" if kind == "csv" else "\n"), name, kind)
    return _prompt_set(records, hashlib.sha256(content).hexdigest(), name, limit)


def _prompt_set(records: Iterable[Record], sha256: str, name: str, limit: int | None) -> PromptSet:
    """The prompts of records, each checked and all held to have ids of their own, and all or none a target."""
    if limit is not None and limit < 1:
        raise PromptError(f"Prompt limit is {limit}; it must be 1 or more, or left out to keep all prompts.")
    places: dict[str, str] = {}
    prompts: list[Prompt] = []
    for number, (place, values) in enumerate(records, start=1):
        prompt = checked_prompt(values, str(number), f"{name}, {place}")
        if prompt.id in places:
            raise PromptError(
                f"{name}, {place}: id {prompt.id!r} was already used in {places[prompt.id]}; "
                "ids must be unique (a prompt without an id is named by its number), so rename one."
            )
        places[prompt.id] = place
        prompts.append(prompt)
    if not prompts:
        raise PromptError(f"{name} has a header but no prompts; add at least one row below the header.")
    without_target = [places[prompt.id] for prompt in prompts if prompt.target is None]
    if 0 < len(without_target) < len(prompts):
        raise PromptError(
            f"{name}, {without_target[0]}: there is no target here, but {len(prompts) - len(without_target)} of the "
            f"{len(prompts)} prompts have one; give every prompt a target, or none and let the model generate them all."
        )
    return PromptSet(name, tuple(prompts[:limit]), sha256)


def _opened(path: Path) -> tuple[Format, bytes]:
    """Format of a file, by its suffix in upper or lower case, and all its bytes."""
    try:
        path.stat()
        if path.suffix.lower() not in FORMAT_OF_SUFFIX:
            raise PromptError(f"{path} ends in {path.suffix!r}, which is no prompt format; give {FILES}.")
        return FORMAT_OF_SUFFIX[path.suffix.lower()], read_regular(path)
    except FileNotFoundError:
        raise PromptError(f"{path} does not exist; give the path of {FILES}.") from None
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
    if len(values) > MOST_FIELDS:
        raise PromptError(f"{place} has {len(values):,} fields; a prompt has at most {MOST_FIELDS}, so leave some out.")
    values = _texts_of_words(values, place)
    for key, value in values.items():
        if key == "target" and value is None:
            continue
        if not isinstance(value, str) and key not in _TEXT_KEYS:
            continue  # what else a file holds is no matter of ours
        if not isinstance(value, str):
            raise PromptError(f"{place}: {key!r} is a JSON {json_type(value)}, not text; write it in double quotes.")
        if max(len(key), len(value)) > LONGEST:
            raise PromptError(
                f"{place}: {key[:20]!r} has {max(len(key), len(value)):,} characters; a text has at most {LONGEST:,}, so split "
                "it."
            )
        if key in _OWN_KEYS and not value.strip():
            remedy = "add the text" if key == "source" else "add it or leave it out"
            raise PromptError(f"{place}: {key!r} is empty; {remedy}.")
        if NO_TEXT.search(key) or NO_TEXT.search(value):
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
