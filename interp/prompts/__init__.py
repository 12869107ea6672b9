"""Prompt sets: the bundled ones and the user's files, held or streamed."""

from interp.prompts.corpus import CorpusDigest, PromptStream
from interp.prompts.library import bundled, describe, names
from interp.prompts.parallel_words import WordPair, aligned_words
from interp.prompts.prompt import Prompt, PromptError, PromptSet
from interp.prompts.reader import parse_prompts, read_prompts
from interp.prompts.table_files import Columns

__all__ = [
    "Columns",
    "CorpusDigest",
    "Prompt",
    "PromptError",
    "PromptSet",
    "PromptStream",
    "WordPair",
    "aligned_words",
    "bundled",
    "describe",
    "names",
    "parse_prompts",
    "read_prompts",
]
