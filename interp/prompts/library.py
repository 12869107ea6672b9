"""Which prompts come with the package?

Two small sets of our own sentences, so that the default run needs neither a file nor a network. `translation` pairs every English
sentence with two task prefixes, which lets one sentence serve as its own control across languages.
"""

from importlib import resources

from interp.errors import did_you_mean
from interp.prompts.prompt import PromptError, PromptSet
from interp.prompts.reader import parse_prompts
from interp.prompts.text_files import FILES

_DESCRIPTIONS = {
    "translation": "32 everyday English sentences, each into German and into French; without targets",
    "references": "12 of these sentences with our own German and French translations as targets",
}


def names() -> tuple[str, ...]:
    """Names of the bundled prompt sets, the default first."""
    return tuple(_DESCRIPTIONS)


def describe(name: str) -> str:
    """One line about a bundled prompt set.

    Args:
        name: one of `names()`.

    Raises:
        PromptError: if there is no set of this name.
    """
    if name not in _DESCRIPTIONS:
        raise PromptError(
            f"There is no bundled prompt set {name!r}{did_you_mean(name, _DESCRIPTIONS)}; the bundled sets are "
            f"{', '.join(_DESCRIPTIONS)}; for a file of your own give the path of {FILES}."
        )
    return _DESCRIPTIONS[name]


def bundled(name: str, limit: int | None = None) -> PromptSet:
    """A bundled prompt set.

    Args:
        name: one of `names()`.
        limit: most prompts kept, from the start; None keeps all.

    Raises:
        PromptError: if there is no set of this name, or the limit is below 1.
    """
    describe(name)
    content = resources.files("interp.prompts").joinpath(f"{name}.jsonl").read_bytes()
    return parse_prompts(content, "jsonl", name, limit)
