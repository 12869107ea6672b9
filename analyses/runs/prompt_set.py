"""The prompts of a run: a bundled set, a file, or standard input. Read before anything heavy is imported."""

from pathlib import Path

from interp import prompts as prompt_sets
from interp.prompts import PromptSet


def read_prompt_set(name: str, limit: int | None) -> PromptSet:
    """A bundled prompt set by name, or a file, or `-`.

    Raises:
        InputError: if it cannot be read.
    """
    looks_like_a_file = name == "-" or Path(name).suffix or Path(name).exists() or "/" in name
    is_file = name not in prompt_sets.names() and looks_like_a_file
    return (prompt_sets.read_prompts if is_file else prompt_sets.bundled)(name, limit)
