"""Texts as a model reads them, without the model: tokenizer and limits of a checkpoint, no weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from interp.errors import InputError
from interp.families.table import FAMILIES
from interp.model.checkpoints import Checkpoint, read_host_config
from interp.text.languages import Languages, languages_of
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
        languages: those of the texts.
    """

    tokenizer: Any
    eos_token_id: int
    pad_token_id: int
    max_length: int
    languages: Languages = field(default_factory=Languages)

    def read(self, sources: Sequence[str], prefix: str | None = None) -> list[Text]:
        """Sources, tokenized.

        Args:
            sources: texts with their task prefixes.
            prefix: the one that every source starts with, where it is none that T5 was trained with.

        Raises:
            InputError: if one is empty, too long, or does not start with the prefix, or a language is not named.
        """
        prefixes = None if prefix is None else [prefix] * len(sources)
        with self.languages.spoken(self.tokenizer):
            return tokenize_all(sources, self.tokenizer, self.eos_token_id, self.max_length, "source", prefixes)


def text_reader(
    checkpoint: Checkpoint,
    max_length: int | None = None,
    source_lang: str | None = None,
    target_lang: str | None = None,
) -> TextReader:
    """The reader of a checkpoint; torch is imported only where its tokenizer needs transformers.

    Args:
        checkpoint: where its files are.
        max_length: most tokens of a text, as for `load`.
        source_lang: code of the sources' language, as for `load`.
        target_lang: the same of the targets.

    Raises:
        InputError: if its configuration or tokenizer cannot be read, or it has no such language.
    """
    host = read_host_config(checkpoint)
    if (source := FAMILIES[host["model_type"]].host.constants.get("source", "tokens")) != "tokens":
        raise InputError(
            f"{checkpoint.name!r} reads sounds (source={source!r}), which have no tokens; give it --audio."
        )
    raw, eos, pad = raw_tokenizer(checkpoint.folder), host.get("eos_token_id"), host.get("pad_token_id")
    if raw is not None and checkpoint.adapter is None and isinstance(eos, int) and isinstance(pad, int):
        spoken = Languages().named(source_lang, target_lang)
        return TextReader(raw, eos, pad, length_limit(raw, None, max_length), spoken)
    from transformers import GenerationConfig

    from interp.families.host_config import read_config
    from interp.families.table import family_of
    from interp.model.loading import host_config, read_tokenizer

    config = host_config(checkpoint)
    stored = (checkpoint.folder / "generation_config.json").is_file()
    generation = (
        GenerationConfig.from_pretrained(checkpoint.folder) if stored else GenerationConfig.from_model_config(config)
    )
    cfg = read_config(config, family_of(host["model_type"], True), generation)
    tokenizer = read_tokenizer(checkpoint, config)
    languages = languages_of(tokenizer, generation, cfg.decoder_start_token_id).named(source_lang, target_lang)
    limit = length_limit(tokenizer, cfg.max_positions, max_length)
    return TextReader(tokenizer, cfg.eos_token_id, cfg.pad_token_id, limit, languages)
