"""What is observed of the flow down to the input tokens."""

import numpy as np
import pytest
import scipy.stats
import torch

from analyses.cross_attention_focus import FocusSettings, experiment, illustrate, observe
from analyses.cross_attention_focus.measure.source_flow import observe_flow, quarters
from interp.model.hooked_model import HookedEncoderDecoder
from interp.sources import ALTI_HOOKS, ROLLOUT_HOOKS, alti, chefer
from interp.text.words import CATEGORIES
from tests.support.cross_focus import run_pass
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow


def test_quarters_split_the_real_rows_evenly_and_the_source_share_is_averaged_in_each(
    tiny_t5: HookedEncoderDecoder,
) -> None:
    batch = random_batch(tiny_t5)
    parts = quarters(batch.target_mask)
    assert [int(part[0].sum()) for part in parts] == [4, 3, 3, 3]
    assert (torch.stack(parts).sum(0) == batch.target_mask).all()
    with torch.no_grad():
        _, cache = tiny_t5.run_with_cache(batch, [*ALTI_HOOKS, *ROLLOUT_HOOKS])
    seen = observe_flow(tiny_t5, batch, cache)
    share = alti(tiny_t5, batch, cache).source[0, -1].sum(-1)
    expected = [share[:4].mean(), share[4:7].mean(), share[7:10].mean(), share[10:13].mean()]
    np.testing.assert_allclose(seen["alti.quarters"][0], expected, rtol=1e-5)
    tau = scipy.stats.kendalltau(share[:13], range(13)).statistic
    assert float(seen["alti.decline"][0]) == pytest.approx(tau, abs=1e-6)
    total = seen["alti.mass"].sum(-1) + seen["alti.target"]
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_alti_is_observed_wherever_norms_are(name: str) -> None:
    model = tiny(name)
    run = run_pass(model, random_batch(model))
    arrays, shown = observe(run), illustrate(run)
    np.testing.assert_allclose(arrays["alti.mass"].sum(-1) + arrays["alti.target"], 1.0, atol=1e-5)
    assert np.isfinite(shown["alti.source"]).all()
    assert np.isfinite(arrays["rollout.mass"]).all()


def test_relevance_on_a_sample_is_the_mean_over_rows_of_each_prompt(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    got = experiment(tiny_t5, [batch], FocusSettings(relevance_prompts=2))
    assert got["source"].shape == (2,)
    for place, row in enumerate((0, 1)):  # two of three prompts, evenly spaced from the first
        single = batch.select(row)
        found = chefer(tiny_t5, single)
        source, target = found.source.double().numpy(), found.target.double().numpy()
        shares = [line.sum() / (line.sum() + other.sum()) for line, other in zip(source, target, strict=True)]
        assert got["source"][place] == pytest.approx(np.mean(shares), rel=1e-5)
        for category in range(len(CATEGORIES)):
            inside = (single.source_categories[0] == category).numpy()
            expected = np.mean([line[inside].sum() / line.sum() for line in source])
            assert got["mass"][place, category] == pytest.approx(expected, abs=1e-6)
            assert got["base_rate"][place, category] == pytest.approx(inside.mean())
    np.testing.assert_allclose(got["mass"].sum(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(got["example_source"], chefer(tiny_t5, batch.select(0)).source, rtol=1e-5)
    assert len(experiment(tiny_t5, [batch], FocusSettings(relevance_prompts=9))["source"]) == 3
    assert experiment(tiny_t5, [batch], FocusSettings(relevance_prompts=0)) == {}
