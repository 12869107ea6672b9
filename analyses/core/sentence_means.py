"""Prompts that share a sentence are one piece of evidence.

A prompt set often has every sentence in several target languages; resampling such prompts one by one would make intervals too
short, and p-values too small. So the numbers of prompts with the same sentence are averaged before anything is summarized:
the unit is the sentence, in observations of all prompts as in experiments on the first of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from analyses.core.contract import Arrays, ArraySpec, Evidence, Observed, Stage
from analyses.core.keys import means_by_key, rows_by_number


def by_sentence(evidence: Evidence, specs: Sequence[ArraySpec]) -> Evidence:
    """The same evidence with a row a sentence, in the order of their first prompts, called by the ids of these.

    Args:
        evidence: with a row a prompt.
        specs: the arrays that the analysis declares; numbers alone are averaged, other arrays of prompts are left out.
    """
    sentence_of = np.array(evidence.texts.sentence_of)

    @cache
    def rows(count: int) -> list[np.ndarray]:
        """The rows of every sentence among the first prompts; sentences are numbered as they first occur."""
        return rows_by_number(sentence_of[:count])

    def averaged(arrays: Arrays, stage: Stage, axis: str) -> dict[str, np.ndarray]:
        found = dict(arrays)
        for spec in specs:
            if spec.name in found and spec.stage == stage and spec.axes[0] == axis:
                values = found.pop(spec.name)
                if spec.content == "number":
                    found[spec.name] = means_by_key(values, rows(len(values)))
        return found

    def of(observed: Observed) -> Observed:
        experiment = averaged(observed.experiment, "experiment", "sample")
        return replace(observed, prompts=averaged(observed.prompts, "observe", "prompt"), experiment=experiment)

    first = {number: place for place, number in reversed(list(enumerate(evidence.texts.sentence_of)))}
    return replace(
        evidence,
        prompt_ids=tuple(evidence.prompt_ids[first[number]] for number in sorted(first)),
        model=of(evidence.model),
        twins=tuple(map(of, evidence.twins)),
    )
