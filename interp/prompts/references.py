"""Sources with the targets that they should have: lines of translation pairs, or any prompts with targets.

Lines say of which corpus and language they are; prompts are told apart by their task, which their prefix names.
"""

from pathlib import Path

from interp.input_files import open_regular
from interp.prompts.prompt import PromptError
from interp.prompts.reader import read_prompts
from interp.prompts.table_files import TABLE_SUFFIXES, Columns
from interp.text.translation_pairs import FORM, TranslationPair, read_pairs

_LONGEST_HEADER = 10_000


def read_references(path: Path, columns: Columns | None = None) -> tuple[TranslationPair, ...]:
    """The pairs of a file of translation pairs (`interp.text.translation_pairs`), or of prompts that have targets.

    The corpus of prompts is called by their file, and the language is what a field `language` says, else the task prefix.

    Args:
        path: a file, or the folder of a dataset.
        columns: where source and target stand, if they are called otherwise.

    Raises:
        InputError: if it cannot be read, or holds no pairs.
    """
    suffix = path.suffix.lower()
    if columns is None and not path.is_dir() and suffix not in (".jsonl", ".csv", *TABLE_SUFFIXES):
        return read_pairs(path)
    if columns is None and suffix == ".tsv" and not _has_header(path):
        return read_pairs(path)
    prompts = read_prompts(path, columns=columns).prompts
    if any(prompt.target is None for prompt in prompts):
        raise PromptError(
            f"{path.name} has no targets, with which translations could be compared; give a column `target`, or name one."
        )
    found = []
    for prompt in prompts:
        pair = TranslationPair(path.name, "", prompt.source, prompt.target or "")
        language = prompt.fields.get("language") or pair.prefix.strip().rstrip(":") or "any"
        found.append(TranslationPair(pair.corpus, language, pair.source, pair.target))
    return tuple(found)


def _has_header(path: Path) -> bool:
    """Whether the first line names columns; one that is neither that nor a translation pair is refused."""
    try:
        with open_regular(path) as file:
            cells = file.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace").rstrip("\r\n").split("\t")
    except OSError:  # the reader of pairs says why
        return False
    if "source" not in cells and len(cells) != 4 and cells != [""]:
        raise PromptError(
            f"{path.name}, line 1 has {len(cells)} cells between tabs and names no column `source`; give lines {FORM}, or a "
            "header with the columns `source` and `target`, or name the header's columns."
        )
    return "source" in cells
