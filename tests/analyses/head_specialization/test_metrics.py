"""What the metrics of heads can be: intervals are held to it, so no value may lie beyond."""

import numpy as np
import pytest

from analyses.head_specialization.arrays import OBSERVED
from analyses.head_specialization.roles.criteria import criteria_of
from analyses.head_specialization.roles.metrics import SUPPORTS, columns_of
from interp.axes import ATTENTION_KINDS
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import bundled as bundled_prompts
from interp.statistics import CORRELATION, SHARE
from tests.support.models import random_batch, tiny
from tests.support.planted_heads import QUICK, observed

_ROUNDING = 1e-5


def _beyond(values: np.ndarray, support: tuple[float, float]) -> bool:
    known = values[~np.isnan(values)]
    return bool(known.size) and not support[0] - _ROUNDING <= known.min() <= known.max() <= support[1] + _ROUNDING


def _check(model: HookedEncoderDecoder, batch: object) -> set[str]:
    """Names of the metrics that were looked at."""
    settings = QUICK.model_copy(update={"importance": ("gradient", "zero")})
    found = observed(model, batch, settings, experiments=True)
    names = set()
    for kind in ATTENTION_KINDS:
        columns = columns_of(kind, found, settings)
        names |= set(columns)
        assert [name for name, one in columns.items() if _beyond(one.values, SUPPORTS.get(name, SHARE))] == []
        for one in criteria_of(kind, found, settings):
            assert not _beyond(one.score, CORRELATION if one.rule == "monotone" else SHARE), one.role
        for spec in OBSERVED[kind]:
            if spec.unit == "share" and spec.name in found.prompts:
                assert not _beyond(found.prompts[spec.name], SHARE), spec.name
    return names


def test_no_metric_of_the_bundled_model_is_beyond_its_support(bundled: HookedEncoderDecoder) -> None:
    sources = [prompt.source for prompt in bundled_prompts("translation").prompts[:3]]
    names = _check(bundled, bundled.batch(sources))
    assert set(SUPPORTS) - names <= {f"no position bias, change of {read}" for read in ("loss", "logit difference")} | {
        name for name in SUPPORTS if "ablation" in name
    }


@pytest.mark.parametrize("family", ["v1.1", "bart", "switch"])
def test_no_metric_of_random_models_is_beyond_its_support(family: str) -> None:
    model = tiny(family)
    _check(model, random_batch(model))
