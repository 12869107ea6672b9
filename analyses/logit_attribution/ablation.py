"""Ablation beside attribution: whether a head that is said to write the logit is missed when it is gone.

Every decoder head is ablated in three ways on a sample of the prompts, with everything after it recomputed.
Agreement with the attribution is a rank correlation and the share of heads of equal sign, both over the means of the sample's
prompts, with intervals from resampling prompts. Disagreements are listed: a head whose direct effect and total effect have
intervals on different sides of zero is not what its attribution says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from analyses.core.contract import Arrays
from analyses.logit_attribution.observe import row_weights
from interp.attribution.logit_readout import (
    Readout,
    label_tokens,
    logit_difference,
    logit_difference_of_outputs,
    runner_up,
)
from interp.attribution.source_attribution import DecoderKind
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.head_ablation import decoder_attention_layers, direct_effects, effect_hooks, total_effects
from interp.patching.partial_forward import RecordedPass, record_pass
from interp.patching.replacements import ABLATIONS, Donors, draw_donors, replacements
from interp.statistics import Estimate, estimate_mean, mean_over_prompts, merge_ties, resampled_means
from interp.text.batch import Batch

SEED = 0
"""Of the resampled rows; part of the definition, so that every run draws the same rows."""


def ablate(model: HookedEncoderDecoder, batch: Batch, draws: int) -> Arrays:
    """Ablate every decoder head on some prompts.

    Args:
        model: the model or a control.
        batch: the prompts, which are also the reference of mean and resample ablation; at least two.
        draws: resampled versions to average over.

    Returns:
        `total`, `frozen` and `recomputed` [prompt mode layer kind head], kinds self and cross: changes of the logit difference as
        means over decoder rows.
    """
    with torch.no_grad():
        clean = record_pass(model, batch, effect_hooks(model))
        logits, tokens = clean.logits(), label_tokens(batch)
        foils = runner_up(model, logits, tokens)
        readout = logit_difference(model, logits, tokens, foils)
        read = partial(logit_difference_of_outputs, model, tokens=tokens, foils=foils)
        donors = [draw_donors(batch, batch, SEED + draw) for draw in range(draws)]
        layers = decoder_attention_layers(model)
        sites = [_site(clean, readout, read, kind, layer, donors) for kind, layer in layers]
    arrays = {}
    for name in ("total", "frozen", "recomputed"):
        stacked = torch.stack([site[name] for site in sites], 2).unflatten(2, (model.cfg.n_decoder_layers, 2))
        arrays[name] = stacked.float().cpu().numpy()
    return arrays


def _site(
    clean: RecordedPass,
    readout: Readout,
    read: Callable[[Tensor], Tensor],
    kind: DecoderKind,
    layer: int,
    donors: Sequence[Donors],
) -> dict[str, Tensor]:
    """Effects of every head of one attention layer: [prompt mode head], averaged over draws and decoder rows."""
    name, batch = f"{attention_path(kind, layer)}.hook_z", clean.batch
    versions = [replacements(ablation, name, clean.cache[name], batch, donors) for ablation in ABLATIONS]
    replaced = torch.cat(versions)
    direct = direct_effects(clean.model, clean.cache, readout, kind, layer, replaced)
    total = total_effects(clean, read, kind, layer, replaced)
    weights = row_weights(batch)
    effects = {"total": total, "frozen": direct.frozen, "recomputed": direct.recomputed}
    # Padded rows may see rows without a replacement.
    of_rows = {
        name: torch.einsum("nhbt,bt->nhb", values.masked_fill(~batch.target_mask, 0.0), weights.to(values.dtype))
        for name, values in effects.items()
    }
    draws = [len(part) for part in versions]
    return {
        name: torch.stack([part.mean(0).t() for part in values.split(draws)], 1) for name, values in of_rows.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How well direct effects foretell total effects, over heads; [mode 3]: point, low, high.

    Attributes:
        correlation: Spearman's rank correlation.
        same_sign: share of heads with effects of equal sign.
    """

    correlation: Float[np.ndarray, "mode bounds"]
    same_sign: Float[np.ndarray, "mode bounds"]


@dataclass(frozen=True, slots=True, eq=False)
class AblationCheck:
    """Ablation beside attribution; every estimate has cells [mode layer kind head].

    Attributes:
        sentences: sentences of the sample.
        total: what ablation does to the logit difference.
        frozen: its direct part with the final norm held.
        recomputed: its direct part with the final norm taken anew.
        repair: total less frozen direct effect.
        agreement: of the model.
        twin_agreement: of the control, None without one.
    """

    sentences: int
    total: Estimate
    frozen: Estimate
    recomputed: Estimate
    repair: Estimate
    agreement: Agreement
    twin_agreement: Agreement | None

    def disagree(self, mode: int) -> np.ndarray:
        """Heads [layer kind head] whose direct and total effects have intervals on different sides of zero."""
        direct, total = self.frozen.interval, self.total.interval
        opposite = ((direct.low > 0) & (total.high < 0)) | ((direct.high < 0) & (total.low > 0))
        return np.asarray(opposite[mode])


def ablation_check(model: Arrays, twin: Arrays | None, seed: int) -> AblationCheck:
    """From the effects per prompt to estimates and agreement.

    Args:
        model: what `ablate` gave for the model.
        twin: what it gave for an untrained twin, if it was run on one.
        seed: for resampling.
    """

    def of(name: str) -> Estimate:
        return estimate_mean(_effect(model, name), [] if twin is None else [_effect(twin, name)], seed)

    return AblationCheck(
        sentences=len(model["total"]),
        total=of("total"),
        frozen=of("frozen"),
        recomputed=of("recomputed"),
        repair=of("repair"),
        agreement=agreement(model, seed),
        twin_agreement=None if twin is None else agreement(twin, seed),
    )


def _effect(arrays: Arrays, name: str) -> np.ndarray:
    return np.asarray(arrays["total"] - arrays["frozen"] if name == "repair" else arrays[name])


def agreement(arrays: Arrays, seed: int) -> Agreement:
    """Rank correlation and share of equal signs between frozen direct and total effects over all decoder heads."""
    correlation, same_sign = [], []
    for mode in range(len(ABLATIONS)):
        direct, total = (arrays[name][:, mode].reshape(len(arrays[name]), -1) for name in ("frozen", "total"))
        points = mean_over_prompts(direct)[None], mean_over_prompts(total)[None]
        draws = resampled_means(direct, seed), resampled_means(total, seed)
        correlation.append(_bounds(_spearman(*points), _spearman(*draws)))
        same_sign.append(_bounds(_same_sign(*points), _same_sign(*draws)))
    return Agreement(np.stack(correlation), np.stack(same_sign))


def _bounds(point: np.ndarray, draws: np.ndarray) -> np.ndarray:
    some = draws[~np.isnan(draws)]
    return np.array([point[0], *(np.quantile(some, [0.025, 0.975]) if len(some) else (np.nan, np.nan))])


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rank correlation of every row of two arrays [row head]; NaN where a row is constant."""
    ranks = [scipy.stats.rankdata(merge_ties(values), axis=1) for values in (first, second)]
    first, second = (values - values.mean(1, keepdims=True) for values in ranks)
    length = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    products = (first * second).sum(1)
    return np.asarray(np.divide(products, length, out=np.full(len(length), np.nan), where=length > 0))


def _same_sign(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    equal = np.where(np.isnan(first) | np.isnan(second), np.nan, np.sign(first) == np.sign(second))
    return np.asarray(equal.mean(1))
