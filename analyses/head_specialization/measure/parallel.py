"""Which cross-attention heads align the words of sentences whose words were aligned by hand?

The bundled sentences (`interp.prompts.aligned_words`), German and French targets given, need no gold links of the user's. Of the
target words with a link, those count whose strongest source word is the right one, at the output and at the input step
(`links.WordGrid`): 1 - AER of these links alone. The baseline is the diagonal, or the best fixed offset of words, whichever
agrees better (the offset is that of the other half of the sentences).

Whether the model translates at all is asked first: the right target must be likelier than behind another source.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from analyses.core.contract import Arrays
from analyses.head_specialization.measure.links import STEPS, WordGrid, counts, diagonal_links
from interp.attribution.logit_readout import label_losses
from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import StackOutputs, decoder_outputs, run_stacks
from interp.prompts import aligned_words
from interp.text.batch import Batch
from interp.text.word_links import Gold

PREFIX = "translate English to {language}: "
"""T5's own."""

_CODES = {"English": ("en", "eng"), "German": ("de", "deu"), "French": ("fr", "fra")}
"""Codes of languages with two letters, and with three (ISO 639-1 and 639-3)."""

_LEAST_LINKS = 2
"""Links below which a sentence cannot tell one head from another."""


class Pair(NamedTuple):
    """One aligned word pair in a batch: prompt, source pieces, row and id of the first piece of the target word."""

    prompt: int
    pieces: tuple[int, ...]
    row: int
    token: int


@dataclass(frozen=True, slots=True, eq=False)
class Parallel:
    """Sentences with one language's translations as a batch, and their links.

    Attributes:
        sentences: number of the English sentence of every prompt.
        batch: the prompts with given targets.
        grids: words of every prompt.
        gold: links of every prompt, counted as the grid counts.
        pairs: all aligned pairs.
    """

    sentences: tuple[int, ...]
    batch: Batch
    grids: tuple[WordGrid, ...]
    gold: tuple[Gold, ...]
    pairs: tuple[Pair, ...]


def n_sentences() -> int:
    """English sentences with aligned words."""
    return 1 + max(pair.sentence for pairs in aligned_words().values() for pair in pairs)


def parallel_of(model: HookedEncoderDecoder, language: str) -> Parallel:
    """The bundled sentences in one target language, as this model's tokenizer cuts them.

    Args:
        model: gives the tokenizer.
        language: one of `aligned_words()`.
    """
    found = aligned_words()[language]
    sentences = tuple(dict.fromkeys(pair.sentence for pair in found))
    texts = {pair.sentence: (pair.english_sentence, pair.foreign_sentence) for pair in found}
    prefix = _prefix(model, language)
    batch = model.batch(
        [prefix + texts[one][0] for one in sentences],
        [texts[one][1] for one in sentences],
        source_lang=model.languages.code_of("English"),
        target_lang=model.languages.code_of(language),
    )
    grids = tuple(map(WordGrid.of, batch.source_texts, batch.target_texts))
    gold, pairs = [], []
    for prompt, number in enumerate(sentences):
        links = set()
        source, target = batch.source_texts[prompt], batch.target_texts[prompt]
        first = len(source.words) - grids[prompt].size[0]
        for pair in (one for one in found if one.sentence == number):
            if pair.english not in source.words[first:] or pair.foreign not in target.words:
                continue
            link = (source.words.index(pair.english, first) - first, target.words.index(pair.foreign))
            pieces = np.flatnonzero(grids[prompt].source == link[0])
            row = int(np.flatnonzero(grids[prompt].target == link[1])[0])
            links.add(link)
            pairs.append(Pair(prompt, tuple(pieces.tolist()), row, target.ids[row]))
        gold.append(Gold(frozenset(links), frozenset(links)))
    return Parallel(sentences, batch, grids, tuple(gold), tuple(pairs))


def _prefix(model: HookedEncoderDecoder, language: str) -> str:
    """What a source begins with: T5's prefix, Marian's mark of the target's language where there is one, or nothing."""
    if model.cfg.reads_prefixes:
        return PREFIX.format(language=language)
    known = {} if model.tokenizer is None else model.tokenizer.get_vocab()
    marks = (f">>{code}<<" for code in reversed(_CODES[language]))
    return next((f"{mark} " for mark in marks if mark in known), "")


def parallels(model: HookedEncoderDecoder) -> tuple[Parallel, ...]:
    """The sentences in every language; none if this model's texts cannot hold them, or not half of their words.

    Args:
        model: gives the tokenizer.
    """
    try:
        found = tuple(parallel_of(model, language) for language in aligned_words())
    except InputError:
        return ()
    known = all(2 * len(one.pairs) >= len(words) for one, words in zip(found, aligned_words().values(), strict=True))
    return found if known else ()


def by_sentence(parts: list[dict[str, np.ndarray]], found: tuple[Parallel, ...]) -> dict[str, np.ndarray]:
    """Arrays of every language, [prompt *cells], as [sentence language *cells]; NaN where a sentence has none.

    Args:
        parts: a language's arrays.
        found: the languages.
    """
    placed = {}
    for name in parts[0]:
        values = np.full((n_sentences(), len(parts), *parts[0][name].shape[1:]), np.nan)
        for language, (part, parallel) in enumerate(zip(parts, found, strict=True)):
            values[list(parallel.sentences), language] = part[name]
        placed[name] = values
    return placed


def examine_alignment(model: HookedEncoderDecoder) -> Arrays:
    """Alignment on the bundled sentences.

    Args:
        model: any model.

    Returns:
        `parallel.likelier` [parallel language]: 1 where the right target is likelier behind its own source;
        `cross.parallel_output`, `_input` and `_base` [parallel language layer head]: 1 - AER. Nothing where the model's texts
        cannot hold the sentences.
    """
    found = parallels(model)
    return by_sentence([_of_language(model, parallel) for parallel in found], found) if found else {}


def _of_language(model: HookedEncoderDecoder, parallel: Parallel) -> dict[str, np.ndarray]:
    names = [f"{attention_path('cross', layer)}.hook_pattern" for layer in range(model.cfg.n_decoder_layers)]
    run = run_stacks(model, parallel.batch, names)
    patterns = torch.stack([run.cache[name] for name in names], 1).float().cpu().numpy()
    return {"parallel.likelier": _likelier(model, parallel.batch, run)} | _alignment(parallel, patterns)


@torch.no_grad()
def _likelier(model: HookedEncoderDecoder, batch: Batch, run: StackOutputs) -> Float[np.ndarray, " prompt"]:
    """1 where the mean log-probability of the target is larger behind its own source than behind the next sentence's."""
    moved = replace(batch, attention_mask=batch.attention_mask.roll(1, 0))
    _, outputs = decoder_outputs(model, moved, memory=run.memory.roll(1, 0))
    own, others = (label_losses(model, batch, values) for values in (run.outputs, outputs))
    return (own < others).double().cpu().numpy()


def _alignment(
    parallel: Parallel, patterns: Float[np.ndarray, "prompt layer head row source"]
) -> dict[str, np.ndarray]:
    shape = (len(parallel.gold), *patterns.shape[1:3])
    found = {f"cross.parallel_{name}": np.full(shape, np.nan) for name in (*STEPS, "base")}
    base = _baseline(parallel)
    for prompt, (grid, gold) in enumerate(zip(parallel.grids, parallel.gold, strict=True)):
        if len(gold.sure) < _LEAST_LINKS:
            continue
        linked = np.array(sorted({target for _, target in gold.sure}))
        right = np.zeros(grid.size, dtype=bool)
        right[tuple(np.array(sorted(gold.sure)).T)] = True
        rows, keys = len(parallel.batch.target_texts[prompt].ids), len(grid.source)
        for step in STEPS:
            links = grid.links(patterns[prompt, :, :, :rows, :keys], step)[..., linked]
            there = links >= 0
            agreed = 2 * (there & right[links, linked]).sum(-1)
            found[f"cross.parallel_{step}"][prompt] = agreed / (there.sum(-1) + len(gold.sure))
        found["cross.parallel_base"][prompt] = base[prompt]
    return found


def _baseline(parallel: Parallel) -> list[float]:
    """1 - AER of the diagonal or of the fixed offset that the other half of the sentences prefers, the larger."""
    offsets = [Counter(source - target for source, target in gold.sure) for gold in parallel.gold]
    best = []
    for half in (0, 1):
        others = sum(offsets[1 - half :: 2], Counter[int]())
        best.append(max(others, key=lambda offset: (others[offset], -abs(offset)), default=0))
    found = []
    for prompt, (grid, gold) in enumerate(zip(parallel.grids, parallel.gold, strict=True)):
        linked = {target for _, target in gold.sure}
        fixed = {(target + best[prompt % 2], target) for target in linked}
        diagonal = {link for link in diagonal_links(grid.size) if link[1] in linked}
        rates = [agreed / total for agreed, total in (counts(links, gold) for links in (fixed, diagonal)) if total]
        found.append(max(rates, default=np.nan))
    return found
