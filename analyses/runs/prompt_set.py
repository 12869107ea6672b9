"""The prompts of a run: a bundled set, a file, or standard input. Read before anything heavy is imported."""

import json
from dataclasses import replace
from pathlib import Path

from analyses.runs.config import RunConfig
from interp import prompts as prompt_sets
from interp.errors import InputError
from interp.prompts import PromptSet

KEPT = "prompts.jsonl"
"""In a run's folder: the prompts, where they are no bundled ones."""


def read_prompt_set(
    name: str,
    limit: int | None,
    source_column: str | None = None,
    target_column: str | None = None,
    prefix: str | None = None,
) -> PromptSet:
    """A bundled prompt set by name, or a file or dataset, or `-`.

    Args:
        name: of the set, file or folder.
        limit: most prompts kept, from the start; None keeps all.
        source_column: of a table, where it is not called `source`.
        target_column: the same of the targets.
        prefix: what every source starts with (`Prompt.behind`).

    Raises:
        InputError: if it cannot be read, or words of a text are given that do not spell it.
    """
    looks_like_a_file = name == "-" or Path(name).suffix or Path(name).exists() or "/" in name
    is_file = name not in prompt_sets.names() and looks_like_a_file
    named = source_column is not None or target_column is not None
    if named and (name == "-" or not is_file):
        raise InputError("--source-column and --target-column name columns of a file; give one with --prompts.")
    if not is_file:
        return prompt_sets.bundled(name, limit).behind(prefix)
    columns = None
    if named:
        columns = prompt_sets.Columns("source" if source_column is None else source_column, target_column)
    return prompt_sets.read_prompts(name, limit, columns).behind(prefix)


def prompts_of(config: RunConfig, place: str | None = None) -> PromptSet:
    """The prompts of a configuration, or the same columns of another place.

    Raises:
        InputError: if they cannot be read.
    """
    return read_prompt_set(
        place or config.prompts, config.limit, config.source_column, config.target_column, config.prefix
    )


def kept_prompts(prompts: PromptSet) -> dict[str, bytes]:
    """The file by which a run can be made again where its prompts are not; none for a bundled set."""
    if prompts.name in prompt_sets.names() and prompt_sets.bundled(prompts.name).sha256 == prompts.sha256:
        return {}
    records = (
        {"id": one.id, "source": one.source, **({} if one.target is None else {"target": one.target}), **one.fields}
        for one in prompts.prompts
    )
    return {KEPT: b"".join((json.dumps(record, ensure_ascii=False) + "\n").encode() for record in records)}


def read_kept(content: bytes, sha256: str) -> PromptSet:
    """The prompts of a run from its own file, with the hash of what they were read from.

    Raises:
        InputError: if the content holds something that is no prompt.
    """
    return replace(prompt_sets.parse_prompts(content, "jsonl", KEPT), sha256=sha256)
