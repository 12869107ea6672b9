"""Which heads matter for the loss?

    gradient     I_h = E_x | z_h . dL/dz_h |, summed over positions and channels, absolute per prompt    Michel et al. 2019
    ablations    zero, mean and resample (`ablation`): loss, and logit difference of the first label to its foil
    unbiased     the same when a self-attention head loses its position bias in this layer alone [ours]: what position is good for
                 (left out where positions are absolute)

Michel's gate multiplies z, so its derivative at 1 is that product exactly. Agreement between the measures is Spearman's rank
correlation over heads: of the gradient score with the size of every ablation's mean effect.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from analyses.core.arrays import joined
from analyses.head_specialization.measure import position
from analyses.head_specialization.measure.ablation import (
    Ablation,
    ablate_heads,
    all_heads,
    first_answer,
    logit_difference_of,
    loss_of,
)
from analyses.head_specialization.measure.replay import ReadOut, Replay
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.statistics import RankTest, spearman
from interp.text.batch import IGNORED_LABEL, Batch

GRADIENT = "importance_gradient"
ABLATIONS: tuple[Ablation, ...] = ("zero", "mean", "resample")


def measure_importance(
    model: HookedEncoderDecoder, batches: Sequence[Batch], settings: HeadSettings
) -> dict[str, np.ndarray]:
    """What the settings ask for: `<kind>.importance_<measure>` [prompt layer head]; NaN where a measure has no meaning."""
    return joined([_of_batch(model, batch, settings) for batch in batches])


def _of_batch(model: HookedEncoderDecoder, batch: Batch, settings: HeadSettings) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    if "gradient" in settings.importance:
        scores = gradient_importance(model, batch)
        found |= {f"{kind}.{GRADIENT}": values for kind, values in scores.items()}
    if not set(settings.importance).difference({"gradient"}):
        return found
    replay = Replay(model, batch)
    reads = {"loss": loss_of(model, batch), "difference": logit_difference_of(model, first_answer(replay))}
    for metric, read_out in reads.items():
        for name in ABLATIONS:
            if name in settings.importance:
                effects = ablate_heads(replay, read_out, name, seed=settings.probe_seed).effect
                found |= _named(model, f"importance_{name}_{metric}", effects)
        if "unbiased" in settings.importance and position.is_defined(model.cfg):
            found |= _named(model, f"importance_unbiased_{metric}", without_bias(replay, read_out))
    return found


def _named(model: HookedEncoderDecoder, name: str, effects: Float[np.ndarray, "head prompt"]) -> dict[str, np.ndarray]:
    return {f"{kind}.{name}": values for kind, values in by_kind(model, effects).items()}


def without_bias(replay: Replay, read_out: ReadOut) -> Float[np.ndarray, "head prompt"]:
    """Read-out without the position bias of one head in one layer, less the clean one; NaN for cross-attention."""
    with torch.no_grad():
        _, cache = replay.model.run_with_cache(replay.batch, names_filter=[*position.HOOKS, "*.attn.hook_v"])
    clean = replay.clean(read_out)
    effects = []
    for head in all_heads(replay.model):
        if head.kind == "cross":
            effects.append(torch.full_like(clean, torch.nan))
        else:
            z = position.unbiased_z(cache, head.kind, head.layer, head.head)
            effects.append(replay.with_head(head, z, read_out) - clean)
    return np.asarray(torch.stack(effects).float().cpu().numpy())


def by_kind(
    model: HookedEncoderDecoder, values: Float[np.ndarray, "head prompt"]
) -> Mapping[AttentionKind, np.ndarray]:
    """Values of all heads in the order of `ablation.all_heads`, taken apart by kind: [prompt layer head]."""
    cfg = model.cfg
    shapes = [(cfg.layers_of(kind), cfg.heads_of(kind)) for kind in ATTENTION_KINDS]
    ends = np.cumsum([layers * heads for layers, heads in shapes])
    parts = zip(ATTENTION_KINDS, shapes, np.split(values.T, ends[:-1], axis=1), strict=True)
    return {kind: part.reshape(len(part), *shape) for kind, shape, part in parts}


def gradient_importance(model: HookedEncoderDecoder, batch: Batch) -> Mapping[AttentionKind, np.ndarray]:
    """Michel's score of every head for every prompt [prompt layer head], from one backward pass.

    The loss of a prompt is the mean over its rows; prompts do not touch each other, so the gradient of the sum is each one's own.
    """
    with torch.enable_grad():
        logits, cache = model.run_with_cache(batch, names_filter="*.hook_z", gradients=True)
        losses = torch.nn.functional.cross_entropy(
            logits.float().transpose(1, 2), batch.labels, ignore_index=IGNORED_LABEL, reduction="none"
        )
        (losses.sum(-1) / batch.target_mask.sum(-1)).sum().backward()
    found = {}
    for kind in ATTENTION_KINDS:
        depth = model.cfg.n_encoder_layers if kind == "encoder" else model.cfg.n_decoder_layers
        names = [f"{attention_path(kind, layer)}.hook_z" for layer in range(depth)]
        gradients = [cache.grad[name] for name in names]
        gates = [
            (cache[name].detach() * gradient).sum((1, 3))
            for name, gradient in zip(names, gradients, strict=True)
            if gradient is not None
        ]
        found[kind] = torch.stack(gates, 1).abs().float().cpu().numpy()
    return found


def layer_normalised(scores: Float[np.ndarray, "layer head"]) -> Float[np.ndarray, "layer head"]:
    """Scores over their Euclidean length within each layer, as Michel et al. 2019 compare heads of different layers."""
    length = np.sqrt(np.square(scores).sum(-1, keepdims=True))
    return np.asarray(np.divide(scores, length, out=np.zeros_like(scores), where=length > 0))


def agreement(
    gradient: Float[np.ndarray, " head"], effects: Mapping[str, Float[np.ndarray, " head"]]
) -> dict[str, RankTest]:
    """Spearman's correlation over heads of the gradient score with the size of each ablation's mean effect."""
    return {name: spearman(gradient, np.abs(values)) for name, values in effects.items()}
