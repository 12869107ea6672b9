"""Texts as a model reads them, without the model: tokenizer and limits of a checkpoint, no weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interp.model.checkpoints import Checkpoint, read_host_config
from interp.text.raw_tokenizer import raw_tokenizer
from interp.text.tokenized_text import Text, length_limit, tokenize_all


@dataclass(frozen=True, slots=True)
class TextReader:
    """Reads the sources of one checkpoint.

    Attributes:
        tokenizer: as transformers loads it, or one that gives the same tokens.
        eos_token_id: the token that ends a text.
        pad_token_id: the token that fills a batch up.
        max_length: most tokens a text may have.
    """

    tokenizer: Any
    eos_token_id: int
    pad_token_id: int
    max_length: int

    def read(self, sources: Sequence[str]) -> list[Text]:
        """Sources, tokenized.

        Args:
            sources: texts with their task prefixes.

        Raises:
            InputError: if one is empty or too long.
        """
        return tokenize_all(sources, self.tokenizer, self.eos_token_id, self.max_length, "source")


def text_reader(checkpoint: Checkpoint) -> TextReader:
    """The reader of a checkpoint; torch is imported only where its tokenizer needs transformers.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: if its configuration or tokenizer cannot be read.
    """
    host = read_host_config(checkpoint)
    raw = raw_tokenizer(checkpoint.folder)
    if raw is not None and {"eos_token_id", "pad_token_id"} <= set(host):
        return TextReader(raw, host["eos_token_id"], host["pad_token_id"], length_limit(raw))
    from transformers import AutoConfig

    from interp.families.host_config import read_config
    from interp.families.table import family_of
    from interp.model.loading import read_tokenizer

    cfg = read_config(AutoConfig.from_pretrained(checkpoint.folder), family_of(host["model_type"], True))
    tokenizer = read_tokenizer(checkpoint)
    limit = min(length_limit(tokenizer), cfg.max_positions)
    return TextReader(tokenizer, cfg.eos_token_id, cfg.pad_token_id, limit)
