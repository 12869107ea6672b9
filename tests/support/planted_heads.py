"""Models whose heads do what was planted, by setting weights: the truth that role detectors are held against.

The residual stream holds the token as a one-hot vector in its first half and, if `remember_previous` was planted, the token
before in its second half. Every head is even (all scores 0) until something is planted, and no head or MLP writes anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from analyses.core.contract import Evidence, Example, Observed, Pass
from analyses.core.effective_n import count_texts
from analyses.head_specialization import ANALYSIS, HeadAtlas, HeadSettings
from analyses.head_specialization.roles.comparison import judge_all
from analyses.head_specialization.roles.decide import Verdict
from interp.axes import AttentionKind
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, EOS, FUNCTION, NO_WORD, PREFIX, PUNCTUATION, SENTINEL

VOCAB = 61
SHARP = 40.0
FIRST = 3
PREFIX_IDS = (FIRST, 4, 5)
PUNCTUATION_ID = 6
SENTINEL_ID = 60
WORDS = range(7, VOCAB)
QUICK = HeadSettings(resamples=500, samples=6, sample=8, draws=40, importance=(), nulls=())


@dataclass(frozen=True, slots=True)
class Garden:
    """A model in which heads are planted; all methods change its weights in place."""

    hf: T5ForConditionalGeneration

    def weight(self, kind: AttentionKind, layer: int, projection: str) -> Tensor:
        stack = self.hf.encoder if kind == "encoder" else self.hf.decoder
        sublayer = stack.block[layer].layer[1 if kind == "cross" else 0]
        module = sublayer.EncDecAttention if kind == "cross" else sublayer.SelfAttention
        return getattr(module, projection).weight.data

    def rows(self, head: int) -> slice:
        size = self.hf.config.d_kv
        return slice(head * size, (head + 1) * size)

    def bias(self, kind: AttentionKind, head: int, bucket: int) -> None:
        """A position bias at one bucket, in every layer of the stack at this head index."""
        stack = self.hf.encoder if kind == "encoder" else self.hf.decoder
        stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data[bucket, head] = SHARP

    def find_tokens(self, kind: AttentionKind, layer: int, head: int, tokens: Sequence[int]) -> None:
        """Every query looks for any of these tokens."""
        query, key = self.weight(kind, layer, "q")[self.rows(head)], self.weight(kind, layer, "k")[self.rows(head)]
        query[0, :VOCAB] = 1.0
        for token in tokens:
            key[0, token] = SHARP

    def same_token(self, kind: AttentionKind, layer: int, head: int) -> None:
        """Every query looks for keys that hold its own token."""
        self.match(kind, layer, head, query_half=0, key_half=0)

    def match(self, kind: AttentionKind, layer: int, head: int, query_half: int, key_half: int) -> None:
        """The query's token (half 0) or the one before it (half 1) must equal the key's."""
        query, key = self.weight(kind, layer, "q")[self.rows(head)], self.weight(kind, layer, "k")[self.rows(head)]
        for token in range(VOCAB):
            query[token, query_half * VOCAB + token] = 1.0
            key[token, key_half * VOCAB + token] = SHARP

    def follow(self, layer: int, head: int, pairs: dict[int, int]) -> None:
        """A cross head: a decoder input token looks for the source token that belongs to it."""
        query, key = (
            self.weight("cross", layer, "q")[self.rows(head)],
            self.weight("cross", layer, "k")[self.rows(head)],
        )
        for target, source in pairs.items():
            query[source, target] = 1.0
            key[source, source] = SHARP

    def remember_previous(self, kind: AttentionKind, head: int) -> None:
        """A previous-token head in every layer, which in layer 0 writes the token before into the second half."""
        self.bias(kind, head, 1)
        value, output = self.weight(kind, 0, "v")[self.rows(head)], self.weight(kind, 0, "o")[:, self.rows(head)]
        for token in range(VOCAB):
            value[token, token] = 1.0
            output[VOCAB + token, token] = 1.0 / self.hf.config.d_model**0.5

    def hooked(self) -> HookedEncoderDecoder:
        return HookedEncoderDecoder(self.hf)


def garden(layers: int = 2, decoder_layers: int = 3, heads: int = 4, feed_forward_proj: str = "relu") -> Garden:
    """A model without any specialized head."""
    config = T5Config(
        vocab_size=VOCAB,
        d_model=2 * VOCAB + 8,
        d_kv=64,
        d_ff=12,
        num_layers=layers,
        num_decoder_layers=decoder_layers,
        num_heads=heads,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        feed_forward_proj=feed_forward_proj,
    )
    hf = T5ForConditionalGeneration(config).eval().requires_grad_(False)
    for name, parameter in hf.named_parameters():
        if "norm" not in name:
            parameter.data.zero_()
    hf.shared.weight.data[:, :VOCAB] = torch.eye(VOCAB)
    return Garden(hf)


def text(ids: Sequence[int], sentinel: bool = False) -> Text:
    """A text of known ids; the category follows the id, that of the sentinel only where it is one."""

    def category(position: int, token: int) -> int:
        if token == 1:
            return EOS
        if token in PREFIX_IDS:
            return PREFIX
        if token == PUNCTUATION_ID:
            return PUNCTUATION
        if sentinel and token == SENTINEL_ID:
            return SENTINEL
        return CONTENT if position % 3 else FUNCTION

    pieces = tuple("</s>" if token == 1 else f"▁{token}" for token in ids)
    words = tuple(piece.lstrip("▁") for piece in pieces[:-1])
    return Text(
        text=" ".join(words),
        ids=tuple(ids),
        pieces=pieces,
        words=words,
        word_of_token=(*range(len(ids) - 1), NO_WORD),
        category_of_token=tuple(category(position, token) for position, token in enumerate(ids)),
    )


def planted_batch(model: HookedEncoderDecoder, prompts: int = 16, seed: int = 0) -> Batch:
    """Prompts of different lengths, padded on both sides: prefix, words without repeats, one mark, end of sentence."""
    generator = torch.Generator().manual_seed(seed)
    sources, targets = [], []
    for _ in range(prompts):
        source, target = (int(torch.randint(low, 24, (1,), generator=generator)) for low in (9, 10))
        order = (torch.randperm(len(WORDS), generator=generator) + WORDS[0]).tolist()
        sources.append(text((*PREFIX_IDS, *order[:source], PUNCTUATION_ID, 1)))
        order = (torch.randperm(len(WORDS), generator=generator) + WORDS[0]).tolist()
        targets.append(text((*order[:target], 1)))
    return collate(sources, targets, model.cfg, model.hf._shift_right, "given")


def observed(model: HookedEncoderDecoder, batch: Batch, settings: HeadSettings, experiments: bool = False) -> Observed:
    """What the analysis gives on one batch, as the runner would make it."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, names_filter=list(ANALYSIS.hooks_on(model.cfg)))
        prompts = ANALYSIS.observe(Pass(model, batch, logits, cache, settings))
        found = ANALYSIS.experiment(model, [batch], settings) if experiments else {}
        return Observed(prompts, ANALYSIS.examine(model, settings), found)


def atlas(model: HookedEncoderDecoder, batch: Batch, settings: HeadSettings | None = None, twins: int = 2) -> HeadAtlas:
    """The whole path from a model to its atlas."""
    settings = settings or QUICK
    single = batch.select(0)
    with torch.no_grad():
        logits, cache = model.run_with_cache(single, names_filter=list(ANALYSIS.hooks_on(model.cfg)))
        arrays = ANALYSIS.illustrate(Pass(model, single, logits, cache, settings))
    example = Example(
        id="p0",
        source_pieces=single.source_texts[0].pieces,
        decoder_pieces=single.decoder_pieces(0),
        label_pieces=single.target_texts[0].pieces,
        arrays=arrays,
    )
    evidence = Evidence(
        cfg=model.cfg,
        prompt_ids=tuple(f"p{index}" for index in range(len(batch))),
        target_origin=batch.target_origin,
        model=observed(model, batch, settings, experiments=True),
        twins=tuple(observed(untrained_twin(model, seed), batch, settings, seed == 0) for seed in range(twins)),
        example=example,
        settings=settings,
        seed=0,
        texts=count_texts([batch]),
    )
    return ANALYSIS.summarize(evidence)


def planted_roles(
    model: HookedEncoderDecoder, batch: Batch, settings: HeadSettings | None = None
) -> dict[str, list[str]]:
    """The roles alone, without twins: a quarter of the work of `atlas`."""
    settings = settings or QUICK
    return roles(judge_all(observed(model, batch, settings, experiments=True), settings, seed=0))


def roles(result: HeadAtlas | Verdict) -> dict[str, list[str]]:
    """Head -> its roles as texts."""
    found: dict[str, list[str]] = {}
    for label in result.labels:
        found.setdefault(str(label.head), []).append(str(label))
    return found
