"""The model card: measured numbers in prose, so that nothing in it is typed by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair
from interp.text.translation_quality import FOLDS, PrefixSwap, Score, sentence_chrf
from training.abilities import EVERY, Abilities
from training.curve import Curve
from training.origin import Origin
from training.recipe import Recipe

EXAMPLES = (
    "translate English to German: hello, how are you?",
    "translate english to german: hello, how are you?",
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
        averaged: share and digest of the weights that the run's were averaged with; none if they were not.
        storage: number type of the stored weights.
        beams: beam width of the translations.
        scores: quality by corpus and language.
        swap: effect of the task prefix.
        abilities: what it can do beside that.
        examples: sources and translations to show.
        worst: bad translations to show, as (source, reference, translation).
        digests: names and SHA-256 of the files.
    """

    recipe: Recipe
    origin: Origin
    curve: Curve
    command: str
    before: str
    averaged: tuple[float, str] | None
    storage: str
    beams: int
    scores: tuple[Score, ...]
    swap: PrefixSwap
    abilities: Abilities
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
        return environment.get_template("card.md.jinja").render(
            **fields, folds=FOLDS, every=EVERY, tasks=told_tasks(self.recipe)
        )


def told_tasks(recipe: Recipe) -> tuple[str, ...]:
    """What the model was taught beside the pairs as they are, a sentence for each field of the recipe that is not 0."""

    def share(value: float) -> str:
        return f"{100 * value:.0f} %"

    joined = f", {share(recipe.joined_spans)} of them of two or three sentences" if recipe.joined_spans else ""
    rolled = "anywhere" if recipe.roll_spans else "the last token always hidden"
    told = {
        "German and French into English": recipe.reverse * recipe.reverse_share,
        f"span corruption as T5's (15 % of the tokens in spans of mean length 3, {rolled}{joined})": recipe.spans,
        "one hidden word": recipe.infills,
        '"language: " and a text, answered by the name of its language': recipe.labels,
    }
    tasks = [f"{name} (of {share(value)} of the pairs)" for name, value in told.items() if value]
    varied = {
        "have a prefix in lower case": recipe.lower_prefixes,
        "have a prefix in upper case": recipe.upper_prefixes,
        "lose their closing mark": recipe.lost_marks,
        "are in lower case": recipe.lower_sentences,
        "have one letter left out, doubled or swapped": recipe.slips,
        "are of two sentences": recipe.joined,
        "have digits for a number word": recipe.counts,
    }
    sources = [f"{share(value)} {name}" for name, value in varied.items() if value]
    sentences = []
    if tasks:
        sentences.append(f"Tasks beside translation from English: {'; '.join(tasks)}.")
    if sources:
        sentences.append(f"Of the sources of translation, {', '.join(sources)}.")
    if recipe.copies:
        sentences.append(f"{share(recipe.copies)} of names and numbers that both sides share give way to others.")
    if recipe.bias_scale:
        sentences.append(f"Position biases step in units of {recipe.bias_scale} nats in place of their first size.")
    return tuple(sentences)


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
