"""What is there to explore? Plain arrays and texts of single prompts, and what a run found about heads and words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from interp.report.charts import Mark
from interp.report.palette import Hue
from interp.report.views.patterns import KIND_NAMES, AttentionKind, AttentionPatterns

Said = tuple[tuple[str, float], ...]
"""Tokens and their probabilities, the likeliest first."""


@dataclass(frozen=True, eq=False)
class ExplorerPrompt:
    """One prompt; decoder row t reads `patterns.target_tokens[t]` and predicts `labels[t]`.

    Either all is known of it or, as of a cache, its attention alone: then what comes behind the labels is empty.

    Attributes:
        name: what the prompt is called.
        title: the text by which a reader chooses it.
        patterns: its attention, with source tokens and the tokens that the decoder reads.
        labels: the predicted tokens.
        foils: for every row the token that its label is compared with.
        lead: logit of the label less that of the foil, for every row.
        components: what every decoder component adds to the lead.
        sources: what every cross-attention head adds from every source token.
        own: what every head of the decoder's self-attention adds from every token that the decoder reads.
        memory: what every encoder component adds at every source token, through all cross-attention heads; may be None.
        lens: for every row and depth what the model would say if it stopped there; the last depth is what it says.

    Raises:
        ValueError: if sizes do not fit each other.
    """

    name: str
    title: str
    patterns: AttentionPatterns
    labels: tuple[str, ...]
    foils: tuple[str, ...] = ()
    lead: Float[np.ndarray, " target"] = field(default_factory=lambda: np.zeros(0))
    components: Float[np.ndarray, "target component"] = field(default_factory=lambda: np.zeros((0, 0)))
    sources: Float[np.ndarray, "layer head target source"] = field(default_factory=lambda: np.zeros((0,) * 4))
    own: Float[np.ndarray, "own_layer own_head target prefix"] = field(default_factory=lambda: np.zeros((0,) * 4))
    memory: Float[np.ndarray, "target source encoder_component"] | None = None
    lens: tuple[tuple[Said, ...], ...] = ()

    @property
    def alone(self) -> bool:
        """Whether attention alone is known."""
        return not self.lens

    def __post_init__(self) -> None:
        rows, sources = len(self.patterns.target_tokens), len(self.patterns.source_tokens)
        told = (self.foils, self.lead, self.components, self.lens)
        sizes = {len(self.labels), *(len(one) for one in told if not self.alone)}
        if sizes != {rows}:
            raise ValueError(f"Everything of prompt {self.name!r} needs {rows} decoder rows, got {sorted(sizes)}.")
        by_token: tuple[tuple[str, np.ndarray, AttentionKind], ...] = (
            ("sources", self.sources, "cross"),
            ("own", self.own, "decoder"),
        )
        for name, values, kind in by_token:
            shape = self.patterns.of(kind).shape
            if values.shape != shape and not self.alone:
                raise ValueError(
                    f"{name!r} of prompt {self.name!r} must have the shape of its {KIND_NAMES[kind]}, "
                    f"{list(shape)}; got {list(values.shape)}."
                )
        if self.memory is not None and self.memory.shape[:2] != (rows, sources):
            raise ValueError(
                f"The memory of prompt {self.name!r} must begin with {rows} rows and {sources} source tokens."
            )


@dataclass(frozen=True, slots=True)
class HeadNote:
    """What a run found about one head.

    Attributes:
        role: the role it has, or comes nearest to.
        code: a few letters for its cell in the atlas.
        hue: of the role.
        strength: from 0 to 1, the lightness of its cell.
        mark: the frame of its cell: "certain" where it has the role, a "tendency" to it, or "uncertain".
        lines: name and value of what is known of it.
        address: of its card, beside the page; empty where it has none.
    """

    role: str
    code: str
    hue: Hue
    strength: float
    mark: Mark
    lines: tuple[tuple[str, str], ...] = ()
    address: str = ""


@dataclass(frozen=True, eq=False)
class Explorer:
    """All that a page to explore holds.

    Attributes:
        model: the model's name.
        prompts: the prompts; none is shown that does not fit into the page.
        components: names of the decoder's components; heads as in `heads`.
        encoder_components: names of the encoder's components.
        depths: names of the depths of the lens.
        heads: head, such as `XL2H4` -> what a run found about it; may be empty.
        neighbors: token -> its nearest tokens in the input embedding, with cosines; may be empty.
        layers: kind of attention -> the layers that its patterns are of; all where a kind is not named.
        start: the state that the page opens with, as in its address; by default the first head with a role.
        note: a sentence about what the page lacks; may be empty.
    """

    model: str
    prompts: tuple[ExplorerPrompt, ...]
    components: tuple[str, ...] = ()
    encoder_components: tuple[str, ...] = ()
    depths: tuple[str, ...] = ()
    heads: Mapping[str, HeadNote] = field(default_factory=dict)
    neighbors: Mapping[str, Said] = field(default_factory=dict)
    layers: Mapping[AttentionKind, tuple[int, ...]] = field(default_factory=dict)
    start: str = ""
    note: str = ""
