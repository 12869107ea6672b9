"""Which cross-attention heads link words, and which align them, when gold links are given?

Links are those of `links.WordGrid`. For every prompt with gold links and every head: 1 - AER at the output and at the input step;
and the same of the baseline, the diagonal or, in short texts, one right link alone, whichever agrees better. A head aligns if
1 - AER is at least 10 points above the baseline's [ours, the margin of Voita et al. 2019 for syntactic heads].
"""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from analyses.core.contract import Pass
from analyses.head_specialization.measure.links import STEPS, WordGrid, as_pairs, counts, diagonal_links, gold_links
from analyses.head_specialization.settings import HeadSettings
from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.text.word_links import Gold

_LEAST = 2

ROLES = {"output": "alignment at the output", "input": "alignment at the input step"}


def observe_alignment(run: Pass) -> dict[str, np.ndarray]:
    """Links of every cross head, and their agreement with the gold links.

    Returns:
        `cross.linked_<step>`: share of target words that have a link at all [prompt layer head]; and, if the settings hold gold
        links, `cross.align_<step>` and `cross.align_base`: 1 - AER; NaN for prompts without gold links, or with a single one
        or a single word, where every head is right.
    """
    assert isinstance(run.settings, HeadSettings)
    written = run.settings.links
    cfg, batch = run.model.cfg, run.batch
    shape = (len(batch), cfg.n_decoder_layers, cfg.n_decoder_heads)
    names = [f"linked_{step}" for step in STEPS]
    names += [f"align_{step}" for step in (*STEPS, "base")] if written else []
    found = {f"cross.{name}": np.full(shape, np.nan) for name in names}
    layers = [run.cache[f"{attention_path('cross', layer)}.hook_pattern"] for layer in range(cfg.n_decoder_layers)]
    for prompt, (source, target) in enumerate(zip(batch.source_texts, batch.target_texts, strict=True)):
        grid = WordGrid.of(source, target)
        if not grid.size[1]:
            continue
        pattern = _pattern(layers, prompt, len(target.ids), len(source.ids))
        links = {step: grid.links(pattern, step) for step in STEPS}
        for step in STEPS:
            found[f"cross.linked_{step}"][prompt] = (links[step] >= 0).mean(-1)
        if source.text not in written:
            continue
        gold = gold_links(written[source.text])
        _check(gold, grid.size, source.text)
        if min(*grid.size, len(gold.sure)) < _LEAST:
            continue
        for step in STEPS:
            found[f"cross.align_{step}"][prompt] = _agreement(links[step], gold)
        found["cross.align_base"][prompt] = _baseline(grid.size, gold)
    return found


def _check(gold: Gold, size: tuple[int, int], text: str) -> None:
    """Refuse gold links of words that a prompt has not."""
    link = gold.outside(size)
    if link is not None:
        raise InputError(
            f"The gold links of {text[:60]!r} hold {link[0]}-{link[1]}, but the prompt has {size[0]} source and {size[1]} "
            "target words; count words from 0 behind the task prefix, source first, and give the target that belongs to them."
        )


def _pattern(layers: list[Tensor], prompt: int, rows: int, keys: int) -> Float[np.ndarray, "layer head row key"]:
    return np.stack([layer[prompt, :, :rows, :keys].float().cpu().numpy() for layer in layers])


def _agreement(links: np.ndarray, gold: Gold) -> Float[np.ndarray, "layer head"]:
    agreement = np.zeros(links.shape[:2])
    for cell in np.ndindex(*links.shape[:2]):
        agreed, total = counts(as_pairs(links[cell]), gold)
        agreement[cell] = agreed / total
    return agreement


def _baseline(size: tuple[int, int], gold: Gold) -> float:
    """1 - AER of the diagonal, or of one right link and no other."""
    agreed, total = counts(diagonal_links(size), gold)
    return max(agreed / total, 2 / (1 + len(gold.sure)))
