"""From which language into which does a text ask to be translated, if it does?

T5 is told by a task prefix, Marian of many languages by a mark of the target, other translation models by the languages of their
tokenizer. Summaries, sentiments and the like are no translations, and what is about languages is not asked of them.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from interp.text.function_words import language_name
from interp.text.languages import Languages
from interp.text.tokenized_text import Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Task = tuple[str, str]
"""Languages of source and target: English names in small letters, or codes of languages that have no list of function words."""

_PREFIX = re.compile(r"\s*translate ([^\W\d_]+) to ([^\W\d_]+):", re.IGNORECASE)
_MARK = re.compile(r"\s*(>>[^<>\s]+<<)")


def translation_tasks(
    texts: Iterable[Text], tokenizer: "PreTrainedTokenizerBase | None", languages: Languages
) -> tuple[Task | None, ...]:
    """The languages of every source; None for those that ask for no translation, or not for which.

    Args:
        texts: the sources.
        tokenizer: the model's tokenizer; Marian's names its two languages.
        languages: of the model's texts, where it marks them.
    """
    source = language_name(languages.source or getattr(tokenizer, "source_lang", None) or "")
    target = language_name(languages.target or getattr(tokenizer, "target_lang", None) or "")
    tasks: list[Task | None] = []
    for text in texts:
        told, mark = _PREFIX.match(text.prefix), _MARK.match(text.prefix)
        wanted = language_name(mark[1]) if mark else target
        tasks.append((told[1].lower(), told[2].lower()) if told else (source, wanted) if source and wanted else None)
    return tuple(tasks)
