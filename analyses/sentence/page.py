"""The page of one sentence: what it could have said, why it said it, what it read, when it knew, what each head did."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.core.registry import get
from analyses.logit_attribution.attribute import explanation_section
from analyses.sentence.reading import SentenceReading
from interp.report import Block, Card, Line, Report, Section, SmallTable, Table, Token, TokenStrip
from interp.report.card_parts import CellContent
from interp.report.numbers import number, percent
from interp.report.visible_text import shown_token, visible

LONGEST_TOKEN = 24
"""Characters of a token that are shown."""

_NO_CONTROL = "One sentence is a description: nothing here is an average, and there is no control."


def sentence_report(reading: SentenceReading, command: str, model: str) -> Report:
    """The page of one sentence, as a report of its own.

    Args:
        reading: what was found.
        command: the command line that makes it again.
        model: name of the model.
    """
    told = reading.explanation
    steps = _steps(reading)
    why = explanation_section(told, "why")
    return Report(
        title="One sentence, step by step",
        question="What did the model read and write, and which of its parts wrote it?",
        findings=(steps.findings[0], why.findings[0]),
        command=command,
        sections=(steps, why, _reading(reading), _lens(reading), _heads(reading)),
        provenance=(("model", model), ("source", told.source), (f"target ({told.target_origin})", told.target)),
    )


def _section(name: str, title: str, question: str, finding: str, blocks: Sequence[Block], *limits: str) -> Section:
    return Section(name, title, question, (finding,), tuple(blocks), (_NO_CONTROL, *limits))


def _steps(reading: SentenceReading) -> Section:
    pieces = reading.batch.target_texts[0].pieces
    chosen = reading.steps[reading.steps["chosen"]]
    least = int(chosen["probability"].to_numpy().argmin())
    source = reading.batch.source_texts[0]
    tokens = Card(
        "sentence-tokens",
        "The source, its tokens with what all cross-attention heads read of them on average",
        (
            Line(("Numbers are shares of attention, mean over layers, heads and steps.",), small=True),
            TokenStrip(source.pieces, reading.read.mean(0), float(reading.read.mean(0).max())),
        ),
    )
    table = Table(
        "steps",
        "What the model could have said at every step: its likeliest tokens, the chosen one among them.",
        alternatives(reading.steps),
        rows_shown=None,
    )
    finding = (
        f"It wrote {visible(reading.explanation.target)!r} in {len(pieces)} steps; it was least sure of "
        f"{visible(pieces[least])!r}, which it gave {percent(float(chosen['probability'].iloc[least]))}."
    )
    question = "What did the model say, and what else could it have said?"
    return _section("steps", "Step by step", question, finding, (tokens, table))


def alternatives(steps: pd.DataFrame) -> pd.DataFrame:
    """One row a step: `step`, `predicts`, `probability`, and `instead`, the other likely tokens with theirs.

    Args:
        steps: as in `SentenceReading`.
    """
    rows = []
    for step, found in steps.groupby("step"):
        chosen, others = found[found["chosen"]].iloc[0], found[~found["chosen"]]
        pairs = zip(others["token"], others["probability"], strict=True)
        rows.append({
            "step": step,
            "predicts": chosen["token"],
            "probability": chosen["probability"],
            "instead": ", ".join(f"{shown_token(token, LONGEST_TOKEN)} {number(value)}" for token, value in pairs),
        })
    return pd.DataFrame(rows)


def _reading(reading: SentenceReading) -> Section:
    source = reading.batch.source_texts[0].pieces
    step, token = np.unravel_index(int(reading.read.argmax()), reading.read.shape)
    finding = (
        f"Cross-attention is strongest on {visible(source[token])!r} when the model predicts "
        f"{visible(reading.batch.target_texts[0].pieces[step])!r}: {percent(float(reading.read[step, token]))} of it, mean over "
        "layers and heads."
    )
    blocks = get("cross_attention_focus").prompt_page(reading.examples["cross_attention_focus"])
    question = "What did every step read of the source, layer by layer and head by head?"
    return _section("reading", "What it read", question, finding, blocks, "Attention is not importance.")


def _lens(reading: SentenceReading) -> Section:
    depths, pieces = list(dict.fromkeys(reading.lens["depth"])), reading.batch.target_texts[0].pieces
    ranks = reading.lens["rank"].to_numpy().reshape(len(depths), -1)
    firsts = reading.lens["first choice"].to_numpy().reshape(len(depths), -1)
    rows: list[tuple[CellContent, ...]] = [
        (Token(piece), *(f"{Token(firsts[depth, step]).shown} ({ranks[depth, step]})" for depth in range(len(depths))))
        for step, piece in enumerate(pieces)
    ]
    sheet = SmallTable(
        "First choice at every depth, in brackets the rank of the predicted token", ("predicts", *depths), rows
    )
    table = Table("lens", "The logit lens in numbers: one row a depth and step.", reading.lens, rows_shown=len(pieces))
    early = int((ranks[-2] == 1).sum())
    finding = f"One layer before the end, {early} of {len(pieces)} tokens are already the first choice (logit lens)."
    question = "At what depth of the decoder does each token become the first choice?"
    limit = "Earlier streams are read with the last norm and unembedding, which were not trained for them."
    return _section(
        "lens", "When it knew", question, finding, (Card("lens-sheet", "Logit lens", (sheet,)), table), limit
    )


def _heads(reading: SentenceReading) -> Section:
    attribution = get("logit_attribution").prompt_page(reading.examples["logit_attribution"])
    patterns = get("head_specialization").prompt_page(reading.examples["head_specialization"])
    told = reading.explanation.components
    heads = told[told["component"].str.contains("H")]
    top = heads.iloc[0] if len(heads) else told.iloc[0]
    finding = f"Of the heads, {top['component']} does most for the token explained above."
    question = "Which components wrote each token, and where does every head look?"
    return _section("heads", "What each head did", question, finding, (*attribution, *patterns))
