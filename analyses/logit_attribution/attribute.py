"""One prediction explained: what `interp attribute` prints and writes.

One decoder row of one prompt, its label against a foil: the components that wrote the difference, and the source tokens it came
from through cross-attention, each split over the kinds of encoder component. Exact, with the gap beside it.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from analyses.logit_attribution.asked_row import prompt_of, row_and_foil
from interp.attribution.components import VALUE_BIAS, ComponentKind, source_components
from interp.attribution.direct_logit_attribution import Decomposition, decompose, decomposition_hooks
from interp.attribution.logit_readout import (
    FLOAT32_GAP,
    label_tokens,
    logit_difference,
    runner_up,
    size_of_parts,
)
from interp.attribution.source_attribution import encoder_attribution
from interp.audio import GivenSound, spans_of
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import notebook_html
from interp.report.numbers import number
from interp.sources import Question, ask
from interp.statistics import falling_order
from interp.text.pieces import pieces_of
from interp.text.tokenized_text import Text
from interp.text.unknown_pieces import check_known, unknown_notes
from interp.text.words import EVERY_CATEGORY

if TYPE_CHECKING:
    import pandas as pd

_COMPONENTS_SHOWN = 10
"""Components that an explanation shows in a notebook."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explanation:
    """One prediction and what wrote it.

    Attributes:
        source: the source text, or the name of the sound.
        target: the target text.
        target_origin: `given` or `generated`.
        position: the decoder row, from 0.
        label: the piece that is predicted there.
        foil: the piece it is compared with.
        difference: logit of the label less that of the foil.
        gap: |sum of contributions - difference|, as a share of the root of their summed squares.
        components: `component`, `contribution`, largest first; they add up to the difference.
        sources: `source token`, `category`, `contribution` through all cross heads, and its parts by `embedding`, `heads` and
            `MLPs` of the encoder, in reading order; they add up to what the cross heads contribute. Frames of a sound are taken
            together (`interp.audio.spans_of`), a row for each group. Families with biases have a column `biases`, and a last row
            for the bias of the values.
        unknown: share of the given texts' pieces that the tokenizer does not know.
    """

    source: str
    target: str
    target_origin: str
    position: int
    label: str
    foil: str
    difference: float
    gap: float
    components: "pd.DataFrame"
    sources: "pd.DataFrame"
    unknown: float = 0.0

    def __repr__(self) -> str:
        return f"Explanation({self.label} rather than {self.foil} at row {self.position}: {number(self.difference)} logits)"

    def to_frame(self) -> "pd.DataFrame":
        """One row a component, the largest contribution first."""
        return self.components.rename(columns={"contribution": "contribution (logits)"})

    def _repr_html_(self) -> str:
        lead = (
            f"{self.label} leads {self.foil} by {number(self.difference)} logits at position {self.position}: the largest "
            f"contributions (all add up, with a gap of {number(self.gap, 1)} of their size)"
        )
        frames = {
            lead: self.components.head(_COMPONENTS_SHOWN),
            "By source token, through cross-attention": self.sources,
        }
        return "".join(
            notebook_html.table(caption, tuple(frame.columns), frame.itertuples(index=False, name=None))
            for caption, frame in frames.items()
        )


def explain(
    model: HookedEncoderDecoder,
    source: str,
    target: str | None = None,
    foil: str | None = None,
    position: int | None = None,
    prefix: str | None = None,
    audio: GivenSound | None = None,
) -> Explanation:
    """One prediction and what wrote it.

    Args:
        model: the model, with a tokenizer.
        source: the source text with its task prefix; empty for a sound.
        target: the target text; generated if missing.
        foil: without a position, another target text, whose first piece that differs from the target's is the foil at that
            position; with a position, a text of one piece. If missing, the model's best other token.
        position: decoder row, from 0; by default that of the foil, or the first whose token the model chooses.
        prefix: the task prefix, where it is not one T5 was trained with.
        audio: in place of the source, in models that read sounds: a WAV file, or samples.

    Raises:
        InputError: if the position is not in the target, the foil does not differ from it, or a text is unknown.
    """
    batch = prompt_of(model, source, target, prefix, audio)
    text = batch.target_texts[0]
    unknown = check_known([*batch.source_texts, *([] if target is None else [text])], model.tokenizer)
    row, foil_token = row_and_foil(model, source, batch, foil, position, audio)
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, decomposition_hooks(model.cfg))
        tokens = label_tokens(batch)
        foils = runner_up(model, logits, tokens) if foil_token is None else torch.full_like(tokens, foil_token)
        readout = logit_difference(model, logits, tokens, foils)
        found = decompose(model, cache, readout)
        by_source = encoder_attribution(model, cache, found)[0, row].float().cpu().numpy()
    difference = float(readout.values[0, row])
    parts = found.values[0, row]
    return Explanation(
        source=batch.source_texts[0].text,
        target=text.text,
        target_origin=batch.target_origin,
        position=row,
        label=text.pieces[row],
        foil=pieces_of(model.tokenizer, [int(foils[0, row])])[0],
        difference=difference,
        gap=abs(float(parts.sum()) - difference) / float(size_of_parts(parts)),
        components=_component_frame(found, row),
        sources=_source_frame(*in_spans(model, batch.source_texts[0], by_source), model.cfg),
        unknown=unknown,
    )


def asked(
    model: HookedEncoderDecoder,
    source: str,
    target: str | None = None,
    foil: str | None = None,
    position: int | None = None,
    prefix: str | None = None,
) -> Question:
    """The question that `explain` answers, for other methods; arguments and refusals as there."""
    batch = prompt_of(model, source, target, prefix)
    check_known([*batch.source_texts, *([] if target is None else [batch.target_texts[0]])], model.tokenizer)
    row, token = row_and_foil(model, source, batch, foil, position)
    return ask(model, batch, torch.tensor([row]), None if token is None else torch.tensor([token]))


def in_spans(
    model: HookedEncoderDecoder, text: Text, values: Float[np.ndarray, "source component"]
) -> tuple[Text, Float[np.ndarray, "span component"]]:
    """A source and numbers of its positions, frames of a sound taken together; those of a text as they are.

    Args:
        model: the model.
        text: the source.
        values: of every position.
    """
    if model.sounds is None:
        return text, values
    spans = spans_of(text.category_of_token, model.sounds.seconds)
    kinds, labels = zip(*((one.category, one.label) for one in spans), strict=True)
    summed = np.add.reduceat(values, [one.start for one in spans], axis=0)
    return replace(text, pieces=labels, category_of_token=kinds), summed


def _component_frame(found: Decomposition, row: int) -> "pd.DataFrame":
    import pandas as pd

    values = found.values[0, row].float().cpu().numpy()
    frame = pd.DataFrame({"component": [one.label for one in found.components], "contribution": values})
    return frame.iloc[falling_order(np.abs(values))].reset_index(drop=True)


_COLUMNS: dict[ComponentKind, str] = {
    "embedding": "embedding",
    "positions": "embedding",
    "self-attention head": "heads",
    "MLP": "MLPs",
    "bias": "biases",
}


def _source_frame(text: Text, values: Float[np.ndarray, "source component"], cfg: ModelConfig) -> "pd.DataFrame":
    import pandas as pd

    components = source_components(cfg)
    written = np.array([one != VALUE_BIAS for one in components])
    columns = np.array([_COLUMNS[one.kind] for one in components])
    frame = pd.DataFrame({
        "source token": text.pieces,
        "category": [EVERY_CATEGORY[category] for category in text.category_of_token],
        "contribution": values[:, written].sum(1),
        **{
            name: values[:, written & (columns == name)].sum(1)
            for name in dict.fromkeys(_COLUMNS.values())
            if name in columns
        },
    })
    if written.all():
        return frame
    bias = float(values[:, ~written].sum())
    constant = {"source token": _VALUE_BIAS_ROW, "category": "", "contribution": bias, "biases": bias}
    return pd.concat([frame, pd.DataFrame([constant])], ignore_index=True).fillna(0.0)


_VALUE_BIAS_ROW = "(bias of the values)"
"""The row for what cross-attention adds whatever it looks at, in models that have biases."""


def inexact(explanation: Explanation) -> tuple[str, ...]:
    """Warnings: a sum further from the logits than float32 explains, texts that are partly unknown."""
    if explanation.gap <= FLOAT32_GAP:
        return unknown_notes(explanation.unknown)
    return (
        *unknown_notes(explanation.unknown),
        f"The gap is {number(explanation.gap, 1)} of the contributions' size, more than the {FLOAT32_GAP:g} that float32 "
        "reaches: read contributions of that size as noise, or load the model with dtype float32.",
    )
