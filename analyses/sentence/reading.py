"""What a few forward passes tell of one sentence: its tokens, steps, lens, an explanation, and what each analysis shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from analyses.core.contract import Example
from analyses.core.observing import ConfiguredAnalysis, illustrate
from analyses.core.registry import get
from analyses.cross_attention_focus.alignment.texts import words_of_tokens
from analyses.logit_attribution.attribute import Explanation, explain_batch
from interp.attribution.lenses import lens_hooks, read_out, streams
from interp.attribution.logit_readout import label_tokens
from interp.errors import InputError
from interp.model.generation import Decoding, Generation
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from interp.text.words import task_prefix

SHOWN = ("cross_attention_focus", "logit_attribution", "head_specialization")
"""Analyses that have something to show of one sentence."""

ALTERNATIVES = 4
"""Tokens listed at every step, the chosen one among them."""


@dataclass(frozen=True, slots=True, eq=False)
class SentenceReading:
    """One sentence and what the model did with it.

    Attributes:
        batch: the sentence, its target given or generated.
        explanation: of one decoder row: which components and source tokens wrote its token.
        steps: `step`, `rank`, `token`, `probability`, `chosen`: what the model could have said.
        lens: `depth`, `step`, `predicts`, the `first choice` of the logit lens there (nostalgebraist 2020), `rank` (from 1) and
            `log-probability` of the predicted token.
        read: cross-attention of every step, mean over layers and heads.
        written: what each source token adds through cross-attention to every step's token against its runner-up, in logits.
        examples: analysis -> what it shows of the sentence.
    """

    batch: Batch
    explanation: Explanation
    steps: pd.DataFrame
    lens: pd.DataFrame
    read: Float[np.ndarray, "target source"]
    written: Float[np.ndarray, "target source"]
    examples: Mapping[str, Example]


def read_sentence(
    model: HookedEncoderDecoder,
    source: str,
    target: str | None = None,
    foil: str | None = None,
    row: int | None = None,
    words: Sequence[str] | None = None,
) -> SentenceReading:
    """One sentence, read and explained.

    Args:
        model: the model, with a tokenizer.
        source: the source text with its task prefix.
        target: the target text; generated if missing.
        foil: what the chosen row's token is compared with; see `explain`.
        row: the decoder row that is explained; by default that of the foil, or the first.
        words: the words of the source behind its prefix, where they are to be others than ours.

    Raises:
        InputError: if the row is not in the target, the foil does not differ from it, or the words do not spell the source.
    """
    assert model.tokenizer is not None
    batch = model.batch([source], None if target is None else [target])
    if words is not None:
        batch = _in_words(model, batch, words)
    explanation = explain_batch(model, batch, foil, row)
    examples = illustrate(model, batch, 0, (1, "1"), [ConfiguredAnalysis(get(n), get(n).settings()) for n in SHOWN])
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, lens_hooks(model, "decoder"))
        lens = _lens_frame(model, batch, [read_out(model, stream)[0] for stream in streams(model, cache, "decoder")])
    return SentenceReading(
        batch=batch,
        explanation=explanation,
        steps=Generation(batch, logits, cache, Decoding()).step_table(model.tokenizer, ALTERNATIVES),
        lens=lens,
        read=examples["cross_attention_focus"].arrays["raw.head"].mean((0, 1)),
        written=examples["logit_attribution"].arrays["sources"].sum((0, 1)),
        examples=examples,
    )


def _in_words(model: HookedEncoderDecoder, batch: Batch, words: Sequence[str]) -> Batch:
    """The same batch, its source in the caller's words."""
    assert model.tokenizer is not None
    text = batch.source_texts[0]
    if not words:
        raise InputError("The list of words is empty; give all words of the source behind its prefix.")
    places = words_of_tokens(text.text, words, model.tokenizer, len(task_prefix(text.text)))
    return replace(batch, source_texts=(replace(text, words=tuple(words), word_of_token=places),))


def _lens_frame(
    model: HookedEncoderDecoder, batch: Batch, logits: Sequence[Float[torch.Tensor, "target vocab"]]
) -> pd.DataFrame:
    """Depth by step, from the logits that every depth's stream would give."""
    assert model.tokenizer is not None
    labels, pieces = label_tokens(batch)[0], batch.target_texts[0].pieces
    rows: list[dict[str, object]] = []
    for depth, given in enumerate(logits):
        chosen = given.gather(1, labels[:, None])
        ranks = (given > chosen).sum(1) + 1
        scores = (chosen - given.logsumexp(1, keepdim=True)).squeeze(1)
        firsts = model.tokenizer.convert_ids_to_tokens(given.argmax(1).tolist())
        rows += [
            {
                "depth": "embedding" if depth == 0 else f"layer {depth - 1}",
                "step": step,
                "predicts": piece,
                "first choice": firsts[step],
                "rank": int(ranks[step]),
                "log-probability": float(scores[step]),
            }
            for step, piece in enumerate(pieces)
        ]
    return pd.DataFrame(rows)
