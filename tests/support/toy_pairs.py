"""Twenty translation pairs and a recipe small enough to be trained in a test."""

import gzip
from pathlib import Path

from interp.text.translation_pairs import TranslationPair
from training.recipe import Recipe

ENGLISH = ("The {a} is on the {b}.", "A {a} stands near the {b} today.")
OTHER = {
    "de": ("Das {a} ist auf dem {b}.", "Ein {a} steht heute beim {b}."),
    "fr": ("Le {a} est sur le {b}.", "Un {a} est près du {b}."),
}
NAMES = {"de": "German", "fr": "French"}
THINGS = ("goat", "table", "dog", "chair", "horse")
RECIPE = Recipe(
    d_model=16, d_kv=4, d_ff=24, layers=1, heads=3, vocabulary=168, unigram_pieces=60, tokens_per_batch=120, warmup_steps=5,
    spans=0.3, reverse=True,
)  # fmt: skip


def tiny_pairs(copies: int = 1) -> tuple[TranslationPair, ...]:
    """Twenty pairs: five things, two sentences, two languages."""
    pairs = []
    for language in ("de", "fr"):
        for english, other in zip(ENGLISH, OTHER[language], strict=True):
            for a, b in zip(THINGS, (*THINGS[1:], THINGS[0]), strict=True):
                source = f"translate English to {NAMES[language]}: " + english.format(a=a, b=b)
                pairs.append(TranslationPair("toy", language, source, other.format(a=a.upper(), b=b.upper())))
    return tuple(pairs) * copies


def write_pairs(path: Path, pairs: tuple[TranslationPair, ...]) -> Path:
    text = "".join(f"{pair.corpus}\t{pair.language}\t{pair.source}\t{pair.target}\n" for pair in pairs)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
