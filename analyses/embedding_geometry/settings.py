"""What a user may choose: which words are compared, how many neighbors are listed, and what stands before our sentences."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from analyses.core.settings import Settings
from analyses.embedding_geometry.measure.word_lists import GROUPS, LANGUAGES, MIXED
from interp.families.config import ModelConfig

_PREFIX = "translate English to German: "
"""One that T5 was trained with."""


class GeometrySettings(Settings):
    """Settings of the embedding geometry.

    Attributes:
        groups: name of a group -> its words; at least two groups, and two words in each.
        n_neighbors: neighbors listed for every word.
        permutations: random labelings behind every p-value.
        resamples: bootstrap resamples behind every interval.
        prefix: task prefix of the sentences the words are put into; by default that of most prompts.
        sentences: whether words are read in English sentences of our own; by default where the prompts are English texts.
        translations: languages whose words are compared with the English ones; by default those that the prompts are translated
            into.
        dimension_sizes: sample sizes at which the intrinsic dimension is estimated.
        most_compared: pieces among which hubs are counted; a random sample where the vocabulary has more, None for all.
        sampling_seed: of these samples.
    """

    groups: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(GROUPS))
    n_neighbors: int = Field(default=5, ge=1, le=100)
    permutations: int = Field(default=10_000, ge=99, le=1_000_000)
    resamples: int = Field(default=2_000, ge=99, le=1_000_000)
    prefix: str = _PREFIX
    sentences: bool | None = None
    translations: tuple[Literal["German", "French"], ...] | None = None
    dimension_sizes: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = (500, 1000, 2000)
    most_compared: int | None = Field(default=8_000, ge=100)
    sampling_seed: int = Field(default=0, ge=0, lt=2**32)

    @property
    def words(self) -> tuple[str, ...]:
        """All words in the order of their groups."""
        return tuple(word for words in self.groups.values() for word in words)

    def prefix_for(self, cfg: ModelConfig) -> str:
        """What stands before the sentences for one model.

        T5's own prefix, which is the default, is left out for models of other families, to which it would be English words like
        any others (`ModelConfig.reads_prefixes`); any other prefix is taken as it is.
        """
        return "" if not cfg.reads_prefixes and self.prefix == _PREFIX else self.prefix

    @property
    def everyday(self) -> tuple[str, ...]:
        """Everyday words, from which controls are drawn."""
        return MIXED

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of `translations`, both where they are left open."""
        return LANGUAGES if self.translations is None else self.translations

    @field_validator("groups")
    @classmethod
    def _check_groups(cls, groups: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if len(groups) < 2 or any(len(words) < 2 for words in groups.values()):
            sizes = ", ".join(f"{name} {len(words)}" for name, words in groups.items()) or "none"
            raise ValueError(f"comparing groups needs at least two groups of at least two words; got {sizes}")
        words = [word for group in groups.values() for word in group]
        repeated = sorted({word for word in words if words.count(word) > 1})
        if repeated:
            raise ValueError(f"a word belongs to one group only; {', '.join(repeated)} occurs more than once")
        return groups


class FittedSettings(GeometrySettings):
    """Settings as they are used on the prompts of a run, by `fit`.

    Attributes:
        from_prompts: whether the groups are words of the prompts.
        unfit: why the bundled words and sentences are not asked; empty where they are.
    """

    from_prompts: bool = False
    unfit: str = ""

    @property
    def everyday(self) -> tuple[str, ...]:
        """Everyday words, none where English ones are not asked."""
        return () if self.unfit else MIXED
