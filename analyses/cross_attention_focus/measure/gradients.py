"""Where does the gradient of a prediction point? Chefer's relevance on a sample of the prompts, beside one untrained twin.

Relevance (`interp.sources.chefer`) needs a backward pass for every predicted token, so it is measured on evenly spaced prompts
instead of all. Per prompt, means over decoder rows:

    source   relevance of the source over that of source and target prefix; a row's own input token starts with 1
    mass     share of every category within the relevance of the source; a row without any is left out
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from analyses.core.contract import Arrays, Evidence
from analyses.core.kept_batches import Rows
from analyses.cross_attention_focus.settings import FocusSettings
from interp.model.hooked_model import HookedEncoderDecoder
from interp.sources import Relevance, chefer
from interp.statistics import SHARE, Estimate, estimate_mean, mean_over_prompts
from interp.text.batch import Batch
from interp.text.words import CATEGORIES


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """Chefer's relevance on a sample.

    Attributes:
        n_prompts: prompts of the sample.
        source: share of the source.
        categories: categories that occur in the sample.
        mass: share of each within the source.
        base_rate: share of each among the source tokens.
        example: relevance of the run's first prompt [target source] and [target prefix].
    """

    n_prompts: int
    source: Estimate
    categories: tuple[str, ...]
    mass: Estimate
    base_rate: np.ndarray
    example: tuple[np.ndarray, np.ndarray]


def experiment(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: FocusSettings) -> Arrays:
    """Relevance on evenly spaced prompts, the first one among them (see `arrays`); nothing if the settings ask for none."""
    places = Rows(batches)
    count = min(settings.relevance_prompts, len(places))
    if count == 0:
        return {}
    singles = [batch.select(row) for batch, row in (places[at * len(places) // count] for at in range(count))]
    found = [chefer(model, single) for single in singles]
    described = [_describe(one, single) for one, single in zip(found, singles, strict=True)]
    arrays = {name: torch.stack([one[name] for one in described]) for name in described[0]}
    arrays |= {"example_source": found[0].source, "example_target": found[0].target}
    return {name: values.to(torch.float32).cpu().numpy() for name, values in arrays.items()}


def _describe(relevance: Relevance, single: Batch) -> dict[str, torch.Tensor]:
    """The numbers of one prompt."""
    kinds = torch.nn.functional.one_hot(single.source_categories[0], len(CATEGORIES)).to(relevance.source.dtype)
    total = relevance.source.sum(-1)
    shares = relevance.source / torch.where(total > 0, total, torch.nan)[:, None]
    return {
        "source": (total / (total + relevance.target.sum(-1))).mean(),
        "mass": (shares @ kinds).nanmean(0),
        "base_rate": kinds.mean(0),
    }


def summarize_gradients(evidence: Evidence) -> Gradients | None:
    """The sample's numbers with intervals and the twins that were run on it; None if there was no sample."""
    model = evidence.model.experiment
    if not model:
        return None
    twins = [twin.experiment for twin in evidence.twins if twin.experiment]
    columns = np.flatnonzero(model["base_rate"].any(0))

    return Gradients(
        n_prompts=len(model["source"]),
        source=estimate_mean(model["source"], [twin["source"] for twin in twins], evidence.seed, support=SHARE),
        categories=tuple(CATEGORIES[column] for column in columns),
        mass=estimate_mean(
            model["mass"][:, columns], [twin["mass"][:, columns] for twin in twins], evidence.seed, support=SHARE
        ),
        base_rate=mean_over_prompts(model["base_rate"])[columns],
        example=(model["example_source"], model["example_target"]),
    )
