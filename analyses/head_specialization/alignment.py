"""Which cross-attention heads align words, when gold links are given?

For every prompt with links and every head: twice the numerator and the denominator of 1 - AER (`links`), at the output and at the
input step, and the same of the diagonal. A head aligns if 1 - AER is at least 10 points above the diagonal's [ours, the margin of
Voita et al. 2019 for syntactic heads].
"""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from analyses._contract import Pass
from analyses.head_specialization.links import STEPS, GoldLinks, WordGrid, as_pairs, counts, diagonal_links
from analyses.head_specialization.settings import HeadSettings
from interp.names import attention_path

ROLES = {"output": "alignment at the output", "input": "alignment at the input step"}


def observe_alignment(run: Pass) -> dict[str, np.ndarray]:
    """Agreement of every cross head with the gold links.

    Returns:
        `cross.align_<step>` and `cross.align_diagonal`: 1 - AER per prompt [prompt layer head]; NaN for prompts without links.
        Nothing if the settings hold no links.
    """
    assert isinstance(run.settings, HeadSettings)
    links = run.settings.links
    if not links:
        return {}
    cfg, batch = run.model.cfg, run.batch
    shape = (len(batch), cfg.n_decoder_layers, cfg.n_decoder_heads)
    found = {f"cross.align_{step}": np.full(shape, np.nan) for step in (*STEPS, "diagonal")}
    layers = [run.cache[f"{attention_path('cross', layer)}.hook_pattern"] for layer in range(cfg.n_decoder_layers)]
    for prompt, (source, target) in enumerate(zip(batch.source_texts, batch.target_texts, strict=True)):
        if source.text not in links:
            continue
        gold, grid = GoldLinks.parse(links[source.text]), WordGrid.of(source, target)
        pattern = _pattern(layers, prompt, len(target.ids), len(source.ids))
        for step in STEPS:
            found[f"cross.align_{step}"][prompt] = _agreement(grid.links(pattern, step), gold)
        agreed, total = counts(diagonal_links(grid.size), gold)
        found["cross.align_diagonal"][prompt] = agreed / total
    return found


def _pattern(layers: list[Tensor], prompt: int, rows: int, keys: int) -> Float[np.ndarray, "layer head row key"]:
    return np.stack([layer[prompt, :, :rows, :keys].float().cpu().numpy() for layer in layers])


def _agreement(links: np.ndarray, gold: GoldLinks) -> Float[np.ndarray, "layer head"]:
    agreement = np.zeros(links.shape[:2])
    for cell in np.ndindex(*links.shape[:2]):
        agreed, total = counts(as_pairs(links[cell]), gold)
        agreement[cell] = agreed / total
    return agreement
