"""For the tests of cross-attention focus: planted readers, batches whose tokens have a class, and a small run without files.

A planted model reads by construction. Token classes lie in fixed ranges of ids, and every embedding carries its class in one
coordinate and a constant in another; the encoder writes nothing, so the memory is the normed embedding; the queries of every
cross-attention head read the constant and its keys read one class. What a layer reads is therefore known before it is run.
"""

from collections.abc import Sequence

import numpy as np
import torch

from analyses import cross_attention_focus
from analyses.core.contract import Evidence, Example, Observed, Pass, Settings
from analyses.core.effective_n import count_texts
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text
from interp.text.words import CATEGORIES, CONTENT, EOS, FUNCTION, NO_WORD, PREFIX, PUNCTUATION
from tests.support.models import tiny_hf

IDS = {PREFIX: range(3, 9), CONTENT: range(9, 31), FUNCTION: range(31, 46), PUNCTUATION: range(46, 56)}
_CONSTANT = 10
_STRENGTH = 2.0


def planted(reads: Sequence[str | None], seed: int = 0) -> HookedEncoderDecoder:
    """A model whose decoder layer l reads only tokens of the category reads[l], or everything evenly for None."""
    hf = tiny_hf("t5", seed, num_decoder_layers=len(reads))
    generator = torch.Generator().manual_seed(seed)
    table = 0.1 * torch.randn(hf.shared.weight.shape, generator=generator)
    table[:, _CONSTANT] = 1.0
    for category, ids in IDS.items():
        table[list(ids), category] = 1.0
    hf.shared.weight.copy_(table)
    for block in (*hf.encoder.block, *hf.decoder.block):
        block.layer[0].SelfAttention.o.weight.zero_()
        block.layer[-1].DenseReluDense.wo.weight.zero_()
    hf.encoder.final_layer_norm.weight.fill_(1.0)
    for block, category in zip(hf.decoder.block, reads, strict=True):
        attention = block.layer[1].EncDecAttention
        block.layer[1].layer_norm.weight.fill_(1.0)
        attention.q.weight.zero_()
        attention.k.weight.zero_()
        attention.q.weight[:: hf.config.d_kv, _CONSTANT] = 1.0
        if category is not None:
            attention.k.weight[:: hf.config.d_kv, CATEGORIES.index(category)] = _STRENGTH
        attention.o.weight.mul_(0.1)
    return HookedEncoderDecoder(hf)


def class_batch(model: HookedEncoderDecoder, n_prompts: int = 12, seed: int = 0, prefix: int = 3) -> Batch:
    """Prompts of different lengths whose tokens are drawn from the ids of their class; each ends in end-of-sentence."""
    generator = np.random.default_rng(seed)
    sources = [_text(generator, int(length), prefix) for length in generator.integers(12, 20, n_prompts)]
    targets = [_text(generator, int(length), 0) for length in generator.integers(12, 18, n_prompts)]
    return collate(sources, targets, model.cfg, model.hf._shift_right, "given")


def _text(generator: np.random.Generator, length: int, prefix: int) -> Text:
    turn = (CONTENT, CONTENT, FUNCTION, PUNCTUATION)
    categories = [PREFIX] * prefix + [turn[index % 4] for index in range(length - prefix - 1)]
    ids = [int(generator.choice(list(IDS[category]))) for category in categories]
    pieces = [f"▁{token}" for token in ids]
    return Text(
        text=" ".join(pieces),
        ids=(*ids, 1),
        pieces=(*pieces, "</s>"),
        words=tuple(map(str, ids)),
        word_of_token=(*range(len(ids)), NO_WORD),
        category_of_token=(*categories, EOS),
    )


def run_pass(model: HookedEncoderDecoder, batch: Batch, settings: Settings | None = None) -> Pass:
    """One forward pass with the analysis' hooks."""
    analysis = cross_attention_focus.ANALYSIS
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, analysis.hooks)
    return Pass(model, batch, logits, cache, settings or analysis.settings())


def evidence(model: HookedEncoderDecoder, batch: Batch, n_twins: int = 5, first_twin: int = 100) -> Evidence:
    """Observe a model and its twins on one batch, and show its first prompt."""
    analysis = cross_attention_focus.ANALYSIS

    settings = analysis.settings()

    def observed(who: HookedEncoderDecoder, experiments: bool = True) -> Observed:
        experiment = analysis.experiment(who, [batch], settings) if experiments else {}
        return Observed(dict(analysis.observe(run_pass(who, batch))), {}, experiment)

    single = batch.select(0)
    return Evidence(
        cfg=model.cfg,
        prompt_ids=tuple(f"p{index}" for index in range(len(batch))),
        target_origin=batch.target_origin,
        model=observed(model),
        twins=tuple(observed(untrained_twin(model, first_twin + index), index == 0) for index in range(n_twins)),
        example=Example(
            id="p0",
            source_pieces=single.source_texts[0].pieces,
            decoder_pieces=single.decoder_pieces(0),
            label_pieces=single.target_texts[0].pieces,
            arrays=analysis.illustrate(run_pass(model, single)),
        ),
        settings=settings,
        seed=0,
        texts=count_texts([batch]),
    )
