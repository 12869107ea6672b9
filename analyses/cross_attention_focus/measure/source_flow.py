"""How much of a predicted token comes from the source, from which kind of source token, and does that change on the way?

Per prompt, means over real decoder rows of the flow down to the input tokens:

    alti.mass       share of every category of source token after every decoder layer; with alti.target it sums to 1
    alti.target     share of the decoder's own input tokens, the target prefix
    alti.quarters   source share after the last layer in the first, second, third and last quarter of the rows
    alti.decline    Kendall's tau of that source share with the row: below 0 if the source counts for less and less
    rollout.mass    share of every category within the source share of attention rollout, after every layer
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp import attention_metrics as measures
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.monotonicity import monotonicity
from interp.sources.alti_plus import alti, why_no_alti
from interp.sources.attention_rollout import rollout
from interp.sources.flow import Flow
from interp.text.batch import Batch
from interp.text.words import CATEGORIES

N_QUARTERS = 4


def observe_flow(model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache) -> dict[str, Tensor]:
    """The numbers above, [prompt ...]."""
    mixed, rolled = alti_or_undefined(model, batch, cache), rollout(model, batch, cache)
    rows = batch.chosen_mask
    share = source_share(mixed)
    within = rolled.source / rolled.source.sum(-1, keepdim=True)
    return {
        "alti.mass": _mass(mixed.source, batch),
        "alti.target": measures.masked_mean(mixed.target.sum(-1), rows[:, None]),
        "alti.quarters": torch.stack([measures.masked_mean(share, part) for part in quarters(rows)], -1),
        "alti.decline": monotonicity(share, rows),
        "rollout.mass": _mass(within, batch),
    }


def alti_or_undefined(model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache) -> Flow:
    """ALTI+ where it is defined, else a flow of NaN."""
    if why_no_alti(model.cfg) is None:
        return alti(model, batch, cache)
    sizes = (len(batch), model.cfg.n_decoder_layers, batch.labels.shape[1])
    source, target = (torch.full((*sizes, length), torch.nan) for length in (batch.input_ids.shape[1], sizes[-1]))
    return Flow(source.to(batch.input_ids.device), target.to(batch.input_ids.device))


def quarters(rows: Bool[Tensor, "batch target"]) -> list[Bool[Tensor, "batch target"]]:
    """The real rows of every prompt in four parts of nearly equal size."""
    part = (rows.cumsum(-1) - 1) * N_QUARTERS // rows.sum(-1, keepdim=True)
    return [rows & (part == index) for index in range(N_QUARTERS)]


def source_share(flow: Flow) -> Float[Tensor, "batch target"]:
    """How much of every row comes from the source after the last layer; the rest comes from the target prefix."""
    return flow.source[:, -1].sum(-1)


def _mass(shares: Tensor, batch: Batch) -> Float[Tensor, "batch layer category"]:
    mass = measures.category_mass(shares, batch.source_categories[:, None], len(CATEGORIES))
    return measures.masked_mean(mass.transpose(-1, -2), batch.chosen_mask[:, None, None])
