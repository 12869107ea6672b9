"""Prompt sets: the bundled ones and the user's files."""

from interp.prompts.library import bundled, describe, names
from interp.prompts.parallel_words import WordPair, aligned_words
from interp.prompts.prompt import Prompt, PromptError, PromptSet
from interp.prompts.reader import parse_prompts, read_prompts
from interp.prompts.table_files import Columns

__all__ = [
    "Columns",
    "Prompt",
    "PromptError",
    "PromptSet",
    "WordPair",
    "aligned_words",
    "bundled",
    "describe",
    "names",
    "parse_prompts",
    "read_prompts",
]
