"""One set of equations for every family: components add up to every read-out, and are what plain loops over writes say."""

import pytest
import torch
from torch import Tensor

from interp.attribution.components import Component, components_of, has_biases
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.frozen_norms import squared_norm_shares, sublayer_directions, unscaled_logits
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up, token_logit
from interp.attribution.neurons import neuron_contributions
from interp.attribution.residual_writes import writes
from interp.families.residual_stream import last_norm, norms, steps
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, norm_gain, unembedding
from interp.text.batch import Batch
from tests.support.attribution_runs import Decomposed
from tests.support.models import (
    BART_FAMILIES,
    FAMILIES,
    GEMMA_FAMILIES,
    WHISPER_FAMILIES,
    random_batch,
    tiny,
    tiny_hf,
)
from tests.support.oracle_bart import POST_NORM

TOLERANCE = 2e-6

slow = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[
        *FAMILIES,
        *(pytest.param(name, marks=slow) for name in (*BART_FAMILIES, *GEMMA_FAMILIES, *WHISPER_FAMILIES)),
    ],
)
def run(request: pytest.FixtureRequest) -> Decomposed:
    return Decomposed(tiny(request.param))


@pytest.mark.parametrize("name", ["label", "difference", "mean"])
def test_components_add_up_to_every_read_out(run: Decomposed, name: str) -> None:
    found = decompose(run.model, run.cache, run.readouts[name])
    assert run.gap(found.values.sum(-1), name) <= TOLERANCE
    labels = [component.label for component in found.components]
    assert found.components == components_of(run.model.cfg, "decoder")
    assert len(set(labels)) == len(labels) == found.values.shape[-1]


def test_unscaled_logits_are_a_heads_exact_share_of_every_token_up_to_one_positive_factor_a_row(
    run: Decomposed,
) -> None:
    model, layer = run.model, run.model.cfg.n_decoder_layers - 1
    path, head = attention_path("cross", layer), 1
    _, cache = model.run_with_cache(run.batch, f"{path}.hook_z")
    written = cache[f"{path}.hook_z"][:, :, head] @ attention_weights(model, "cross", layer).W_O[head]
    ours, exact = unscaled_logits(model, path, written), []
    tokens = (3, 7, 11, 19, 23)
    for token in tokens:
        readout = token_logit(model, run.logits, torch.full_like(run.batch.labels, token))
        exact.append(decompose(model, run.cache, readout).of(f"XL{layer}H{head}"))
    rows = run.batch.target_mask
    wanted, got = torch.stack(exact, -1)[rows], ours[..., list(tokens)][rows]
    factor = (wanted * got).sum(-1, keepdim=True) / got.square().sum(-1, keepdim=True)
    assert factor.min() > 0
    torch.testing.assert_close(got * factor, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_gap_is_not_small_when_a_component_is_missing(run: Decomposed) -> None:
    assert run.gap(run.found.values.sum(-1) - run.found.of("XL0H0")) > 1e-4


def test_a_read_out_reads_its_value_behind_the_last_norm(run: Decomposed) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    normalized = cache[f"{last_norm(run.model.cfg, 'decoder')}.hook_normalized"]
    for readout in run.readouts.values():
        read = (normalized * readout.directions).sum(-1) + readout.norm_bias + readout.unembedding_bias
        assert run.relative(read, readout.values) <= TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
def test_in_t5_a_component_is_its_write_read_under_the_final_norm(name: str) -> None:
    """The closed form: r_t <write, s * gain * W_U[label]>, for every write by itself."""
    run = Decomposed(tiny(name))
    model, cfg = run.model, run.model.cfg
    _, cache = model.run_with_cache(run.batch)
    directions = cfg.logit_scale * norm_gain(model, "decoder.ln_final") * unembedding(model)[label_tokens(run.batch)]
    read = directions / cache["decoder.ln_final.hook_scale"]
    expected = {"embedding": (cache["decoder.hook_embed"] * read).sum(-1)}
    for layer in range(cfg.n_decoder_layers):
        for kind in ("decoder", "cross"):
            by_head = (cache[f"{attention_path(kind, layer)}.hook_result"] * read.unsqueeze(2)).sum(-1)
            expected |= {str(HeadId(kind, layer, head)): values for head, values in enumerate(by_head.unbind(-1))}
        expected[f"DL{layer}MLP"] = (cache[f"decoder.{layer}.hook_mlp_out"] * read).sum(-1)
    found = decompose(model, run.cache, run.readouts["label"])
    assert [component.label for component in found.components] == list(expected)
    for label, values in expected.items():
        assert run.relative(found.of(label), values) <= TOLERANCE


@slow
@pytest.mark.parametrize("name", BART_FAMILIES)
def test_a_named_bias_is_the_bias(name: str) -> None:
    """With it set to zero in the weights its component is gone, the others are there, and the sum still holds."""
    changed = tiny(name)
    module = changed.module("decoder.1.cross_attn.hook_result")
    assert isinstance(module.bias, Tensor)
    module.bias.zero_()
    run = Decomposed(changed)
    assert (run.found.of("XL1 attention bias") == 0).all()
    assert run.gap(run.found.values.sum(-1)) <= TOLERANCE
    biases = [component.label for component in run.found.components if component.kind == "bias"]
    for label in set(biases) - {"XL1 attention bias", *({"unembedding bias"} if name == "m2m_100" else ())}:
        assert (run.found.of(label)[run.mask] != 0).any(), label
    behind_sublayers = [label for label in biases if " norm " in label and label[0] == "D"]
    assert len(behind_sublayers) == (3 * changed.cfg.n_decoder_layers if name in POST_NORM else 0)


def test_components_of_a_stack_are_in_reading_order() -> None:
    cfg = tiny("t5").cfg
    decoder, encoder = components_of(cfg, "decoder"), components_of(cfg, "encoder")
    labels = [component.label for component in decoder]
    assert labels[:3] == ["embedding", "DL0H0", "DL0H1"]
    assert labels[5:7] == ["DL0H4", "XL0H0"]
    assert labels[10:13] == ["XL0H4", "DL0MLP", "DL1H0"]
    assert len(labels) == 1 + 3 * (2 * 5 + 1)
    assert decoder[6] == Component("XL0H0", "cross-attention head", 0, HeadId("cross", 0, 0))
    assert [str(component) for component in encoder[:2]] == ["source embedding", "EL0H0"]
    assert not has_biases(cfg)
    assert has_biases(tiny("mbart").cfg)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize(
    "name", [*FAMILIES, *(pytest.param(name, marks=slow) for name in BART_FAMILIES if name not in POST_NORM)]
)
def test_the_stream_of_pre_norm_models_is_the_sum_of_its_writes(name: str, stack: str) -> None:
    model = tiny(name)
    _, cache = model.run_with_cache(random_batch(model, target_lengths=(33, 17, 12)))
    final = cache[f"{stack}.{model.cfg.n_layers(stack) - 1}.hook_resid_post"]
    total = torch.zeros_like(final)
    for step in steps(model.cfg, stack):
        if step.name.endswith("ln_embed"):
            total = cache[f"{stack}.0.hook_resid_pre"]
        elif step.kind not in ("norm", "unembedding"):
            written = writes(model, cache, step)
            if written.z is not None and written.W_O is not None:
                total = total + torch.einsum("bphk,hkd->bpd", written.z, written.W_O)
            total = total + sum(written.vectors)
    assert float(((total - final).norm(dim=-1) / final.norm(dim=-1)).max()) < 1e-6


def test_a_head_is_what_removing_its_write_takes_under_the_frozen_norm(tiny_t5: HookedEncoderDecoder) -> None:
    """Zero a head of the last layer with the final scale and everything behind the head held: the logit falls by its part."""
    batch = random_batch(tiny_t5)
    tokens = torch.full_like(batch.labels, 11)
    clean, cache = tiny_t5.run_with_cache(batch)
    part = decompose(tiny_t5, cache, token_logit(tiny_t5, clean, tokens)).of("XL2H3")

    def zero_head(z: Tensor, hook: object) -> Tensor:
        return z.clone().index_fill_(2, torch.tensor([3]), 0.0)

    def hold(name: str):
        return (name, lambda tensor, hook: cache[name])

    held = [hold("decoder.2.hook_mlp_out"), hold("decoder.ln_final.hook_scale")]
    with torch.no_grad():
        ablated = tiny_t5.run_with_hooks(batch, [("decoder.2.cross_attn.hook_z", zero_head), *held])
    torch.testing.assert_close(clean[..., 11] - ablated[..., 11], part, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "low", "high"), [(torch.float64, 0.0, 1e-7), (torch.bfloat16, 2e-6, 0.1)])
def test_other_types_have_the_gap_of_their_own_rounding(dtype: torch.dtype, low: float, high: float) -> None:
    """In half precision the stream itself is rounded, so the sum cannot be exact; it is taken in float32, and near."""
    run = Decomposed(HookedEncoderDecoder(tiny_hf("v1.1").to(dtype)))
    assert run.found.values.dtype == torch.promote_types(dtype, torch.float32)
    assert low <= run.gap(run.found.values.sum(-1)) < high


def test_neurons_add_up_to_their_layer(run: Decomposed) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    directions = sublayer_directions(run.model, cache, run.readout)
    for layer in range(run.model.cfg.n_decoder_layers):
        split = neuron_contributions(run.model, cache, layer, directions[f"decoder.{layer}.mlp"])
        assert split.shape[-1] == run.model.cfg.d_decoder_mlp
        assert run.relative(split.sum(-1), run.found.of(f"DL{layer}MLP")) <= TOLERANCE


def carried(run: Decomposed, cache: ActivationCache) -> dict[str, Tensor]:
    """Every write as a vector, carried by a plain loop to where the last norm measures the stream; label -> vector."""
    model, cfg = run.model, run.model.cfg
    found: dict[str, Tensor] = {}

    def centered(vector: Tensor) -> Tensor:
        return vector - vector.mean(-1, keepdim=True) if cfg.norm == "layer" else vector

    rows = torch.zeros_like(cache["decoder.0.hook_resid_pre"])
    for step in steps(cfg, "decoder"):
        if step.name == last_norm(cfg, "decoder"):
            return {label: centered(vector) for label, vector in found.items()}
        if step.kind == "norm":
            module, scale = model.module(step.name), cache[f"{step.name}.hook_scale"]
            assert isinstance(module.weight, Tensor)
            found = {label: centered(vector) / scale * module.weight for label, vector in found.items()}
            found[f"{step.label} bias"] = rows + module.bias  # type: ignore[operator]
        elif step.attention is not None:
            path = attention_path(step.attention, step.layer or 0)
            written = cache[f"{path}.hook_result"]
            if step.write_norm is not None:
                held = cache[f"{step.write_norm}.hook_scale"].unsqueeze(-2)
                written = centered(written) / held * norm_gain(model, step.write_norm)
            for head in range(written.shape[2]):
                found[str(HeadId(step.attention, step.layer or 0, head))] = written[:, :, head]
            if step.bias:
                found[f"{step.label} attention bias"] = rows + model.module(f"{path}.hook_result").bias  # type: ignore[operator]
        elif step.kind == "mlp":
            written = cache[f"decoder.{step.layer}.hook_mlp_out"]
            bias = model.module(f"{step.name}.hook_post").bias if step.bias else torch.zeros(())
            found[step.label] = written - bias  # type: ignore[operator]
            if step.bias:
                found[f"{step.label} bias"] = rows + bias  # type: ignore[operator]
        else:
            found[step.label] = rows + cache[step.name]
    raise AssertionError("a stream ends with a norm")


def test_squared_lengths_are_those_of_writes_carried_to_the_last_norm(run: Decomposed) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    vectors = carried(run, cache)
    last = last_norm(run.model.cfg, "decoder")
    stream = cache[f"{last}.hook_normalized"] * cache[f"{last}.hook_scale"]
    total = torch.stack(list(vectors.values())).sum(0)
    assert float((total - stream)[run.mask].abs().max() / stream.abs().max()) <= 5e-6, "writes make up the stream there"
    shares = squared_norm_shares(run.model, run.cache)
    for component, share in zip(run.found.components, shares.unbind(-1), strict=True):
        if component.label not in vectors:
            assert component.kind == "bias"
            assert (share == 0).all(), "what comes behind the last norm has no part in what it measures"
            continue
        expected = vectors[component.label].square().sum(-1) / stream.square().sum(-1)
        torch.testing.assert_close(share[run.mask], expected[run.mask], rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "decoder"),
    [
        ("t5", ["final norm"]),
        ("bart", ["embedding norm", *(f"DL{layer} norm {place}" for layer in range(3) for place in (1, 2, 3))]),
        ("marian", [f"DL{layer} norm {place}" for layer in range(3) for place in (1, 2, 3)]),
        ("mbart", ["embedding norm", "final norm"]),
        ("pegasus", ["final norm"]),
        ("m2m_100", ["final norm"]),
    ],
)
def test_the_norms_in_the_way_are_those_of_the_family(name: str, decoder: list[str]) -> None:
    cfg = tiny(name).cfg
    assert [step.label for step in steps(cfg, "decoder") if step.kind == "norm"] == decoder
    assert len(norms(cfg, "decoder")) == len(decoder)
    assert last_norm(cfg, "encoder") == ("encoder.1.ln2" if name in POST_NORM else "encoder.ln_final")


@slow
@pytest.mark.parametrize("name", ["v1.1", "bart", "marian", "mbart"])
def test_a_prompt_is_split_alike_in_any_company(name: str) -> None:
    """Padding on both sides changes nothing."""
    model = tiny(name)
    whole = Decomposed(model)

    def split(batch: Batch) -> Tensor:
        logits, cache = model.run_with_cache(batch, decomposition_hooks(model.cfg))
        tokens = label_tokens(batch)
        return decompose(model, cache, logit_difference(model, logits, tokens, runner_up(model, logits, tokens))).values

    alone = split(whole.batch.select(0))
    torch.testing.assert_close(alone[0], whole.found.values[0, : alone.shape[1]], atol=2e-5, rtol=1e-4)
