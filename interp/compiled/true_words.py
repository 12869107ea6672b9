"""Which source words a program's answer is read from: the truth for methods that name source words."""

from collections.abc import Mapping

import numpy as np

from interp.compiled import ideal
from interp.compiled.language import EOS, PAD, Attend
from interp.compiled.plan import Plan
from interp.compiled.program import Example, Program
from interp.errors import InputError


def answers_by_reading(program: Program) -> bool:
    """Whether all that a program writes is found by cross-attention, so that every answer has its place in the source.

    Args:
        program: the program.
    """
    return all(isinstance(one, Attend) and one.kind == "cross" for one in program.outputs)


def true_words(plan: Plan, example: Example) -> Mapping[int, frozenset[int]]:
    """Decoder row -> the source positions that its answer is read from, for every judged row.

    Words that only say where to look, as the word before in `copy`, are not among them. There are several where the program
    finds the answer at several places, as a word that occurs twice.

    Args:
        plan: the program's plan.
        example: the input.

    Raises:
        InputError: if the answers are computed from what is read, and have no place in the source.
    """
    if not answers_by_reading(plan.program):
        raise InputError(
            f"Program {plan.program.name!r} computes its answers from what it reads; programs that write what they find, such "
            "as 'copy', have true words."
        )
    target = example.target.split()
    run = ideal.run(plan, [*example.source.split(), EOS], [PAD, *target])
    nodes = [node for one in plan.program.outputs for node in plan.places[one].nodes]
    pattern = np.mean([run.patterns[node] for node in nodes], axis=0)
    return {
        row: frozenset(map(int, np.flatnonzero(pattern[row] >= pattern[row].max() / 2)))
        for row in range(example.given, len(target) + example.ended)
    }
