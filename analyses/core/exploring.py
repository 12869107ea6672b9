"""One prompt for the page to explore: its attention, who writes what into each predicted token, and the logit lens."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from analyses.core.contract import Pass
from analyses.core.observing import run_alone
from interp.attribution.components import components_of, source_components
from interp.attribution.direct_logit_attribution import Decomposition, decompose, decomposition_hooks
from interp.attribution.lenses import read_out, streams
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.attribution.source_attribution import DecoderKind, encoder_attribution, source_contributions
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.families.config import ModelConfig
from interp.geometry.nearest_neighbors import nearest
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import embedding
from interp.report.explorer.contents import Explorer, ExplorerPrompt, HeadNote, Said
from interp.report.views import AttentionPatterns
from interp.text.batch import Batch
from interp.text.pieces import pieces_of
from interp.text.vocabulary import Candidates, Vocabulary

SAID = 5
"""Tokens of the lens at every depth."""

_NEIGHBORS = 8
_MOST_COMPARED = 8e9
"""Products of a token's vector with a table that looking for neighbors may take; tokens beyond it have none."""


def explorer_hooks(cfg: ModelConfig) -> tuple[str, ...]:
    """Names and globs of the activations that `explorer_prompt` reads."""
    streamed = ("decoder.*.hook_resid_pre", f"decoder.{cfg.n_decoder_layers - 1}.hook_resid_post")
    return ("encoder.*.attn.hook_pattern", "decoder.*attn.hook_pattern", *streamed, *decomposition_hooks(cfg))


def explore(
    model: HookedEncoderDecoder,
    batch: Batch,
    row: int = 0,
    name: str = "1",
    foils: Int[Tensor, "one target"] | None = None,
) -> ExplorerPrompt:
    """One prompt of a batch, run alone.

    Args:
        model: the model.
        batch: holds the prompt.
        row: its row there.
        name: what it is called.
        foils: what each label is compared with; by default the model's best other token.
    """
    return explorer_prompt(run_alone(model, batch, row, more_hooks=explorer_hooks(model.cfg)), name, foils)


@torch.no_grad()
def explorer_prompt(run: Pass, name: str, foils: Int[Tensor, "one target"] | None = None) -> ExplorerPrompt:
    """The same of a prompt that was run alone.

    Args:
        run: with the activations of `explorer_hooks`.
        name: what the prompt is called.
        foils: what each label is compared with; by default the model's best other token.
    """
    model, batch, tokens = run.model, run.batch, label_tokens(run.batch)
    foils = runner_up(model, run.logits, tokens) if foils is None else foils
    readout = logit_difference(model, run.logits, tokens, foils)
    found = decompose(model, run.cache, readout)
    sources, own = (
        torch.stack([
            source_contributions(model, run.cache, kind, layer, one)[0] for layer, one in enumerate(directions)
        ])
        for kind, directions in _decoder_kinds(found)
    )
    return ExplorerPrompt(
        name=name,
        title=batch.source_texts[0].text,
        patterns=AttentionPatterns(
            **{kind: _patterns(run, kind) for kind in ATTENTION_KINDS},
            source_tokens=batch.source_texts[0].pieces,
            target_tokens=batch.decoder_pieces(0),
        ),
        labels=batch.target_texts[0].pieces,
        foils=_pieces(model, foils[0]),
        lead=_numbers(readout.values[0]),
        components=_numbers(found.values[0]),
        sources=_numbers(sources),
        own=_numbers(own),
        memory=_numbers(encoder_attribution(model, run.cache, found)[0]),
        lens=_lens(run),
    )


def _decoder_kinds(found: Decomposition) -> tuple[tuple[DecoderKind, tuple[Tensor, ...]], ...]:
    return ("cross", found.cross_directions), ("decoder", found.own_directions)


def _patterns(run: Pass, kind: AttentionKind) -> np.ndarray:
    paths = [attention_path(kind, layer) for layer in range(run.model.cfg.layers_of(kind))]
    return _numbers(torch.stack([run.cache[f"{path}.hook_pattern"][0] for path in paths]))


def _numbers(values: Tensor) -> np.ndarray:
    return np.asarray(values.float().cpu().numpy())


def _lens(run: Pass) -> tuple[tuple[Said, ...], ...]:
    """For every row and depth what the model would say if it stopped there; at the last depth what it says."""
    model, said = run.model, min(SAID, run.logits.shape[-1])
    unfinished = list(streams(model, run.cache, "decoder"))[:-1]
    logits = chain((read_out(model, stream)[0] for stream in unfinished), [run.logits[0]])  # one depth at a time
    best = [one.float().softmax(-1).topk(said) for one in logits]
    return tuple(
        tuple(tuple(zip(_pieces(model, depth.indices[row]), depth.values[row].tolist(), strict=True)) for depth in best)
        for row in range(run.logits.shape[1])
    )


def _pieces(model: HookedEncoderDecoder, tokens: Tensor) -> tuple[str, ...]:
    return pieces_of(model.tokenizer, tokens.tolist())


def explorer_of(
    model: HookedEncoderDecoder,
    name: str,
    prompts: Sequence[ExplorerPrompt],
    heads: Mapping[str, HeadNote] = MappingProxyType({}),
) -> Explorer:
    """All that the page to explore some prompts holds.

    Args:
        model: the model.
        name: what it is called.
        prompts: of `explorer_prompt`.
        heads: what is known of its heads.
    """
    cfg = model.cfg
    return Explorer(
        model=name,
        prompts=tuple(prompts),
        components=tuple(one.label for one in components_of(cfg, "decoder")),
        encoder_components=tuple(one.label for one in source_components(cfg)),
        depths=("embedding", *(f"layer {layer}" for layer in range(cfg.n_decoder_layers))),
        heads=heads,
        neighbors=token_neighbors(model, prompts),
    )


def token_neighbors(model: HookedEncoderDecoder, prompts: Iterable[ExplorerPrompt]) -> dict[str, Said]:
    """The nearest pieces of every token of some prompts in the input embedding, with their cosines; none without a tokenizer.

    Args:
        model: the model.
        prompts: what is shown of it.
    """
    if model.tokenizer is None:
        return {}
    wanted = dict.fromkeys(
        token for one in prompts for token in (*one.patterns.source_tokens, *one.patterns.target_tokens, *one.labels)
    )
    candidates = Candidates.of(Vocabulary.of(model.tokenizer, model.cfg.d_vocab))
    places = {piece: place for place, piece in enumerate(candidates.pieces.tolist())}
    table = embedding(model).detach().float().cpu().numpy()[candidates.rows]
    known = [token for token in wanted if token in places][: int(_MOST_COMPARED // max(table.size, 1))]
    if not known:
        return {}
    rows = np.array([places[token] for token in known])
    own = candidates.variants[rows][:, None] == candidates.variants
    found = nearest(table[rows], table, _NEIGHBORS, own, candidates.variants)
    return {token: _named(candidates, found.rows[at], found.cosines[at]) for at, token in enumerate(known)}


def _named(candidates: Candidates, rows: np.ndarray, cosines: np.ndarray) -> Said:
    return tuple(
        (str(candidates.pieces[row]), float(cosine)) for row, cosine in zip(rows, cosines, strict=True) if row >= 0
    )
