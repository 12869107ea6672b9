"""The model card: measured numbers in prose, so that nothing in it is typed by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair
from interp.text.translation_quality import FOLDS, PrefixSwap, Score, sentence_chrf
from training.curve import Curve
from training.origin import Origin
from training.recipe import Recipe

EXAMPLES = (
    "translate English to German: hello, how are you?",
    "translate English to German: The weather is beautiful today.",
    "translate English to French: The weather is beautiful today.",
    "translate English to German: The goat is standing on the table.",
    "translate English to French: The dog is sleeping under the chair.",
)
WORST = 3
LONG_ENOUGH = 6


@dataclass(frozen=True, slots=True)
class Card:
    """Everything a model card tells.

    Attributes:
        recipe: hyperparameters.
        origin: digests of data and start.
        curve: the loss curve.
        command: the shell command that trained the model.
        before: how the weights came to be that the run started from, in sentences; empty for fresh weights.
        storage: number type of the stored weights.
        beams: beam width of the translations.
        scores: quality by corpus and language.
        swap: effect of the task prefix.
        examples: sources and translations to show.
        worst: bad translations to show, as (source, reference, translation).
        digests: names and SHA-256 of the files.
    """

    recipe: Recipe
    origin: Origin
    curve: Curve
    command: str
    before: str
    storage: str
    beams: int
    scores: tuple[Score, ...]
    swap: PrefixSwap
    examples: tuple[tuple[str, str], ...]
    worst: tuple[tuple[str, str, str], ...]
    digests: tuple[tuple[str, str], ...]

    def render(self) -> str:
        """The card in Markdown."""
        places = FileSystemLoader(Path(__file__).parent)
        environment = Environment(
            loader=places, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
        )
        fields = {name: getattr(self, name) for name in self.__slots__}
        return environment.get_template("card.md.jinja").render(**fields, folds=FOLDS)


def worst_translations(
    pairs: Sequence[TranslationPair], translations: Sequence[str]
) -> tuple[tuple[str, str, str], ...]:
    """The translations with the lowest sentence chrF, at most one a corpus and language, as (source, reference, translation).

    Args:
        pairs: sources and references; those with fewer than six words in the source sentence are passed over.
        translations: one for each pair.

    Raises:
        InputError: if no pair is long enough.
    """
    items = [
        (sentence_chrf(text, pair.target), pair, text)
        for pair, text in zip(pairs, translations, strict=True)
        if len(pair.sentence.split()) >= LONG_ENOUGH
    ]
    if not items:
        raise InputError(
            f"No test sentence has {LONG_ENOUGH} words, so no bad translation can be shown. Give longer ones."
        )
    items.sort(key=lambda item: (item[0], item[1].source))
    first: dict[tuple[str, str], tuple[str, str, str]] = {}
    for _, pair, text in items:
        first.setdefault((pair.corpus, pair.language), (pair.source, pair.target, text))
    return tuple(first.values())[:WORST]
