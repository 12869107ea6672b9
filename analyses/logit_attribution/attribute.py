"""One prediction explained: what `interp attribute` prints and writes.

One decoder row of one prompt, its label against a foil: the components that wrote the difference, and the source tokens it came
from through cross-attention, each split over the kinds of encoder component. Exact, with the gap beside it.
"""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analyses.logit_attribution.coloured import coloured_sentence, legend, token_text
from analyses.logit_attribution.wording import number
from interp import displays
from interp.attribution import (
    encoder_component_labels,
    encoder_contributions,
    encoder_hooks,
    memory_components,
    memory_reads,
    stacked,
)
from interp.errors import InputError
from interp.model import HookedEncoderDecoder
from interp.readout import completeness_gap, label_tokens, largest_logit, logit_difference, one_token, runner_up
from interp.report import Report, Section, Sketch, Table, visible
from interp.residual import component_labels, contribution_hooks, decoder_contributions
from interp.texts import Text
from interp.tokens import Batch
from interp.words import CATEGORIES

_COMPONENTS_SHOWN = 10
"""Components that an explanation shows in a notebook."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One prediction and what wrote it.

    Attributes:
        source: the source text.
        target: the target text.
        target_origin: `given` or `generated`.
        position: the decoder row, from 0.
        label: the piece that is predicted there.
        foil: the piece it is compared with.
        difference: logit of the label less that of the foil.
        gap: |sum of contributions - difference|, as a share of the prompt's largest |logit|.
        components: `component`, `contribution`, largest first; they add up to the difference.
        sources: `source token`, `category`, `contribution` through all cross heads, and its parts by `embedding`, `heads` and
            `MLPs` of the encoder, in reading order; they add up to what the cross heads contribute.
    """

    source: str
    target: str
    target_origin: str
    position: int
    label: str
    foil: str
    difference: float
    gap: float
    components: pd.DataFrame
    sources: pd.DataFrame

    def _repr_html_(self) -> str:
        lead = (
            f"{self.label} leads {self.foil} by {number(self.difference)} logits at position {self.position}: the largest "
            f"contributions (all add up, with a gap of {number(self.gap, 1)} of the largest |logit|)"
        )
        frames = {
            lead: self.components.head(_COMPONENTS_SHOWN),
            "By source token, through cross-attention": self.sources,
        }
        return "".join(
            displays.table(caption, tuple(frame.columns), frame.itertuples(index=False, name=None))
            for caption, frame in frames.items()
        )


def explain(
    model: HookedEncoderDecoder,
    source: str,
    target: str | None = None,
    foil: str | None = None,
    position: int | None = None,
) -> Explanation:
    """Explain one prediction.

    Args:
        model: the model, with a tokenizer.
        source: the source text with its task prefix.
        target: the target text; generated if missing.
        foil: without a position, another target text, whose first piece that differs from the target's is the foil at that
            position; with a position, a text of one piece. If missing, the model's best other token.
        position: decoder row, from 0; by default that of the foil, or the first.

    Raises:
        InputError: if the position is not in the target, or the foil does not differ from it.
    """
    batch = model.batch([source], None if target is None else [target])
    text = batch.target_texts[0]
    row, foil_token = _row_and_foil(model, text, foil, position)
    hooks = sorted({*contribution_hooks(), *encoder_hooks()})
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, hooks)
        tokens = label_tokens(batch)
        foils = runner_up(logits, tokens) if foil_token is None else torch.full_like(tokens, foil_token)
        readout = logit_difference(model, logits, tokens, foils)
        contributions = stacked(decoder_contributions(model, cache, readout.directions))
        gap = completeness_gap(contributions.sum(-1), readout, largest_logit(logits, batch), batch)
        reads = memory_reads(model, cache, readout.frozen(cache))
        by_source = encoder_contributions(memory_components(model, cache), reads)[0, row]
    assert model.tokenizer is not None
    return Explanation(
        source=source,
        target=text.text,
        target_origin=batch.target_origin,
        position=row,
        label=text.pieces[row],
        foil=model.tokenizer.convert_ids_to_tokens([int(foils[0, row])])[0],
        difference=float(readout.values[0, row]),
        gap=float(gap[0]),
        components=_component_frame(model, contributions[0, row]),
        sources=_source_frame(model, batch, by_source),
    )


def _row_and_foil(
    model: HookedEncoderDecoder, text: Text, foil: str | None, position: int | None
) -> tuple[int, int | None]:
    last = len(text.ids) - 1
    if position is not None and not 0 <= position <= last:
        raise InputError(
            f"Position {position} is not in the target; its pieces are 0 to {last}: {' '.join(text.pieces)}."
        )
    if foil is None:
        return position or 0, None
    if position is not None:
        token = one_token(model, foil)
        if token == text.ids[position]:
            raise InputError(f"The foil {foil!r} is the target's own piece at position {position}; give another one.")
        return position, token
    assert model.tokenizer is not None
    other = model.tokenizer(foil).input_ids
    for row, (own, others) in enumerate(zip(text.ids, other, strict=False)):
        if own != others:
            return row, int(others)
    raise InputError(f"The foil {foil!r} does not differ from the target {text.text!r}; give another one.")


def _component_frame(model: HookedEncoderDecoder, contributions: Tensor) -> pd.DataFrame:
    labels = component_labels(model.cfg.n_decoder_layers, model.cfg.n_decoder_heads)
    values = contributions.float().cpu().numpy()
    frame = pd.DataFrame({"component": labels, "contribution": values})
    return frame.iloc[np.argsort(-np.abs(values), kind="stable")].reset_index(drop=True)


def _source_frame(model: HookedEncoderDecoder, batch: Batch, by_source: Tensor) -> pd.DataFrame:
    labels = encoder_component_labels(model.cfg.n_encoder_layers, model.cfg.n_encoder_heads)
    kinds = np.array([
        "MLPs" if label.endswith("MLP") else "heads" if "H" in label else "embedding" for label in labels
    ])
    values, text = by_source.float().cpu().numpy(), batch.source_texts[0]
    return pd.DataFrame({
        "source token": text.pieces,
        "category": [CATEGORIES[category] for category in text.category_of_token],
        "contribution": values.sum(1),
        **{kind: values[:, kinds == kind].sum(1) for kind in ("embedding", "heads", "MLPs")},
    })


EXACT = 2e-6
"""The completeness gap that float32 reaches."""


def inexact(explanation: Explanation) -> tuple[str, ...]:
    """A warning where the sum is further from the logits than float32 explains, as after half-precision weights."""
    if explanation.gap <= EXACT:
        return ()
    return (
        f"The gap is {number(explanation.gap, 1)} of the prompt's largest |logit|, more than the {EXACT:g} that float32 "
        "reaches: read contributions of that size as noise, or load the model with dtype float32.",
    )


def explanation_section(explanation: Explanation, name: str = "attribution") -> Section:
    """The page of one prediction.

    Args:
        explanation: what was found.
        name: slug with which the names of its blocks begin.
    """
    top = explanation.components.iloc[0]
    strongest = explanation.sources.iloc[int(explanation.sources["contribution"].abs().argmax())]
    label, foil = visible(explanation.label), visible(explanation.foil)
    cross = float(explanation.sources["contribution"].sum())
    findings = (
        f"{label!r} leads {foil!r} by {number(explanation.difference)} logits at position {explanation.position} "
        f"of the {explanation.target_origin} target; the largest contribution is {top['component']}, "
        f"{number(float(top['contribution']))}.",
        f"Cross-attention adds {number(cross)}, most of it at {visible(str(strongest['source token']))!r} "
        f"({number(float(strongest['contribution']))}).",
        f"The contributions add up with a gap of {number(explanation.gap, 1)} of the prompt's largest |logit|.",
        *inexact(explanation),
    )
    return Section(
        name=name,
        title=f"Why {label!r} and not {foil!r}?",
        question=f"What wrote the logit difference at position {explanation.position}?",
        findings=findings,
        blocks=(
            _sentence(explanation, name),
            Table(
                f"{name}-components",
                "Contributions of all components, largest first; they add up to the difference.",
                explanation.components,
            ),
            Table(
                f"{name}-sources",
                "Source tokens in reading order: what each contributes through all cross-attention heads, and its "
                "parts by kind of encoder component at that token.",
                explanation.sources,
                rows_shown=None,
            ),
        ),
        limits=(
            "One prediction of one prompt: nothing here is an average, and there is no control.",
            "Direct effects only, with the final norms and all attention patterns held at their values.",
        ),
    )


def _sentence(explanation: Explanation, name: str) -> Sketch:
    sources = explanation.sources
    values = sources["contribution"].to_numpy()
    strongest = float(np.abs(values).max())
    answer = f"{token_text(explanation.label)} rather than {token_text(explanation.foil)}"
    target = f"<p>target ({explanation.target_origin}): <bdi>{escape(visible(explanation.target))}</bdi></p>"
    markup = f"{target}<p>{answer}</p>{coloured_sentence(tuple(sources['source token']), values, strongest)}"
    title = "The source, its tokens coloured by what they add through all cross-attention heads"
    return Sketch(f"{name}-sentence", title, markup + legend(strongest))


def explanation_report(explanation: Explanation, command: str, model: str, name: str = "attribution") -> Report:
    """The page of one prediction as a report of its own.

    Args:
        explanation: what was found.
        command: the command line that makes it again.
        model: name of the model.
        name: slug with which the names of its blocks begin.
    """
    section = explanation_section(explanation, name)
    return Report(
        title=section.title,
        question=section.question,
        findings=section.findings[:1],
        command=command,
        sections=(section,),
        provenance=(("model", model), ("source", explanation.source), ("target", explanation.target)),
    )
