"""Which prompts of a store are one piece of evidence: those of one sentence, whatever their task prefix."""

import numpy as np
from jaxtyping import Int

from interp.activations.store import ActivationStore

_NOT_SAID = ("prefix", "pad")


def sentences_of(store: ActivationStore) -> Int[np.ndarray, " prompt"]:
    """For every prompt of the corpus the number of its sentence.

    Prompts with the same source behind the task prefix are one sentence; in a store without sources, those with the same target.
    What is only repeated must not both teach and judge a probe, nor count twice in an interval.

    Args:
        store: the store; a prompt without rows is a sentence of its own.
    """
    side = min(store.manifest.sides)  # `source` before `target`
    index = store.index(side, ["prompt", "token", "category"])
    index = index[~index["category"].isin(_NOT_SAID)]
    prompts, tokens = index["prompt"].to_numpy(), index["token"].to_numpy(dtype=np.int64)
    starts = np.flatnonzero(np.diff(prompts, prepend=-1))
    first: dict[bytes, int] = {}
    found = np.arange(store.manifest.recipe.prompts)
    for prompt, text in zip(prompts[starts], np.split(tokens, starts)[1:], strict=True):
        found[prompt] = first.setdefault(text.tobytes(), int(prompt))
    return found
