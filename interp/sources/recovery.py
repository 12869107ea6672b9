"""How often does a method name the true source word, where the truth is known: in compiled programs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from interp.compiled.checkpoint import compiled
from interp.compiled.plan import plan_of
from interp.compiled.programs import PROGRAMS, find_program
from interp.compiled.true_words import answers_by_reading, true_words
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.sources.judge import RANDOM, TWIN
from interp.sources.methods import METHODS, attribute_sources
from interp.sources.question import Question, ask
from interp.statistics import merge_ties

Case = tuple[Question, tuple[frozenset[int], ...]]
"""A question, and for every row the true source positions."""


def true_word_programs() -> tuple[str, ...]:
    """The programs whose answers are read from places in the source."""
    return tuple(name for name in PROGRAMS if answers_by_reading(find_program(name)))


def true_word_cases(model: HookedEncoderDecoder, program: str, examples: int, seed: int = 0) -> tuple[Case, ...]:
    """Questions about a program's judged rows, with their truth.

    Args:
        model: the compiled program.
        program: its name.
        examples: inputs drawn from its domain.
        seed: of the draw.
    """
    plan = plan_of(find_program(program))
    domain = tuple(plan.program.examples())
    drawn = np.random.default_rng(seed).choice(len(domain), min(examples, len(domain)), replace=False)
    cases = []
    for place in sorted(map(int, drawn)):
        example = domain[place]
        truth = true_words(plan, example)
        batch = model.batch([example.source], [example.target])
        cases.append((ask(model, batch, torch.tensor(list(truth))), tuple(truth.values())))
    return tuple(cases)


def hits(model: HookedEncoderDecoder, cases: Sequence[Case], method: str) -> Float[np.ndarray, " row"]:
    """Whether a method puts a true word first, for every row; of words tied for the first place the share that is true.

    Args:
        model: the model whose attributions are taken.
        cases: of `true_word_cases`.
        method: name of the method.
    """
    found = []
    for question, truth in cases:
        values = attribute_sources(model, question, [method])[method].found.source.detach().float().cpu().numpy()
        for row, places in zip(values, truth, strict=True):
            if np.isnan(row).any():
                found.append(0.0)
                continue
            merged = merge_ties(row.astype(np.float64))
            first = np.flatnonzero(merged == merged.max())
            found.append(float(np.mean([place in places for place in first])))
    return np.array(found)


def recovery(
    methods: Sequence[str] | None = None, programs: Sequence[str] | None = None, examples: int = 8, seed: int = 0
) -> pd.DataFrame:
    """Share of rows whose true word a method puts first: one row a method, one column a program, `rows` below them.

    Methods on untrained twins of the programs, and random orders, are the controls. A method that has no answer is wrong.

    Args:
        methods: names of methods; all by default.
        programs: names of programs; by default all whose answers have a place in the source.
        examples: inputs drawn of every program.
        seed: of draws and twins.
    """
    chosen = tuple(METHODS) if methods is None else tuple(methods)
    table: dict[str, Mapping[str, float]] = {}
    for name in true_word_programs() if programs is None else programs:
        model = compiled(find_program(name))
        twin, cases = untrained_twin(model, seed), true_word_cases(model, name, examples, seed)
        truths = [(len(places), case[0].batch.input_ids.shape[1]) for case in cases for places in case[1]]
        table[name] = {
            **{method: float(hits(model, cases, method).mean()) for method in chosen},
            RANDOM: float(np.mean([true / tokens for true, tokens in truths])),
            **{f"{method}, {TWIN}": float(hits(twin, cases, method).mean()) for method in chosen},
            "rows": float(len(truths)),
        }
    frame = pd.DataFrame(table)
    return frame.rename_axis("method").reset_index()
