"""A moment in numbers: what every analysis gives for the same prompts and targets, and which roles heads have.

Numbers are of independent texts, means over the prompts of a sentence. Roles are those of `analyses.head_specialization`, by its
one decision and beside the same untrained twins, but without its experiments (copying, translation, permuted weights and shuffled
texts), which cost more than all else together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Observed
from analyses.core.keys import means_by_key, rows_by_key
from analyses.embedding_geometry.measure.layers import QUANTITIES, layer_curves
from analyses.embedding_geometry.measure.spaces import MEMORY, decoder_spaces, encoder_spaces
from analyses.head_specialization import HeadSettings, RoleLabel
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.roles.comparison import Comparison, judge_all
from analyses.head_specialization.roles.criteria import criteria_of, independent_texts
from analyses.head_specialization.roles.rules import effect_of
from analyses.trace.meeting import languages_meeting, stacks_meeting
from interp.attribution.components import components_of
from interp.axes import ATTENTION_KINDS
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId
from interp.statistics import Interval, bootstrap_mean
from interp.text.words import CATEGORIES

HEADS, FOCUS, ATTRIBUTION, GEOMETRY = (
    "head_specialization",
    "cross_attention_focus",
    "logit_attribution",
    "embedding_geometry",
)
"""The analyses that a trace can show."""

Values = Float[np.ndarray, " text *cells"]


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """How far a head is on the way to a role.

    Attributes:
        values: the score of every text, or random sequence.
        effect: attention behind it as a share of the way from chance to all of it, from 0 to 1.
    """

    values: Float[np.ndarray, " text"]
    effect: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One moment of one run.

    Attributes:
        step: optimizer steps taken.
        numbers: name -> a value for every text, see `read_snapshot`.
        scores: head -> role -> how far it is on the way there; empty unless heads were asked for.
        labels: roles that heads have.
        geometry: the three quantities of `QUANTITIES` in every space, with intervals; None unless geometry was asked for.
        chance: name -> what chance gives, where that is known.
    """

    step: int
    numbers: Mapping[str, Values]
    scores: Mapping[HeadId, Mapping[str, Score]]
    labels: tuple[RoleLabel, ...]
    geometry: Interval | None
    chance: Mapping[str, float]

    def mean(self, name: str, seed: int = 0) -> Interval:
        """The mean over texts of a number with its 95 % interval.

        Args:
            name: of the number.
            seed: of resampling.
        """
        return bootstrap_mean(self.numbers[name].astype(np.float64), seed, 2000)


def read_snapshot(
    step: int,
    observed: Mapping[str, Observed],
    twins: Sequence[Observed],
    cfg: ModelConfig,
    prefixes: Sequence[str],
    settings: HeadSettings,
    seed: int,
    fault: str,
) -> Snapshot:
    """The numbers of one moment.

    Args:
        step: optimizer steps taken.
        observed: analysis -> what it gave, that of `watching` among them.
        twins: what untrained twins gave to head specialization.
        cfg: the model's facts.
        prefixes: task prefix of every prompt.
        settings: of head specialization.
        seed: of resampling.
        fault: why the targets say nothing; empty if they do.

    Returns:
        `loss`, `right`, `whole` [text]; `position.encoder`, `position.decoder` [text layer head], `aligned` and `diagonal` [text
        layer head]; `mass` [text layer category] and `base` [text category]; `attribution` [text writer]; `languages` and
        `stacks` [text space]; each where its analysis was asked for and the model has it.
    """
    watch = observed["watch"].prompts
    rows = rows_by_key(watch["sentence"])
    found = {name: watch[name] for name in ("loss", "right", "whole")}
    scores: dict[HeadId, dict[str, Score]] = {}
    labels: tuple[RoleLabel, ...] = ()
    chance: dict[str, float] = {}
    geometry = None
    if HEADS in observed:
        own = independent_texts(observed[HEADS])
        scores = _scores(own, settings)
        labels = judge_all(own, settings, seed, Comparison(tuple(twins)), not fault).labels
        found |= _of_heads(observed[HEADS])
    if FOCUS in observed:
        prompts = observed[FOCUS].prompts
        found |= {"mass": prompts["raw.layer.mass"], "base": prompts["base_rate"]}
    if ATTRIBUTION in observed:
        found["attribution"] = _by_writer(cfg, observed[ATTRIBUTION].prompts["share.components"])
    if GEOMETRY in observed:
        geometry = layer_curves(space_names(cfg), observed[GEOMETRY], (), seed, 400).curves.interval
        met, chance = _meetings(cfg, observed[GEOMETRY], prefixes)
        found |= met
    numbers = {name: means_by_key(values, rows) for name, values in found.items()}
    return Snapshot(step, numbers, scores, labels, geometry, chance)


def space_names(cfg: ModelConfig) -> tuple[str, ...]:
    """The spaces of both stacks, in the order of the arrays."""
    return (*encoder_spaces(cfg), *decoder_spaces(cfg))


def writer_names(cfg: ModelConfig) -> tuple[str, ...]:
    """Who writes to the decoder's stream, heads of one layer and kind together: `embedding`, `self 0`, `cross 0`, ..."""
    return tuple(dict.fromkeys(_writer(kind, layer) for kind, layer in _parts(cfg)))


def category_names(base: Float[np.ndarray, "text category"]) -> tuple[tuple[int, str], ...]:
    """The categories that some text has, each with its index.

    Args:
        base: share of each category among the tokens.
    """
    return tuple((index, name) for index, name in enumerate(CATEGORIES) if (base[:, index] > 0).any())


def _parts(cfg: ModelConfig) -> list[tuple[str, int | None]]:
    return [(one.kind, one.layer) for one in components_of(cfg, "decoder")]


def _writer(kind: str, layer: int | None) -> str:
    short = {"self-attention head": "self", "cross-attention head": "cross"}.get(kind, kind)
    return short if layer is None else f"{short} {layer}"


def _by_writer(cfg: ModelConfig, shares: Float[np.ndarray, "prompt component"]) -> np.ndarray:
    names, writers = writer_names(cfg), [_writer(kind, layer) for kind, layer in _parts(cfg)]
    return np.stack([shares[:, [one == name for one in writers]].sum(1) for name in names], 1)


def _of_heads(observed: Observed) -> dict[str, np.ndarray]:
    names = {
        "encoder.position_share": "position.encoder",
        "decoder.position_share": "position.decoder",
        "cross.align_output": "aligned",
        "cross.align_base": "diagonal",
    }
    return {new: observed.prompts[old] for old, new in names.items() if old in observed.prompts}


def _scores(own: Observed, settings: HeadSettings) -> dict[HeadId, dict[str, Score]]:
    """The score of every head for every role; of several rules for one role, the one that is a mass."""
    found: dict[HeadId, dict[str, Score]] = {}
    for kind in ATTENTION_KINDS:
        chosen: dict[str, Criterion] = {}
        for criterion in criteria_of(kind, own, settings):
            if criterion.role not in chosen or criterion.rule == "mass":
                chosen[criterion.role] = criterion
        for role, criterion in chosen.items():
            effect = effect_of(criterion)
            for cell in np.ndindex(*effect.shape):
                if criterion.eligible is None or criterion.eligible[cell]:
                    head = HeadId(kind, *map(int, cell))
                    found.setdefault(head, {})[role] = Score(criterion.score[:, *cell], float(effect[cell]))
    return found


def _meetings(
    cfg: ModelConfig, observed: Observed, prefixes: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    states = observed.prompts["mean_state"]
    sentences = np.unique(observed.prompts["sentence"], axis=0, return_inverse=True)[1].ravel()
    names = space_names(cfg)
    output = names.index(MEMORY) if MEMORY in names else len(encoder_spaces(cfg)) - 1
    languages, by_chance = languages_meeting(states, sentences.tolist(), prefixes)
    decoder = states[:, len(encoder_spaces(cfg)) :]
    stacks, of_stacks = stacks_meeting(states[:, output], decoder, prefixes)
    return {"languages": languages, "stacks": stacks}, {"languages": by_chance, "stacks": of_stacks}


__all__ = ["QUANTITIES", "Score", "Snapshot", "category_names", "read_snapshot", "space_names", "writer_names"]
