"""Does a head raise the token it reads, in real states?

A hit: the token is among the five most raised by what the head would write if it read that position alone (Wang et al. 2022, who
call heads with 95 % name movers). The write from position s is read as

    x_s W_V W_O diag(g_F) W_U^T        x: decoder self-attention, its normed input; cross-attention, the encoder memory [ours]

so the scale of the final norm, which changes no order, is left out. Norms with means, biases and norms after sublayers leave no
such product, so other families than T5's get no copying heads. A copying head [ours] has a share of hits of 0.50 or more,
above chance (5 / vocabulary), and OV eigenvalues (`copying`) whose score is 0.50 or more and above those of turned matrices: both
claims must hold, and the larger p counts. Eigenvalues alone speak about embeddings, which deeper states may have left behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analyses.core.contract import Arrays, Observed
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.measure.copying import KINDS, copy_scores, input_gain
from analyses.head_specialization.settings import HeadSettings
from interp.axes import AttentionKind
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import encoder_memory, run_stacks
from interp.model.weights import attention_weights, norm_gain, unembedding
from interp.statistics import mean_over_prompts
from interp.text.batch import Batch
from interp.text.words import EOS, PAD, PREFIX

TOP = 5
"""Ranks that count as raised."""


@dataclass(frozen=True, slots=True, eq=False)
class CopyEvidence:
    """What speaks for and against copying, of the heads of one kind that have a path to the logits.

    Attributes:
        score: eigenvalue score of OV, from -1 to 1.
        null: mean score of the same head turned at random; NaN where the score is below the threshold and none was drawn.
        null_high: 95 % of the turned heads score less.
        p_value: of the score among turned heads, not yet corrected; 1 where none was drawn.
        hits: share of words among the five most raised; NaN where the score is below the threshold.
        chance: what a head that raises tokens at random would hit.
        twin_score: score of the same head in the first untrained twin.
    """

    score: Float[np.ndarray, "layer head"]
    null: Float[np.ndarray, "layer head"]
    null_high: Float[np.ndarray, "layer head"]
    p_value: Float[np.ndarray, "layer head"]
    hits: Float[np.ndarray, "layer head"]
    chance: float
    twin_score: Float[np.ndarray, "layer head"]


def copy_evidence(kind: AttentionKind, own: Arrays, twin: Arrays) -> CopyEvidence | None:
    """The evidence of one kind from what `examine_copying` gave for a model and its twin; None if it gave nothing."""
    if f"{kind}.copying_score" not in own:
        return None
    score = own[f"{kind}.copying_score"]
    return CopyEvidence(
        score=score,
        null=own[f"{kind}.copying_null"],
        null_high=own[f"{kind}.copying_null_high"],
        p_value=own[f"{kind}.copying_p"],
        hits=mean_over_prompts(own[f"{kind}.copying_hits"]),
        chance=float(own["copying_chance"][0]),
        twin_score=twin.get(f"{kind}.copying_score", np.full_like(score, np.nan)),
    )


def why_no_copying(cfg: ModelConfig) -> str | None:
    """The attributes that keep a head's way to the logits from being one product of matrices; None in T5's family."""
    return None if cfg.logits_are_linear else cfg.describe_logit_path()


def examine_copying(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: HeadSettings) -> Arrays:
    """Eigenvalue scores of all heads that can copy, and the hits of those whose score passes.

    Returns:
        `<kind>.copying_score`, `_p`, `_null` and `_null_high` (95 % of the draws) [layer head], `<kind>.copying_hits`
        [prompt layer head], NaN for heads whose eigenvalues do not pass, and `copying_chance` [one]; nothing where
        `why_no_copying` has a reason.
    """
    if why_no_copying(model.cfg) is not None:
        return {}
    found: dict[str, np.ndarray] = {"copying_chance": np.array([min(TOP / model.cfg.d_vocab, 1.0)])}
    for kind in KINDS:
        scores = copy_scores(model, kind, settings.draws, settings.probe_seed, least=settings.mass)
        found[f"{kind}.copying_score"] = scores.score
        found[f"{kind}.copying_p"] = scores.p_value
        found[f"{kind}.copying_null"] = scores.null.mean(0)
        found[f"{kind}.copying_null_high"] = np.quantile(scores.null, 0.95, axis=0)
        with np.errstate(invalid="ignore"):
            passing = scores.score >= settings.mass
        found[f"{kind}.copying_hits"] = np.concatenate([copy_hits(model, batch, kind, passing) for batch in batches])
    return found


def copying_criteria(kind: AttentionKind, observed: Observed, settings: HeadSettings) -> list[Criterion]:
    """The criterion of copying heads, if `examine_copying` was run."""
    arrays = observed.experiment
    if f"{kind}.copying_hits" not in arrays:
        return []
    hits = arrays[f"{kind}.copying_hits"]
    null = np.where(np.isnan(hits), np.nan, arrays["copying_chance"][0])
    passing = np.asarray(~np.isnan(hits).all(0))
    return [Criterion("copying", "copying", hits, null, eligible=passing, p_values=arrays[f"{kind}.copying_p"])]


def copy_hits(
    model: HookedEncoderDecoder,
    batch: Batch,
    kind: AttentionKind = "cross",
    heads: Bool[np.ndarray, "layer head"] | None = None,
    top: int = TOP,
) -> Float[np.ndarray, "prompt layer head"]:
    """Share of words whose own token is among the `top` logits that a head writes when it reads them.

    Args:
        model: the model.
        batch: real texts; prefix, end of sentence, start token and padding are left out.
        kind: `cross` or `decoder`.
        heads: which heads; all by default. The others are NaN.
        top: ranks that count.
    """
    chosen = np.ones((model.cfg.layers_of(kind), model.cfg.heads_of(kind)), dtype=bool) if heads is None else heads
    words, ids = _words(batch, kind)
    found = np.full((len(batch), *chosen.shape), np.nan)
    if not chosen.any():
        return found
    prompt = words.nonzero()[:, 0]
    read = unembedding(model) * norm_gain(model, "decoder.ln_final")
    with torch.no_grad():
        states = _states(model, batch, kind)
        for layer, head in np.argwhere(chosen):
            weights = attention_weights(model, kind, int(layer))
            logits = states[int(layer)][words] @ weights.W_V[head] @ weights.W_O[head] @ read.T
            hits = _raised(logits, ids[words], top)
            total = hits.new_zeros(len(batch)).index_add_(0, prompt, hits)
            found[:, layer, head] = (total / words.sum(-1)).cpu().numpy()
    return found


def _words(batch: Batch, kind: AttentionKind) -> tuple[Bool[Tensor, "batch pos"], Tensor]:
    """Positions that hold a word, and the tokens there."""
    if kind == "decoder":
        rows = batch.target_mask.clone()
        rows[:, 0] = False
        return rows, batch.decoder_input_ids
    left_out = torch.tensor([PREFIX, EOS, PAD], device=batch.source_categories.device)
    return batch.source_mask & ~torch.isin(batch.source_categories, left_out), batch.input_ids


def _states(model: HookedEncoderDecoder, batch: Batch, kind: AttentionKind) -> list[Float[Tensor, "batch pos d_model"]]:
    """What the values of every layer are made from."""
    if kind == "decoder":
        names = [f"decoder.{layer}.ln1.hook_normalized" for layer in range(model.cfg.n_decoder_layers)]
        cache = run_stacks(model, batch, names).cache
        return [cache[name] * input_gain(model, kind, layer) for layer, name in enumerate(names)]
    return [encoder_memory(model, batch)] * model.cfg.n_decoder_layers


def _raised(logits: Float[Tensor, "word vocab"], tokens: Tensor, top: int) -> Float[Tensor, " word"]:
    """1 where the token is among the `top`; ties count against it, so a head that writes nothing raises nothing."""
    own = logits.gather(1, tokens[:, None])
    return ((logits >= own).sum(-1) <= top).float()
