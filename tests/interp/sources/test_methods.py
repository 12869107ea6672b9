"""Methods that name source words: what adds up adds up, and each agrees with plain transformers or with a held pass."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.models.t5 import modeling_t5

import interp
from interp.attribution.logit_readout import FLOAT32_GAP
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.wide_weights import in_float64
from interp.sources import METHODS, Question, ask, attribute_sources, occlusion, without
from interp.sources.relevance_propagation import propagate
from tests.support.models import BART_FAMILIES, FAMILIES, GEMMA_FAMILIES, WHISPER_FAMILIES, random_batch, tiny, tiny_hf


def question(model: HookedEncoderDecoder) -> Question:
    return ask(model, random_batch(model, (9,), (6,)), torch.tensor([1, 3, 5]))


@pytest.mark.parametrize("family", [*FAMILIES, *BART_FAMILIES, *GEMMA_FAMILIES, *WHISPER_FAMILIES])
def test_relevance_with_patterns_held_conserves(family: str) -> None:
    """Both embeddings, positions and biases add up to the difference, to a millionth of the size of the parts."""
    model = tiny(family)
    asked = question(model)
    held = 5e-6 if family in GEMMA_FAMILIES else 1e-6  # Gemma's norms compute in float32 whatever the model's type
    methods = [("contributions", FLOAT32_GAP), ("attnlrp-held", held), ("attnlrp", np.inf)]
    for name, gap in methods[: 2 if model.cfg.head_norms else 3]:
        answer = attribute_sources(model, asked, [name])[name]
        one = answer.found
        sides = one.source.sum(-1) + (0 if one.target is None else one.target.sum(-1))
        total = sides + sum(one.beside.values())
        size = max(float(part.abs().max()) for part in (one.source, *one.beside.values()))
        assert one.gap is not None
        assert float(one.gap.max()) < gap
        if name == "attnlrp":
            assert float(one.gap.max()) > 0.01  # a softmax is no product with its input, and this is said
        else:
            assert float((total - answer.difference).abs().max()) < held * max(1.0, size) * 3
    assert all(not parameter.requires_grad for parameter in model.hf.parameters())


def test_relevance_of_the_bundled_model_conserves_and_leaves_its_weights() -> None:
    """A long sentence, whose terms cancel by more than float32 carries; the weights are the very same tensors afterwards."""
    model = interp.load()
    source = "translate English to French: A man in a blue shirt is standing on a ladder cleaning a window."
    asked = ask(
        model, model.batch([source], ["Un homme en chemise bleue se tient sur une échelle et nettoie une fenêtre."])
    )
    before = {name: (one.data_ptr(), one.clone()) for name, one in model.hf.state_dict().items()}
    found = attribute_sources(model, asked, ["attnlrp-held"])["attnlrp-held"]
    assert found.found.gap is not None
    assert float(found.found.gap.max()) < 1e-6
    parts = [found.found.source.sum(-1), found.found.target.sum(-1), *found.found.beside.values()]
    torch.testing.assert_close(sum(parts), found.difference, rtol=1e-5, atol=1e-5)
    after = model.hf.state_dict()
    assert all(
        after[name].data_ptr() == place and torch.equal(after[name], one) for name, (place, one) in before.items()
    )


def test_a_model_is_wide_for_a_while_and_as_before_after_an_error(tiny_t5: HookedEncoderDecoder) -> None:
    narrow = tiny("t5")
    narrow.hf.to(torch.bfloat16)
    with in_float64(narrow) as dtype:
        assert dtype == narrow.hf.dtype == torch.bfloat16  # the narrow model is the one that is asked about
    batch = random_batch(tiny_t5, (9,), (6,))
    plain, seen = tiny_t5(batch), []

    def fails() -> None:
        with in_float64(tiny_t5) as dtype:
            seen.extend((dtype, tiny_t5(batch).dtype))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen == [torch.float64] * 2
    assert torch.equal(tiny_t5(batch), plain)


@pytest.mark.parametrize("family", ["t5", "bart", "mbart"])
def test_held_relevance_is_what_a_token_does_while_the_rest_is_held(family: str) -> None:
    """Norms, patterns and slopes put back from the plain pass: then taking an embedding out takes its relevance."""
    model = tiny(family)
    asked = question(model)
    source, target, _, _ = propagate(model, asked, hold_patterns=True)
    _, cache = model.run_with_cache(asked.batch)

    def back(value: Tensor, hook: HookPoint) -> Tensor:
        return cache[hook.name]

    entering: dict[str, Tensor] = {}

    def remember(value: Tensor, hook: HookPoint) -> None:
        entering[hook.name.replace("hook_pre", "hook_post")] = value

    def slope(value: Tensor, hook: HookPoint) -> Tensor:
        before = cache[hook.name.replace("hook_post", "hook_pre")]
        return entering[hook.name] * torch.where(before == 0, 0.0, cache[hook.name] / before)

    held = [("*.hook_scale", back), ("*.hook_pattern", back), ("*.hook_pre", remember), ("*.hook_post", slope)]
    whole = asked.read(model.run_with_hooks(asked.batch, held))
    torch.testing.assert_close(whole, asked.read(model(asked.batch)), rtol=1e-4, atol=1e-5)
    for side, relevances, places in (("encoder", source, (0, 4, 8)), ("decoder", target, (0, 2))):
        for place in places:

            def out(value: Tensor, hook: HookPoint, place: int = place) -> Tensor:
                return value.index_fill(1, torch.tensor([place]), 0.0)

            less = asked.read(model.run_with_hooks(asked.batch, [(f"{side}.hook_embed", out), *held]))
            torch.testing.assert_close((whole - less)[0], relevances[:, place], rtol=2e-3, atol=2e-4)


@contextmanager
def _rules_in_the_host(hf: PreTrainedModel) -> Iterator[None]:
    """The rules of AttnLRP written into plain transformers, as they are published, without a hook."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor, factor: float) -> Tensor:  # type: ignore[no-untyped-def,override]
            ctx.factor = factor
            return x.clone()

        @staticmethod
        def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def,override]
            return gradient * ctx.factor, None

    def attention(module, query, key, value, mask, scaling=1.0, position_bias=None, **_):  # type: ignore[no-untyped-def]
        query, key = Scaled.apply(query, 0.5), Scaled.apply(key, 0.5)
        scores = query @ key.transpose(2, 3) * (1.0 if scaling is None else scaling)
        scores = scores if position_bias is None else scores + position_bias
        scores = scores if mask is None else scores + mask
        pattern = Scaled.apply(torch.softmax(scores, -1), 0.5)
        return (pattern @ Scaled.apply(value, 0.5)).transpose(1, 2).contiguous(), pattern

    def norm(self, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).detach()

    def gated(self, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        gate, linear = self.wi_0(x), self.wi_1(x)
        return self.wo(Scaled.apply(gate * (self.act(gate) / gate).detach() * linear, 0.5))

    AttentionInterface.register("attnlrp", attention)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_t5.T5LayerNorm, "forward", norm)
        patch.setattr(modeling_t5.T5DenseGatedActDense, "forward", gated)
        hf.set_attn_implementation("attnlrp")
        yield


@pytest.mark.parametrize("family", ["t5", "v1.1"])
def test_attnlrp_agrees_with_its_rules_in_plain_transformers(family: str) -> None:
    model, hf = tiny(family), copy.deepcopy(tiny_hf(family))
    asked = question(model)
    got = attribute_sources(model, asked, ["attnlrp"])["attnlrp"].found
    table: nn.Embedding = hf.get_input_embeddings()
    sides = [table(ids).detach().requires_grad_() for ids in (asked.batch.input_ids, asked.batch.decoder_input_ids)]
    # Rows that are not to be seen by later queries need the causal mask that the host makes for eager attention.
    length = sides[1].shape[1]
    causal = torch.full((length, length), torch.finfo(torch.float32).min).triu(1)[None, None]
    with _rules_in_the_host(hf):
        logits = hf(inputs_embeds=sides[0], decoder_inputs_embeds=sides[1], decoder_attention_mask=causal).logits
    torch.testing.assert_close(logits, model(asked.batch), rtol=1e-4, atol=1e-5)
    for row, value in enumerate(asked.read(logits)[0]):
        gradients = torch.autograd.grad(value, sides, retain_graph=True)
        source, target = (
            (side * gradient).sum(-1)[0].detach() for side, gradient in zip(sides, gradients, strict=True)
        )
        torch.testing.assert_close(got.source[row], source, rtol=1e-3, atol=1e-5)
        assert got.target is not None
        torch.testing.assert_close(got.target[row], target, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", ["t5", "v1.1", "bart"])
def test_gradients_and_occlusion_agree_with_plain_transformers(family: str) -> None:
    pytest.importorskip("captum", reason="needs the extra `captum`")
    model, hf = tiny(family), tiny_hf(family)
    asked = question(model)
    found = attribute_sources(model, asked, ["saliency", "input-x-gradient", "occlusion"])
    own = hf.get_encoder().embed_tokens(asked.batch.input_ids).detach().requires_grad_()
    padding = hf.get_encoder().embed_tokens(torch.tensor([model.cfg.pad_token_id]))[0].detach()
    targets = {"decoder_input_ids": asked.batch.decoder_input_ids}
    values = asked.read(hf(inputs_embeds=own, **targets).logits)[0]
    for row, value in enumerate(values):
        (gradient,) = torch.autograd.grad(value, own, retain_graph=True)
        torch.testing.assert_close(found["saliency"].found.source[row], gradient[0].norm(dim=-1), rtol=1e-3, atol=1e-5)
        product = (gradient * own)[0].sum(-1).detach()
        torch.testing.assert_close(found["input-x-gradient"].found.source[row], product, rtol=1e-3, atol=1e-5)
    for place in range(own.shape[1]):
        less = own.detach().clone()
        less[0, place] = padding
        with torch.no_grad():
            lost = values.detach() - asked.read(hf(inputs_embeds=less, **targets).logits)[0]
        torch.testing.assert_close(found["occlusion"].found.source[:, place], lost, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(occlusion(model, asked), found["occlusion"].found.source)
    everything = torch.ones(1, own.shape[1], dtype=torch.bool)
    torch.testing.assert_close(without(model, asked, everything)[0], values.detach(), rtol=1e-4, atol=1e-5)


def test_integrated_gradients_add_up_or_say_nothing(
    tiny_t5: HookedEncoderDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("captum", reason="needs the extra `captum`")
    asked = question(tiny_t5)
    one = attribute_sources(tiny_t5, asked, ["integrated-gradients"])["integrated-gradients"]
    empty = without(tiny_t5, asked, torch.zeros(1, 9, dtype=torch.bool))[0]
    lead = one.difference - empty
    size = one.found.source.abs().sum(-1)
    assert float(((one.found.source.sum(-1) - lead).abs() / size).max()) <= 0.05 + 1e-4
    monkeypatch.setattr("interp.sources.captum_methods.TOLERANCE", -1.0)
    monkeypatch.setattr("interp.sources.captum_methods._MOST_STEPS", 32)
    refused = attribute_sources(tiny_t5, asked, ["integrated-gradients"])["integrated-gradients"].found
    assert bool(refused.source.isnan().all())
    assert refused.gap is not None


def test_attention_and_norms_are_means_of_what_the_cache_has(tiny_model: HookedEncoderDecoder) -> None:
    asked = question(tiny_model)
    found = attribute_sources(tiny_model, asked, ["attention", "norms", "alti", "chefer"])
    _, cache = tiny_model.run_with_cache(asked.batch)
    layers = range(tiny_model.cfg.n_decoder_layers)
    patterns = torch.stack([cache["pattern", layer, "cross_attn"][0] for layer in layers])
    torch.testing.assert_close(found["attention"].found.source, patterns.mean((0, 1))[asked.rows])
    lengths = []
    for layer in layers:
        results = torch.einsum(
            "hts,shk,hkd->tsd",
            cache["pattern", layer, "cross_attn"][0],
            cache["v", layer, "cross_attn"][0],
            tiny_model.module(f"decoder.{layer}.cross_attn.hook_result").weight.t().unflatten(0, (5, 4)),
        ).norm(dim=-1)
        lengths.append(results / results.sum(-1, keepdim=True))
    torch.testing.assert_close(
        found["norms"].found.source, torch.stack(lengths).mean(0)[asked.rows], rtol=1e-3, atol=1e-5
    )
    flow = found["alti"].found
    assert flow.target is not None
    torch.testing.assert_close(flow.source.sum(-1) + flow.target.sum(-1), torch.ones(3), rtol=0, atol=1e-5)
    assert list(found["chefer"].to_frame().columns) == ["row", "label", "side", "position", "token", "chefer"]
    assert set(found["chefer"].to_frame()["side"]) == {"source", "target"}


def test_what_cannot_be_asked(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    with pytest.raises(InputError, match="one prompt at a time; got 3"):
        ask(tiny_t5, batch)
    with pytest.raises(InputError, match=r"rows 0 to 12; got \[13\]"):
        ask(tiny_t5, batch.select(0), torch.tensor([13]))
    with pytest.raises(InputError, match=r"No method is called 'atention' .did you mean 'attention'"):
        attribute_sources(tiny_t5, question(tiny_t5), ["atention"])
    assert len(METHODS) == 11
