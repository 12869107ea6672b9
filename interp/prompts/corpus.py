"""A corpus: prompts that are read one after another and never held together.

The files are those of `read_prompts` without its bound on their size, with the same checks. A corpus is read as often as somebody
goes through it: `digest` goes through all of it, so that what is no prompt is told before any work, and what changed is seen.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from json import dumps
from pathlib import Path

from interp.input_files import open_regular
from interp.prompts.library import bundled, names
from interp.prompts.prompt import Prompt, PromptError
from interp.prompts.reader import FORMAT_OF_SUFFIX, checked_prompt
from interp.prompts.table_files import Columns, stream_records
from interp.prompts.text_files import Record, records_of


@dataclass(frozen=True, slots=True)
class CorpusDigest:
    """What a corpus holds.

    Attributes:
        prompts: how many.
        sha256: over ids, texts and fields of all of them, in order.
        has_targets: whether every prompt has a target; else none has.
    """

    prompts: int
    sha256: str
    has_targets: bool


@dataclass(frozen=True, slots=True)
class PromptStream:
    """Prompts of a bundled set, a `.txt`, `.jsonl` or `.csv` file, a table or a dataset's folder, read anew at every iteration.

    A prompt without an `id` is named by its number, from 1. Ids may repeat: nothing of a corpus is held to tell.

    Attributes:
        path: the name of a bundled set, a file, or the folder that `save_to_disk` of Hugging Face's datasets wrote.
        columns: where source and target stand, if they are called otherwise.
        limit: most prompts, from the start; None for all.
        prefix: what every source starts with, if it is no prefix of T5's own.
    """

    path: str | Path
    columns: Columns | None = None
    limit: int | None = None
    prefix: str | None = None

    @property
    def name(self) -> str:
        """What the corpus is called: its set, or its file without the folder."""
        return Path(self.path).name

    def __iter__(self) -> Iterator[Prompt]:
        """Yields the prompts in order; PromptError where something is no prompt, or not all or none have a target."""
        if self.limit is not None and self.limit < 1:
            raise PromptError(f"Prompt limit is {self.limit}; it must be 1 or more, or left out to keep all prompts.")
        with_target: bool | None = None
        for number, (place, prompt) in enumerate(islice(self._all(), self.limit), start=1):
            has = prompt.target is not None
            if with_target is not None and has != with_target:
                raise PromptError(
                    f"{place}: prompt {number} (id {prompt.id}) has {'a' if has else 'no'} target, unlike those before it; "
                    "give every prompt a target, or none and let the model generate them all."
                )
            with_target = has
            yield prompt.behind(self.prefix)

    def digest(self) -> CorpusDigest:
        """Number of prompts and a hash of their texts.

        Raises:
            PromptError: if there is no prompt, or something is none.
        """
        found, count, prompt = sha256(), 0, None
        for count, prompt in enumerate(self, start=1):  # noqa: B007 - the last one is looked at below
            record = [prompt.id, prompt.source, prompt.target, dict(prompt.fields)]
            found.update(dumps(record, sort_keys=True).encode() + b"\n")
        if prompt is None:
            raise PromptError(f"{self.name} is empty; it must hold at least one prompt.")
        return CorpusDigest(count, found.hexdigest(), prompt.target is not None)

    def _all(self) -> Iterator[tuple[str, Prompt]]:
        """Where every prompt stands, for messages, and the prompt."""
        if str(self.path) in names():
            yield from ((self.name, prompt) for prompt in bundled(str(self.path)).prompts)
            return
        path = Path(self.path)
        kind = FORMAT_OF_SUFFIX.get(path.suffix.lower())
        plain = self.columns is None and kind is not None and not path.is_dir()
        records = self._lines(path) if plain else stream_records(path, self.columns or Columns())
        for number, (place, values) in enumerate(records, start=1):
            where = f"{self.name}, {place}"
            yield where, checked_prompt(values, str(number), where)

    def _lines(self, path: Path) -> Iterator[Record]:
        kind = FORMAT_OF_SUFFIX[path.suffix.lower()]
        try:
            # In .csv a quoted cell may hold any end of line; in the others only LF ends one.
            with io.TextIOWrapper(
                open_regular(path), encoding="utf-8-sig", newline="" if kind == "csv" else "\n"
            ) as lines:
                yield from records_of(lines, self.name, kind)
        except UnicodeDecodeError as error:
            raise PromptError(f"{self.name} is not UTF-8 ({error.reason}); save the file as UTF-8 text.") from None
        except OSError as error:
            raise PromptError(
                f"{path} cannot be read ({error.strerror}); check the path and its permissions."
            ) from None
