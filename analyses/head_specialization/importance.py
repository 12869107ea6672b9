"""Which heads matter for the loss?

    gradient     I_h = E_x | z_h . dL/dz_h |, summed over positions and channels, absolute per prompt    Michel et al. 2019
    ablations    zero, mean and resample (`ablation`): loss, and logit difference of the first label to its foil

Michel's gate multiplies z, so its derivative at 1 is that product exactly. Agreement between the measures is Spearman's rank
correlation over heads: of the gradient score with the size of every ablation's mean effect.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float

from analyses._contract import Pass
from analyses.head_specialization.ablation import ablate_heads, first_answer, logit_difference_of, loss_of
from analyses.head_specialization.replay import Replay
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.model import HookedEncoderDecoder
from interp.names import attention_path
from interp.statistics import RankTest, spearman
from interp.tokens import IGNORED_LABEL, Batch

GRADIENT = "importance_gradient"


def observe_importance(run: Pass) -> dict[str, np.ndarray]:
    """What the settings ask for: `<kind>.importance_<measure>` [prompt layer head]; nothing by default."""
    assert isinstance(run.settings, HeadSettings)
    found: dict[str, np.ndarray] = {}
    if "gradient" in run.settings.importance:
        scores = gradient_importance(run.model, run.batch)
        found |= {f"{kind}.{GRADIENT}": values for kind, values in scores.items()}
    ablations = [name for name in ("zero", "mean", "resample") if name in run.settings.importance]
    if not ablations:
        return found
    replay = Replay(run.model, run.batch)
    answer = logit_difference_of(run.model, first_answer(replay))
    for name in ablations:
        for metric, read_out in (("loss", loss_of(run.model, run.batch)), ("difference", answer)):
            effects = ablate_heads(replay, read_out, name, seed=run.settings.probe_seed).effect
            for kind, values in by_kind(run.model, effects).items():
                found[f"{kind}.importance_{name}_{metric}"] = values
    return found


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
