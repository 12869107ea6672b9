"""Neurons as cards: what writes a neuron's input, where it fires, what it writes, who reads it."""

from collections.abc import Sequence

import pandas as pd

from interp.circuits.neuron_traces import NeuronTrace
from interp.report import Card, Line, Section, SmallTable, Table, Title, Token
from interp.report.card_parts import CellContent
from interp.report.numbers import counted, number

_SHOWN = 6


def neuron_section(traces: Sequence[NeuronTrace], n_prompts: int, name: str = "neurons") -> Section:
    """A card for every neuron, and all of their numbers as tables.

    Args:
        traces: the neurons.
        n_prompts: prompts that were read.
        name: slug with which the names of its blocks begin.
    """
    largest = max(traces, key=lambda one: abs(one.effect))
    gap = max(one.gap for one in traces)
    return Section(
        name=name,
        title="Neurons traced",
        question="What writes a neuron's input, what fires it, what does it write, and who reads that?",
        findings=(
            f"Zeroing {largest.neuron} takes {number(largest.effect)} logits a decoder row from the lead of the label, the most "
            f"of these {len(traces)}.",
            f"What writes their inputs adds up with a gap of {number(gap, 1)} of the largest part.",
        ),
        blocks=(
            *(_card(one, name) for one in traces),
            *(
                Table(f"{name}-{part}", caption, _stacked(traces, part))
                for part, caption in (
                    ("contexts", "Where each neuron is most active."),
                    ("inputs", "What writes its input in those contexts, mean contribution."),
                    ("written", "Tokens at both ends of what it writes."),
                    ("readers", "Which later heads read it, as z against rows turned at random."),
                )
            ),
        ),
        limits=(
            f"Contexts and effects are those of {counted(n_prompts, 'prompt')}.",
            "Readers are found by weights: whether they attend there is another question.",
            "Neurons are a basis that a model need not use; several may do one thing together.",
        ),
        methods=("An MLP as key-value memory (Geva et al. 2021); norms are held at their scales in the run.",),
        cites=("geva2021",),
    )


def _stacked(traces: Sequence[NeuronTrace], part: str) -> pd.DataFrame:
    frames = [getattr(one, part).assign(neuron=str(one.neuron)) for one in traces]
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    whole.insert(0, "neuron", whole.pop("neuron"))
    return whole


def _card(one: NeuronTrace, name: str) -> Card:
    def table(caption: str, frame: pd.DataFrame) -> SmallTable:
        rows = [
            tuple(_cell(column, value) for column, value in zip(frame.columns, row, strict=True))
            for row in _rows(frame)
        ]
        return SmallTable(caption, tuple(map(str, frame.columns)), rows)

    taken = f"Zeroing it takes {number(one.effect)} logits a decoder row"
    facts = f"{taken}; it is not 0 at {number(100 * one.active)} % of positions."
    return Card(
        f"{name}-{str(one.neuron).lower()}",
        f"Neuron {one.neuron}: its contexts, inputs, writes and readers",
        (
            Title(str(one.neuron)),
            Line((facts,)),
            table("Most active", one.contexts),
            table("Written by", one.inputs.head(_SHOWN)),
            table("Writes", one.written),
            table("Read by", one.readers.head(_SHOWN)),
        ),
    )


def _rows(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(frame.itertuples(index=False, name=None))


def _cell(column: str, value: object) -> CellContent:
    if isinstance(value, float):
        return number(value)
    return Token(str(value)) if column == "token" else str(value)
