"""Every head, layer and flow as a word aligner, scored against gold links, with baselines and untrained twins."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from analyses.core.contract import Pass, Settings, on_own_rows
from analyses.core.memory_use import use_once
from analyses.cross_attention_focus.alignment.baselines import diagonal_links, random_corpora
from analyses.cross_attention_focus.alignment.error_rate import Score, corpus_counts, error_rate, score, summed_counts
from analyses.cross_attention_focus.alignment.extract import ALL_CONVENTIONS, Conventions, read_links
from analyses.cross_attention_focus.alignment.sentences import Rows, by_sentence, less_error, sentence_rows
from analyses.cross_attention_focus.alignment.texts import AlignedPair, words_of_tokens
from analyses.cross_attention_focus.measure.observe import HOOKS, readings
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.report import notebook_html
from interp.sources import alti, rollout, why_no_alti
from interp.statistics import Estimate, Interval, controlled
from interp.text.word_links import Gold, Links
from interp.text.words import NO_WORD

_BATCH = 16


@dataclass(frozen=True, slots=True)
class SystemScore:
    """One aligner.

    Attributes:
        system: head (`XL1H5 raw`), layer (`layer 1 norm`), flow (`alti layer 3`), `diagonal` or `random`.
        conventions: how its links were read, in words; empty for the baselines.
        score: over all sentences.
        chosen: AER on the first half of the sentences.
        held_out: AER on the second half.
        twins: AER of the same system in every untrained twin; empty for the baselines.
    """

    system: str
    conventions: str
    score: Score
    chosen: float
    held_out: float
    twins: tuple[float, ...]

    @property
    def error(self) -> Estimate:
        """The alignment error rate over all sentences, beside that in the twins."""
        point, low, high = (np.array(bound) for bound in (self.score.aer, self.score.low, self.score.high))
        return controlled(Interval(point, low, high, np.array(self.score.n_sentences)), self.twins)


@dataclass(frozen=True, slots=True, repr=False)
class Alignment:
    """All aligners on one corpus.

    Attributes:
        n_sentences: independent sentences, see `sentences.sentence_rows`; intervals and halves are of these.
        n_sure: sure gold links.
        n_possible: possible gold links, the sure ones included.
        baselines: `diagonal` and `random`.
        systems: every other aligner under every convention, the best first.
        gains: name of a baseline -> by how much the best aligner's error rate is below it on the second half.
        twin_best: AER on the second half of every untrained twin's own best aligner, chosen on the first.
        links: what the best aligner gave, pair by pair.
        twin_links: what the same aligner gave in every untrained twin.
    """

    n_sentences: int
    n_sure: int
    n_possible: int
    baselines: tuple[SystemScore, ...]
    systems: tuple[SystemScore, ...]
    gains: Mapping[str, Interval]
    twin_best: tuple[float, ...]
    links: tuple[Links, ...]
    twin_links: tuple[tuple[Links, ...], ...]

    @property
    def best(self) -> SystemScore:
        """The aligner with the lowest AER on the first half; its honest number is `held_out`."""
        return min(self.systems, key=lambda system: merit(system.chosen, system.system, system.conventions))

    def __repr__(self) -> str:
        return f"Alignment({self.n_sentences} sentences, best {self.best.system}: AER {self.best.score.aer:.3f})"

    def to_frame(self) -> pd.DataFrame:
        """One row an aligner and convention, the baselines first: its scores, shares from 0 to 1."""
        return pd.DataFrame([
            {
                "aligner": row.system,
                "conventions": row.conventions,
                "AER": row.score.aer,
                "low": row.score.low,
                "high": row.score.high,
                "precision": row.score.precision,
                "recall": row.score.recall,
            }
            for row in (*self.baselines, *self.systems)
        ])

    def _repr_html_(self) -> str:
        """Baselines and the best aligners, for a notebook."""
        return scores_table(
            f"{self.n_sentences} sentences, {self.n_sure} sure links", (*self.baselines, *self.systems[:10])
        )


def evaluate(
    model: HookedEncoderDecoder,
    pairs: Sequence[AlignedPair],
    gold: Sequence[Gold],
    twins: int = 5,
    seed: int = 0,
) -> Alignment:
    """Score every head, layer and flow.

    Args:
        model: the model; targets are given to its decoder.
        pairs: sentence pairs, in the order of the gold file.
        gold: their links.
        twins: how many untrained control models.
        seed: of random links, resampling and twins.

    Raises:
        InputError: if there are not as many pairs as gold lines, fewer than two, or a link names a word that is not there.
    """
    rows = _checked(pairs, gold)
    half = len(rows) // 2
    links = system_links(model, pairs)
    table = {key: by_sentence(corpus_counts(given, gold), rows) for key, given in links.items()}
    best = _best(table, half)
    chosen = tuple(links[best])
    del links
    controls, twin_links, twin_best = [], [], []
    for index in range(twins):
        given_by_twin = use_once(partial(untrained_twin, model, seed + index), partial(system_links, pairs=pairs))
        of_twin = {key: by_sentence(corpus_counts(given, gold), rows) for key, given in given_by_twin.items()}
        controls.append({key: error_rate(one) for key, one in of_twin.items()})
        twin_best.append(error_rate(of_twin[_best(of_twin, half)][half:]))
        twin_links.append(tuple(given_by_twin[best]))
    systems = [
        scored(name, str(how), values, half, seed, [control[name, how] for control in controls])
        for (name, how), values in table.items()
    ]
    sizes = [(len(pair.source_words), len(pair.target_words)) for pair in pairs]
    baselines = {"diagonal": [[diagonal_links(*size) for size in sizes]], "random": random_corpora(sizes, seed)}
    free = {name: by_sentence(summed_counts(drawn, gold), rows) for name, drawn in baselines.items()}
    return Alignment(
        n_sentences=len(rows),
        n_sure=sum(len(sentence.sure) for sentence in gold),
        n_possible=sum(len(sentence.possible) for sentence in gold),
        baselines=tuple(_baseline(name, free[name], len(drawn), half, seed) for name, drawn in baselines.items()),
        systems=tuple(sorted(systems, key=lambda item: merit(item.score.aer, item.system))),
        gains={name: less_error(table[best][half:], one[half:], seed) for name, one in free.items()},
        twin_best=tuple(twin_best),
        links=chosen,
        twin_links=tuple(twin_links),
    )


def _best(table: Mapping[tuple[str, Conventions], np.ndarray], half: int) -> tuple[str, Conventions]:
    """The aligner with the lowest error rate on the first half."""
    return min(table, key=lambda key: merit(error_rate(table[key][:half]), key[0], str(key[1])))


def _baseline(name: str, table: np.ndarray, draws: int, half: int, seed: int) -> SystemScore:
    """The score of links that cost nothing, from counts over all their draws, with the number of links of one draw."""
    found = scored(name, "", table, half, seed, [])
    return replace(found, score=replace(found.score, n_links=found.score.n_links // draws))


def merit(error: float, *name: str) -> tuple[float, tuple[str, ...]]:
    """By which the best is chosen: undefined errors last, ties by name."""
    return float(np.nan_to_num(error, nan=np.inf)), name


def _checked(pairs: Sequence[AlignedPair], gold: Sequence[Gold]) -> Rows:
    """The pairs of every independent sentence, once both files fit."""
    if len(pairs) != len(gold) or len(pairs) < 2:
        raise InputError(
            f"Got {len(pairs)} sentence pairs and {len(gold)} lines of gold links; give one line for each pair, at least two."
        )
    check_links(gold, [(len(pair.source_words), len(pair.target_words)) for pair in pairs], "gold file")
    rows = sentence_rows(pairs)
    if len(rows) < 2:
        raise InputError(
            f"All {len(pairs)} sentence pairs share a side, so they are one sentence; give pairs of two at least."
        )
    return rows


def check_links(gold: Sequence[Gold], sizes: Sequence[tuple[int, int]], file: str) -> None:
    """Refuse links that name a word which is not there.

    Args:
        gold: links of every pair.
        sizes: how many words its source and its target have.
        file: where the links come from, for the message.

    Raises:
        InputError: naming line, link and the numbers of words.
    """
    for number, (size, links) in enumerate(zip(sizes, gold, strict=True), start=1):
        link = links.outside(size)
        if link is not None:
            raise InputError(
                f"Line {number} of the {file} links source word {link[0]} with target word {link[1]} (counted from 0), but "
                f"the pair has {size[0]} and {size[1]} words. Check whether words count from 0 or 1 and which side comes first."
            )


def scores_table(caption: str, rows: Iterable[SystemScore]) -> str:
    """Scores as a small table for a notebook."""
    return notebook_html.table(
        caption,
        ("links", "conventions", "AER", "low", "high", "precision", "recall", "first half", "second half"),
        [
            (
                *(row.system, row.conventions, row.score.aer, row.score.low, row.score.high),
                *(row.score.precision, row.score.recall, row.chosen, row.held_out),
            )
            for row in rows
        ],
    )


def scored(name: str, how: str, table: np.ndarray, half: int, seed: int, twins: Sequence[float]) -> SystemScore:
    """The score of one aligner from its counts [sentence count], on all sentences and on both halves."""
    return SystemScore(
        system=name,
        conventions=how,
        score=score(table, seed),
        chosen=error_rate(table[:half]),
        held_out=error_rate(table[half:]),
        twins=tuple(twins),
    )


def system_links(
    model: HookedEncoderDecoder, pairs: Sequence[AlignedPair]
) -> dict[tuple[str, Conventions], list[Links]]:
    """(system, conventions) -> the links of every pair, without any gold; for two directions, see `symmetrization`."""
    found: dict[tuple[str, Conventions], list[Links]] = {}
    for matrices, source, target in matrices_of(model, pairs):
        stacked = np.stack(list(matrices.values()))[:, : len(target), : len(source)]
        for how in ALL_CONVENTIONS:
            for name, links in zip(matrices, read_links(stacked, source, target, how), strict=True):
                found.setdefault((name, how), []).append(links)
    return found


def matrices_of(
    model: HookedEncoderDecoder, pairs: Sequence[AlignedPair]
) -> Iterator[tuple[Mapping[str, np.ndarray], tuple[int, ...], tuple[int, ...]]]:
    """For every pair: aligner -> [target source], still padded, and the words of its source and target tokens."""
    assert model.tokenizer is not None
    if (why := on_own_rows(model.cfg)) is not None:
        raise InputError(f"Words cannot be aligned by this model's attention: {why}. Choose another model.")
    for start in range(0, len(pairs), _BATCH):
        part = pairs[start : start + _BATCH]
        for pair, matrices in zip(part, _matrices(model, part), strict=True):
            with model.languages.spoken(model.tokenizer):
                source = words_of_tokens(pair.source, pair.source_words, model.tokenizer, pair.prefix)
                target = words_of_tokens(pair.target, pair.target_words, model.tokenizer, side="target")
            yield matrices, source, target if target[-1] == NO_WORD else (*target, NO_WORD)


def _matrices(model: HookedEncoderDecoder, pairs: Sequence[AlignedPair]) -> list[Mapping[str, np.ndarray]]:
    """For every pair, system name -> [target source], still padded; some row reads every token of a target."""
    given = [pair.source for pair in pairs], [pair.target for pair in pairs], [pair.prefix for pair in pairs]
    batch = model.batcher.with_ends(model.batch(*given))
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, HOOKS)
        run = Pass(model, batch, logits, cache, Settings())
        read = {name: weights.nan_to_num(0.0).cpu().numpy() for name, weights in readings(run).items()}
        flows = {"rollout": rollout(model, batch, cache).source.cpu().numpy()}
        if why_no_alti(model.cfg) is None:
            flows["alti"] = alti(model, batch, cache).source.cpu().numpy()
    named: list[Mapping[str, np.ndarray]] = []
    for prompt in range(len(pairs)):
        systems = {}
        for layer in range(model.cfg.n_decoder_layers):
            for kind in ("raw", "norm"):
                for head in range(model.cfg.n_decoder_heads):
                    systems[f"{HeadId('cross', layer, head)} {kind}"] = read[f"{kind}.head"][prompt, layer, head]
                systems[f"layer {layer} {kind}"] = read[f"{kind}.layer"][prompt, layer]
            for name, flow in flows.items():
                systems[f"{name} layer {layer}"] = flow[prompt, layer]
        named.append(systems)
    return named
