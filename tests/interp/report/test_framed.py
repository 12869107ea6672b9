"""Results as tables: every number of the result, named with its unit; short in a terminal, a table in a notebook."""

import numpy as np
import pandas as pd
import pytest

from analyses.logit_attribution.attribute import explain
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.lenses import lens_hooks, logit_lens
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.geometry import mutual_neighbors
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import bundled_pairs, pair_batch, patch_sites, sites
from interp.report.framed import Framed
from interp.statistics import estimate_mean

SOURCE = "translate English to German: The dog is running."


def shown(result: object) -> str:
    assert "\n" not in repr(result)
    assert len(repr(result)) < 300
    html: str = result._repr_html_()  # type: ignore[attr-defined]
    assert "<table" in html
    return html


def test_a_decomposition_is_a_table_that_adds_up(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch([SOURCE, "translate English to French: Yes."])
    logits, cache = bundled.run_with_cache(batch, (*decomposition_hooks(bundled.cfg), *lens_hooks(bundled, "decoder")))
    tokens = label_tokens(batch)
    found = decompose(bundled, cache, logit_difference(bundled, logits, tokens, runner_up(bundled, logits, tokens)))
    frame = found.to_frame()
    sums = frame.groupby(["prompt", "row"])["contribution (logits)"].sum().to_numpy()
    np.testing.assert_allclose(sums, found.values.sum(-1).flatten(), atol=1e-3)
    assert len(frame) == found.values.numel()
    one = frame[(frame["prompt"] == 0) & (frame["row"] == 1) & (frame["component"] == "XL2H4")]
    assert one["contribution (logits)"].item() == pytest.approx(float(found.of("XL2H4")[0, 1]))
    assert "XL" in shown(found) or "embedding" in shown(found)
    trajectory = logit_lens(bundled, cache, tokens)
    lens = trajectory.to_frame().set_index(["prompt", "depth", "row"])
    assert lens.loc[(1, 2, 0), "log-probability (nats)"] == pytest.approx(float(trajectory.log_probability[1, 2, 0]))
    assert "rank" in shown(trajectory)


def test_effects_of_patching_are_named_by_site_and_pair(bundled: HookedEncoderDecoder) -> None:
    pairs = pair_batch(bundled, [pair for pair in bundled_pairs() if pair.kind == "gender"][:2])
    effects = patch_sites(bundled, pairs, sites(bundled, pairs, "cross_z")[:5])
    frame = effects.to_frame().set_index(["site", "pair"])
    name = str(effects.sites[3])
    assert frame.loc[(name, 1), "effect (logits)"] == pytest.approx(float(effects.numerator[1, 3]))
    share = float(effects.numerator[1, 3] / effects.denominator[1, 3])
    assert frame.loc[(name, 1), "share"] == pytest.approx(share)
    assert name in shown(effects)


def test_neighbors_and_estimates_keep_their_cells() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    found = mutual_neighbors(vectors, 3)
    frame = found.to_frame()
    assert frame[(frame["query"] == 4) & (frame["rank"] == 2)]["neighbor"].item() == found.rows[4, 1]
    values = np.arange(24.0).reshape(4, 2, 3)
    estimate = estimate_mean(values, [values + 1], seed=0, resamples=100)
    cell = estimate.to_frame().set_index(["cell 0", "cell 1"]).loc[(1, 2)]
    assert cell["point"] == values[:, 1, 2].mean()
    assert cell.iloc[3] == values[:, 1, 2].mean() + 1
    assert list(estimate[1, 2].to_frame()["point"]) == [values[:, 1, 2].mean()]
    shown(found)
    shown(estimate)


def test_generations_and_explanations_are_short_and_framed(bundled: HookedEncoderDecoder) -> None:
    written = bundled.generate([SOURCE])
    frame = written.to_frame()
    assert list(frame["token"]) == list(written.batch.target_texts[0].pieces)
    logits = bundled(written.batch)[0].softmax(-1)
    expected = logits.gather(1, written.batch.labels[0, :, None])[:, 0]
    np.testing.assert_allclose(frame["probability"], expected.detach(), rtol=1e-4)
    assert repr(written) == f"Generation({written.texts[0]!r})"
    told = explain(bundled, SOURCE)
    assert told.to_frame()["contribution (logits)"].sum() == pytest.approx(told.difference, abs=1e-3)
    assert told.label in repr(told)
    assert len(repr(told)) < 200


def test_long_tables_are_cut_in_a_notebook_only() -> None:
    class Long(Framed):
        def to_frame(self) -> pd.DataFrame:
            return pd.DataFrame({"number (units)": range(40)})

    assert "28 more rows" in shown(Long())
    assert repr(Long()) == "Long(40 rows: number (units))"
