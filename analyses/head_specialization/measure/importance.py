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
from analyses.head_specialization.measure.ablation import Outcome, ablate_heads, all_heads, label_difference, loss
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import run_stacks
from interp.patching.partial_forward import RecordedPass, record_pass
from interp.patching.replacements import ABLATIONS
from interp.statistics import RankTest, spearman
from interp.text.batch import IGNORED_LABEL, Batch

GRADIENT = "importance_gradient"


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
    full = record_pass(model, batch, "*.hook_z")
    first_rows = torch.zeros(len(batch), dtype=torch.long, device=model.device)
    outcomes = {"loss": loss(full), "difference": label_difference(model, batch, first_rows)}
    for metric, outcome in outcomes.items():
        for name in ABLATIONS:
            if name in settings.importance:
                effects = ablate_heads(full, outcome, name, seed=settings.probe_seed)
                found |= _named(model, f"importance_{name}_{metric}", effects)
        if "unbiased" in settings.importance and position.is_defined(model.cfg):
            found |= _named(model, f"importance_unbiased_{metric}", without_bias(full, outcome))
    return found


def _named(model: HookedEncoderDecoder, name: str, effects: Float[np.ndarray, "head prompt"]) -> dict[str, np.ndarray]:
    return {f"{kind}.{name}": values for kind, values in by_kind(model, effects).items()}


def without_bias(full: RecordedPass, outcome: Outcome) -> Float[np.ndarray, "head prompt"]:
    """The number without the position bias of one head in one layer, less the clean one; NaN for cross-attention."""
    cache = run_stacks(full.model, full.batch, [*position.HOOKS, "*.attn.hook_v"]).cache
    effects = []
    for head in all_heads(full.model):
        if head.kind == "cross":
            effects.append(np.full(len(full.batch), np.nan, np.float32))
        else:
            z = position.unbiased_z(cache, head.kind, head.layer, head.head)
            effects.append(outcome.change(head, [head.head], z.unsqueeze(0))[0].float().cpu().numpy())
    return np.stack(effects)


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
        names = [f"{attention_path(kind, layer)}.hook_z" for layer in range(model.cfg.layers_of(kind))]
        gradients = [cache.grad[name] for name in names]
        gates = [
            (cache[name].detach() * gradient).sum((1, 3))
            for name, gradient in zip(names, gradients, strict=True)
            if gradient is not None
        ]
        found[kind] = torch.stack(gates, 1).abs().float().cpu().numpy()
    return found


def agreement(
    gradient: Float[np.ndarray, " head"], effects: Mapping[str, Float[np.ndarray, " head"]]
) -> dict[str, RankTest]:
    """Spearman's correlation over heads of the gradient score with the size of each ablation's mean effect."""
    return {name: spearman(gradient, np.abs(values)) for name, values in effects.items()}
