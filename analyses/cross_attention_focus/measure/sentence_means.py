"""Prompts that share a sentence are one piece of evidence.

A prompt set often has every sentence in several target languages; resampling such prompts one by one would make intervals too
short, and p-values too small. So the numbers of prompts with the same sentence are averaged before anything is summarised:
the unit is the sentence.
"""

from dataclasses import replace

from analyses.core.contract import Evidence, Observed
from analyses.core.keys import means_by_key, rows_by_key

SENTENCE = "sentence"
"""Name of the observed array that says which prompts share a sentence."""


def by_sentence(evidence: Evidence) -> Evidence:
    """The same evidence with a row a sentence, in the order of their first prompts, called by the ids of these."""
    rows = rows_by_key(evidence.model.prompts[SENTENCE])

    def averaged(observed: Observed) -> Observed:
        numbers = {name: values for name, values in observed.prompts.items() if name != SENTENCE}
        return replace(observed, prompts={name: means_by_key(values, rows) for name, values in numbers.items()})

    return replace(
        evidence,
        prompt_ids=tuple(evidence.prompt_ids[shared[0]] for shared in rows),
        model=averaged(evidence.model),
        twins=tuple(averaged(twin) for twin in evidence.twins),
    )
