"""Patching: identities, agreement with naive loops, and how good the fast approximations are."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.activation_patching import Site, patch_sites, sites
from interp.patching.attribution_patching import INTEGRATED, attribution_patch
from interp.patching.minimal_pairs import PairBatch, PromptPair, Verified, bundled_pairs, pair_batch, verify_pairs
from interp.text.batch import collate
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow

FAMILIES = (
    "encoder_resid",
    "decoder_resid",
    "encoder_z",
    "decoder_z",
    "cross_z",
    "cross_pattern",
    "cross_k",
    "cross_v",
)


def random_pairs(model: HookedEncoderDecoder) -> PairBatch:
    """Random sources against others of the same lengths, with the same decoder inputs."""
    clean, other = random_batch(model), random_batch(model, seed=1)
    corrupted = collate(
        other.source_texts, clean.target_texts, model.cfg, model.decoder_inputs, "given", (), other.input_features
    )
    rows = torch.tensor([12, 16, 11])
    answers = clean.labels[torch.arange(3), rows]
    # The last label of a random text is the end of the sentence; any other token serves as foil.
    pair = PromptPair("random", "random", "a", "b", "c", "d")
    return PairBatch((pair, replace(pair, id="2"), replace(pair, id="3")), clean, corrupted, rows, answers, answers + 7)


@pytest.fixture(scope="module")
def pairs(tiny_model: HookedEncoderDecoder) -> PairBatch:
    return random_pairs(tiny_model)


def effect(numerator: Tensor, denominator: Tensor) -> Tensor:
    return numerator / denominator


@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_the_whole_encoder_stream_at_any_layer_restores_everything(
    tiny_model: HookedEncoderDecoder, pairs: PairBatch, direction: str
) -> None:
    depth = tiny_model.cfg.n_encoder_layers
    names = [f"encoder.{layer}.hook_resid_pre" for layer in range(depth)] + [f"encoder.{depth - 1}.hook_resid_post"]
    effects = patch_sites(tiny_model, pairs, [Site(name) for name in names], direction)  # type: ignore[arg-type]
    assert torch.allclose(effects.numerator / effects.denominator, torch.ones(len(pairs), depth + 1), atol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["encoder.hook_embed", "encoder.ln_final.hook_normalized", "encoder.0.hook_resid_pre", "encoder.1.hook_mlp_out"],
)
def test_whole_activations_at_any_hook_point_are_a_run_each(name: str) -> None:
    """In and outside the layers; what the whole encoder hands on restores everything."""
    for model in (tiny("t5"), tiny("mbart")):
        pairs = random_pairs(model)
        _, cache = model.run_with_cache(pairs.clean)
        expected = pairs.difference_of_logits(
            model, model.run_with_hooks(pairs.corrupted, [(name, lambda tensor, hook, cache=cache: cache[hook.name])])
        )
        effects = patch_sites(model, pairs, [Site(name)])
        assert torch.allclose(effects.numerator[:, 0] + effects.corrupted, expected, atol=2e-5)
        if name != "encoder.1.hook_mlp_out":
            assert torch.allclose(effects.numerator, effects.denominator, atol=2e-5)


@pytest.mark.parametrize("name", ["t5", "bart", "mbart"])
def test_the_stream_behind_the_last_decoder_layer_is_the_answer(name: str) -> None:
    """At the answer's row it restores everything; in post-norm families it lies behind the last norm."""
    model = tiny(name)
    pairs = random_pairs(model)
    stream = f"decoder.{model.cfg.n_decoder_layers - 1}.hook_resid_post"
    effects = patch_sites(model, pairs, [Site(stream, int(row)) for row in pairs.rows])
    assert torch.allclose(effects.numerator.diagonal(), effects.denominator.diagonal(), atol=2e-5)


def test_patching_a_run_into_itself_changes_nothing(tiny_model: HookedEncoderDecoder, pairs: PairBatch) -> None:
    same = replace(pairs, corrupted=pairs.clean)
    effects = patch_sites(tiny_model, same, sites(tiny_model, same, "cross_z"))
    assert float(effects.numerator.abs().max()) <= 1e-5


def test_runs_are_those_of_the_model(tiny_model: HookedEncoderDecoder, pairs: PairBatch) -> None:
    effects = patch_sites(tiny_model, pairs, [Site("decoder.0.attn.hook_z")])
    assert torch.allclose(effects.clean, pairs.difference_of_logits(tiny_model, tiny_model(pairs.clean)), atol=1e-5)
    assert torch.allclose(
        effects.corrupted, pairs.difference_of_logits(tiny_model, tiny_model(pairs.corrupted)), atol=1e-5
    )


SWEPT = [("v1.1", family) for family in FAMILIES] + [("whisper", family) for family in FAMILIES[2:]]


@pytest.mark.parametrize(("name", "family"), SWEPT)
@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_sweeps_equal_the_naive_loop(name: str, family: str, direction: str) -> None:
    model = tiny(name)
    pairs = random_pairs(model)
    chosen = sites(model, pairs, family)  # type: ignore[arg-type]
    some = chosen[:: max(len(chosen) // 7, 1)]
    effects = patch_sites(model, pairs, some, direction)  # type: ignore[arg-type]
    donor, recipient = (pairs.clean, pairs.corrupted) if direction == "denoise" else (pairs.corrupted, pairs.clean)
    base = pairs.difference_of_logits(model, model(recipient))
    _, cache = model.run_with_cache(donor)
    for number, site in enumerate(some):

        def patch(tensor: Tensor, hook: HookPoint, site: Site = site) -> Tensor:
            changed = tensor.clone()
            axis = hook.axes.index(site.axis)
            index = [slice(None)] * axis + [site.index]
            changed[tuple(index)] = cache[site.name][tuple(index)]
            return changed

        patched = pairs.difference_of_logits(model, model.run_with_hooks(recipient, [(site.name, patch)]))
        expected = patched - base if direction == "denoise" else base - patched
        real = ~effects.numerator[:, number].isnan()
        assert real.any()
        assert torch.allclose(effects.numerator[real, number], expected[real], atol=1e-5), str(site)


def test_positions_beyond_a_source_are_undefined(tiny_t5: HookedEncoderDecoder) -> None:
    pairs = random_pairs(tiny_t5)
    effects = patch_sites(tiny_t5, pairs, [Site("encoder.0.hook_resid_pre", 14), Site("encoder.0.hook_resid_pre", 15)])
    assert effects.numerator.isnan().tolist() == [[False, True], [True, True], [False, False]]


def test_sites_are_in_layer_order(tiny_t5: HookedEncoderDecoder) -> None:
    pairs = random_pairs(tiny_t5)
    heads = sites(tiny_t5, pairs, "cross_z")
    assert [str(site) for site in heads[:2]] == [
        "decoder.0.cross_attn.hook_z[head 0]",
        "decoder.0.cross_attn.hook_z[head 1]",
    ]
    assert len(heads) == 15
    assert len(sites(tiny_t5, pairs, "encoder_z")) == 10
    assert len(sites(tiny_t5, pairs, "encoder_resid")) == 3 * 19
    assert len(sites(tiny_t5, pairs, "decoder_resid")) == 4 * 17


def test_attribution_patching_is_exact_where_the_answer_is_linear() -> None:
    """The write of the last layer's cross heads reaches the answer through a norm only; a small change is nearly linear."""
    model = tiny("t5", num_decoder_layers=1)
    for parameter in (model.hf.decoder.block[0].layer[2].DenseReluDense.wo.weight,):
        parameter.zero_()
    pairs = random_pairs(model)
    output = model.hf.decoder.block[0].layer[1].EncDecAttention.o.weight
    output *= 1e-3
    chosen = [*sites(model, pairs, "cross_z"), *sites(model, pairs, "cross_pattern")]
    exact = patch_sites(model, pairs, chosen).numerator
    fast = attribution_patch(model, pairs, chosen)
    assert float(exact.abs().max()) > 1e-5
    assert torch.allclose(fast, exact, rtol=2e-2, atol=float(exact.abs().max()) * 2e-2)


def test_keys_go_through_the_softmax() -> None:
    """With values and everything after linear in the pattern, a patched key is exact, which a plain gradient is not."""
    model = tiny("t5", num_decoder_layers=1)
    model.hf.decoder.block[0].layer[2].DenseReluDense.wo.weight.zero_()
    model.hf.decoder.block[0].layer[1].EncDecAttention.o.weight.mul_(1e-3)
    model.hf.decoder.block[0].layer[1].EncDecAttention.q.weight.mul_(4)  # saturates the softmax
    pairs = random_pairs(model)
    chosen = sites(model, pairs, "cross_k")
    exact = patch_sites(model, pairs, chosen).numerator
    assert torch.allclose(attribution_patch(model, pairs, chosen), exact, atol=float(exact.abs().max()) * 3e-2)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([], "at least one site"),
        ([Site("decoder.0.attn.hook_k", 0, "head")], "acts through a softmax; patch it exactly"),
    ],
)
def test_what_attribution_patching_refuses(tiny_t5: HookedEncoderDecoder, chosen: list[Site], message: str) -> None:
    with pytest.raises(InputError, match=message):
        attribution_patch(tiny_t5, random_pairs(tiny_t5), chosen)


def test_what_patching_refuses(tiny_t5: HookedEncoderDecoder) -> None:
    pairs = random_pairs(tiny_t5)
    with pytest.raises(InputError, match="No sites were given"):
        patch_sites(tiny_t5, pairs, [])
    with pytest.raises(InputError, match="without a tokenizer"):
        pair_batch(tiny_t5, pairs.pairs)


def test_pairs_must_be_comparable(bundled: HookedEncoderDecoder) -> None:
    pair = bundled_pairs()[0]
    longer = replace(pair, corrupted=pair.corrupted.replace("book", "very old book"))
    with pytest.raises(
        InputError, match=r"Pair 'man-woman.de' has \d+ clean and \d+ corrupted source tokens .*needs equally many"
    ):
        pair_batch(bundled, [longer])
    with pytest.raises(InputError, match=r"has the same target twice .*give targets that differ"):
        pair_batch(bundled, [replace(pair, corrupted_target=pair.clean_target)])
    with pytest.raises(InputError, match="at least one pair"):
        pair_batch(bundled, [])


KINDS = {"gender", "number", "negation", "noun", "language"}


@pytest.fixture(scope="module")
def verified(bundled: HookedEncoderDecoder) -> Verified:
    return verify_pairs(bundled, bundled_pairs())


def test_bundled_pairs_flip_the_answer(bundled: HookedEncoderDecoder, verified: Verified) -> None:
    """More pairs than needed of every kind, so that another checkpoint may keep fewer."""
    assert len({pair.id for pair in bundled_pairs()}) == len(bundled_pairs()) >= 50
    counts = verified.counts()
    assert set(counts) == KINDS
    assert all(flipping >= 3 for flipping, _ in counts.values()), verified.refused
    assert len(verified.flipping) >= 25, verified.refused
    assert len(verified.flipping) + len(verified.refused) == len(bundled_pairs())
    pairs = pair_batch(bundled, verified.flipping)
    rows = torch.arange(len(pairs))
    clean, corrupted = bundled(pairs.clean)[rows, pairs.rows], bundled(pairs.corrupted)[rows, pairs.rows]
    for index, pair in enumerate(pairs.pairs):
        assert clean[index, pairs.answers[index]] > clean[index, pairs.foils[index]] + 0.5, pair.id
        assert corrupted[index, pairs.foils[index]] > corrupted[index, pairs.answers[index]] + 0.5, pair.id


def test_pairs_that_do_not_flip_are_refused_with_the_reason(bundled: HookedEncoderDecoder, verified: Verified) -> None:
    good = verified.flipping[0]
    turned = replace(good, id="turned", clean=good.corrupted, corrupted=good.clean)
    longer = replace(good, id="longer", corrupted=good.corrupted + " again and again")
    found = verify_pairs(bundled, [good, turned, longer])
    assert found.flipping == (good,)
    assert found.counts() == {good.kind: (1, 3)}
    assert "does not flip the answer: its lead is -" in found.refused[turned]
    assert "needs equally many" in found.refused[longer]
    assert verify_pairs(bundled, [longer]).flipping == ()


def test_approximations_follow_exact_patching_on_the_bundled_model(
    bundled: HookedEncoderDecoder, verified: Verified
) -> None:
    pairs = pair_batch(bundled, verified.flipping[::4])
    chosen = [*sites(bundled, pairs, "cross_z"), *sites(bundled, pairs, "encoder_z")]
    exact = patch_sites(bundled, pairs, chosen).numerator.mean(0)
    correlations = []
    for places in ((0.0,), INTEGRATED):
        fast = attribution_patch(bundled, pairs, chosen, places).mean(0)
        correlations.append(float(torch.corrcoef(torch.stack([exact, fast]))[0, 1]))
    assert min(correlations) > 0.95, correlations
