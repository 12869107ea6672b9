"""The atlas of experts: shares counted token by token, a planted preference found, the section, and models without experts."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from analyses.core.contract import Pass
from analyses.core.evidence import gather
from analyses.core.observing import ConfiguredAnalysis
from analyses.expert_routing import ANALYSIS, Atlas, summarize
from analyses.expert_routing.observe import observe, preference
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Table
from interp.text.batch import Batch
from interp.text.words import CATEGORIES, PAD, PREFIX
from tests.support.models import random_batch, tiny

N_EXPERTS = 3


def observed(model: HookedEncoderDecoder, batch: Batch) -> dict[str, np.ndarray]:
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, list(ANALYSIS.hooks_on(model.cfg)))
    return dict(observe(Pass(model, batch, logits, cache, ANALYSIS.settings())))


def test_shares_are_those_counted_token_by_token() -> None:
    model = tiny("switch")
    batch = random_batch(model)
    arrays = observed(model, batch)
    with torch.no_grad():
        kept = model.run_with_cache(batch, "*.mlp.hook_expert_*")[1]
    for stack, texts, layers in (("encoder", batch.source_texts, (1,)), ("decoder", batch.target_texts, (1, 3))):
        for place, layer in enumerate(layers):
            index = kept[f"{stack}.{layer}.mlp.hook_expert_indices"]
            weights = kept[f"{stack}.{layer}.mlp.hook_expert_weights"]
            for prompt, text in enumerate(texts):
                chosen = [int(index[prompt, position, 0]) for position in range(len(text.ids))]
                kinds = text.category_of_token
                nobody = chosen.count(-1) / len(chosen)
                assert arrays[f"{stack}.nobody"][prompt, place] == pytest.approx(nobody)
                for expert in range(N_EXPERTS):
                    own = [position for position, one in enumerate(chosen) if one == expert]
                    assert arrays[f"{stack}.tokens"][prompt, place, expert] == pytest.approx(len(own) / len(chosen))
                    weight = np.mean([float(weights[prompt, position, expert]) for position in own]) if own else np.nan
                    assert arrays[f"{stack}.probability"][prompt, place, expert] == pytest.approx(weight, nan_ok=True)
                    for kind in range(len(CATEGORIES)):
                        all_of = [position for position, one in enumerate(kinds) if one == kind]
                        share = len(set(own) & set(all_of)) / len(all_of) if all_of else np.nan
                        got = arrays[f"{stack}.kinds"][prompt, place, expert, kind]
                        assert got == pytest.approx(share, nan_ok=True), (stack, layer, prompt, expert, kind)
                pairs = [(a, b) for a in range(len(kinds)) for b in range(len(kinds)) if a != b]
                same, other = (
                    [chosen[a] == chosen[b] != -1 for a, b in pairs if (kinds[a] == kinds[b]) == alike]
                    for alike in (True, False)
                )
                wanted = np.mean(same) - np.mean(other)
                assert arrays[f"{stack}.preference"][prompt, place] == pytest.approx(wanted)
    assert np.isnan(arrays["encoder.kinds"][..., PAD]).all()


def test_a_preference_is_one_where_kinds_have_experts_of_their_own_and_zero_on_average_where_they_do_not() -> None:
    counts = torch.tensor([[4.0, 3.0, 0.0]])
    apart = torch.tensor([[[4.0, 0.0, 0.0], [0.0, 3.0, 0.0]]])
    assert float(preference(apart, counts)) == 1.0
    one = torch.tensor([[[4.0, 3.0, 0.0], [0.0, 0.0, 0.0]]])
    assert float(preference(one, counts)) == 0.0
    draws = np.random.default_rng(0)
    values = []
    for _ in range(4000):
        chosen = draws.integers(0, 2, 7)
        together = np.zeros((1, 2, 3))
        for position, expert in enumerate(chosen):
            together[0, expert, 0 if position < 4 else 1] += 1
        values.append(float(preference(torch.tensor(together), counts.double())))
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert torch.isnan(preference(torch.ones(1, 2, 1), torch.tensor([[2.0]])))


def by_kind(batch: Batch) -> Callable[[Tensor, HookPoint], Tensor]:
    """Prefix to expert 2, every other kind to expert 0: a router with a preference."""

    def route(index: Tensor, hook: HookPoint) -> Tensor:
        kinds = batch.source_categories if hook.name.startswith("encoder") else torch.zeros_like(batch.labels)
        return torch.where(kinds == PREFIX, 2, 0).unsqueeze(-1)

    return route


def test_a_planted_preference_is_found() -> None:
    model = tiny("switch")
    batch = random_batch(model)
    with model.hooks([("*.mlp.hook_expert_indices", by_kind(batch))]):
        arrays = observed(model, batch)
    kinds = arrays["encoder.kinds"]
    assert (kinds[:, 0, 2, PREFIX] == 1).all()
    assert (np.nan_to_num(np.delete(kinds[:, 0, 2], PREFIX, axis=-1)) == 0).all()
    assert (arrays["encoder.preference"] > 0.2).all()
    assert (arrays["decoder.preference"] == 0).all()


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    model = tiny("switch")
    batches = [random_batch(model, seed=seed) for seed in (0, 1)]
    item = ConfiguredAnalysis(ANALYSIS, ANALYSIS.settings())
    evidence = next(gather([item], model, [str(number) for number in range(6)], batches, 2, 0))
    found: Atlas = summarize(evidence)
    return found


def test_the_section_has_the_atlas_as_a_table(atlas: Atlas) -> None:
    section = ANALYSIS.present(atlas)
    tables = {block.name: block.frame for block in section.blocks if isinstance(block, Table)}
    rows = tables["expert-routing-atlas"]
    assert list(rows["expert"]) == [
        f"{place}E{expert}" for place in ("EL1", "DL1", "DL3") for expert in range(N_EXPERTS)
    ]
    by_layer = rows["tokens"].to_numpy().reshape(3, N_EXPERTS).sum(1)
    nobody = tables["expert-routing-layers"]["no expert"].to_numpy()
    np.testing.assert_allclose(by_layer + nobody, 1.0)
    assert (nobody > 0).any()
    assert {"prefix", "content", "function", "punctuation", "eos"} <= set(rows)
    assert section.headline is not None
    assert section.headline.figure == section.main_figure.name  # type: ignore[union-attr]
    assert not any("nan" in sentence for sentence in (*section.findings, *section.limits, section.headline.sentence))


def test_models_without_experts_are_refused_by_attribute() -> None:
    assert ANALYSIS.applies(tiny("t5").cfg) == "no feed-forward layer has experts (n_experts=0)"
    assert ANALYSIS.hooks_on(tiny("t5").cfg) == ()
