"""Which heads point from a word to its syntactic head or dependent?

Attention between words: to a word is the sum over its pieces, from a word the mean over its pieces (Clark et al. 2019). A word's
prediction is its strongest other word; task prefix and end of sentence are left out. A hit is a pair of a relation whose other
word is predicted. What becomes of the hits is decided in `relations`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analyses.core.contract import Arrays
from analyses.head_specialization.measure.parses import DIRECTIONS, Direction, Parse, parse_conllu
from analyses.head_specialization.settings import HeadSettings
from interp.attention_metrics import strongest_key
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.words import Span


@dataclass(frozen=True, slots=True, eq=False)
class SyntaxScores:
    """Hits of every encoder head on every relation, sentence by sentence.

    Attributes:
        relations: names on the relation axis.
        hits: pairs where the strongest word was the right one, for each direction.
        pairs: pairs there were.
    """

    relations: tuple[str, ...]
    hits: dict[Direction, Float[np.ndarray, "sentence relation layer head"]]
    pairs: dict[Direction, Float[np.ndarray, "sentence relation"]]


def relations_of(parses: Sequence[Parse]) -> tuple[str, ...]:
    """Every relation that occurs, roots left out, in the order of the relation axis."""
    return tuple(sorted({relation for parse in parses for relation in parse.relations if relation != "root"}))


def score_syntax(
    model: HookedEncoderDecoder, parses: Sequence[Parse], prefix: str = "", batch_size: int = 16
) -> SyntaxScores:
    """Run the encoder over parsed sentences and count hits.

    Args:
        model: with a fast tokenizer, which knows the characters of every piece.
        parses: gold parses.
        prefix: text put before every sentence, such as a task prefix; words of it are never predicted.
        batch_size: sentences in one forward pass.

    Raises:
        InputError: if the tokenizer keeps no character offsets.
    """
    relations = relations_of(parses)
    hits: dict[Direction, list[np.ndarray]] = {direction: [] for direction in DIRECTIONS}
    pairs: dict[Direction, list[np.ndarray]] = {direction: [] for direction in DIRECTIONS}
    for start in range(0, len(parses), batch_size):
        part = parses[start : start + batch_size]
        for parse, strongest in zip(part, _predictions(model, part, prefix), strict=True):
            for direction in DIRECTIONS:
                found, there = _count(parse, direction, strongest, relations)
                hits[direction].append(found)
                pairs[direction].append(there)
    return SyntaxScores(
        relations,
        {direction: np.stack(values) for direction, values in hits.items()},
        {direction: np.stack(values) for direction, values in pairs.items()},
    )


def _count(
    parse: Parse, direction: Direction, strongest: np.ndarray, relations: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Hits [relation layer head] and pairs [relation] of one sentence."""
    hits = np.zeros((len(relations), *strongest.shape[:2]), dtype=np.float32)
    pairs = np.zeros(len(relations), dtype=np.float32)
    for relation, word, other in parse.pairs(direction):
        if relation in relations:
            index = relations.index(relation)
            hits[index] += strongest[:, :, word] == other
            pairs[index] += 1
    return hits, pairs


def _predictions(model: HookedEncoderDecoder, parses: Sequence[Parse], prefix: str) -> list[np.ndarray]:
    """The strongest other word of every word, [layer head word], for every sentence."""
    tokenizer = model.tokenizer
    if tokenizer is None or not tokenizer.is_fast:
        raise InputError(
            "Syntax needs a fast tokenizer, which keeps the characters of every piece; this model has none."
        )
    encoded = tokenizer([prefix + parse.text for parse in parses], return_offsets_mapping=True, padding=True)
    ids, mask = (torch.tensor(encoded[name], device=model.device) for name in ("input_ids", "attention_mask"))
    layers: list[Tensor] = []

    def keep(pattern: Tensor, hook: HookPoint) -> None:
        layers.append(pattern)

    with torch.no_grad(), model.hooks([("encoder.*.attn.hook_pattern", keep)]):
        model.hf.get_encoder()(input_ids=ids, attention_mask=mask)
    patterns = torch.stack(layers, 1)
    predictions = []
    for index, parse in enumerate(parses):
        members = membership(encoded["offset_mapping"][index], parse.spans, len(prefix)).to(model.device)
        predictions.append(_strongest_words(word_attention(patterns[index].float(), members), members))
    return predictions


def membership(offsets: Sequence[Span], spans: Sequence[Span], shift: int) -> Bool[Tensor, "token word"]:
    """Which pieces belong to which words: those that share a character.

    Args:
        offsets: character range of every piece; empty for special tokens.
        spans: character range of every word, in a text that starts `shift` characters later.
        shift: length of what stands before that text.
    """
    return torch.tensor([
        [start < last + shift and end > first + shift and end > start for first, last in spans]
        for start, end in offsets
    ])


def word_attention(
    pattern: Float[Tensor, "layer head query key"], members: Bool[Tensor, "token word"]
) -> Float[Tensor, "layer head word other"]:
    """Attention between words: to a word the sum, from a word the mean over its pieces; NaN for words without pieces."""
    belongs = members.to(pattern.dtype)
    to_words = pattern @ belongs
    return torch.einsum("tw,lhto->lhwo", belongs / belongs.sum(0), to_words)


def _strongest_words(attention: Float[Tensor, "layer head word other"], members: Tensor) -> np.ndarray:
    """The strongest other word; -1 for words without pieces. No word is its own head."""
    own = torch.eye(attention.shape[-1], dtype=torch.bool, device=attention.device)
    there = members.any(0).to(attention.device)
    strongest = strongest_key(attention, ~own & there & there[:, None]).key
    return np.asarray(strongest.cpu().numpy())


def examine_syntax(model: HookedEncoderDecoder, settings: HeadSettings) -> Arrays:
    """`syntax.hits` [sentence direction relation layer head] and `syntax.pairs` [sentence direction relation].

    Raises:
        InputError: as `score_syntax`.
    """
    if not settings.conllu:
        return {}
    scores = score_syntax(model, parse_conllu(settings.conllu), settings.prefix)
    return {
        "syntax.hits": np.stack([scores.hits[direction] for direction in DIRECTIONS], 1),
        "syntax.pairs": np.stack([scores.pairs[direction] for direction in DIRECTIONS], 1),
    }
