"""Heads over what they read and source tokens over the encoder add up, on every family, with padding and unequal depths."""

import pytest
import torch
from torch import Tensor

from interp.attribution.components import VALUE_BIAS, source_components
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.frozen_norms import sublayer_directions
from interp.attribution.logit_readout import (
    completeness_gap,
    label_tokens,
    one_token,
    runner_up,
    size_of_parts,
    token_logit,
)
from interp.attribution.source_attribution import (
    by_category,
    encoder_attribution,
    encoder_attribution_by_head,
    encoder_output_components,
    source_contributions,
)
from interp.errors import InputError
from interp.families.residual_stream import last_norm
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.words import CATEGORIES, EOS, EVERY_CATEGORY, PAD, PADDING
from tests.support.attribution_runs import Decomposed
from tests.support.models import BART_FAMILIES, FAMILIES, WHISPER_FAMILIES, random_batch, tiny, tiny_hf

TOLERANCE = 2e-6

slow = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[*FAMILIES, *(pytest.param(name, marks=slow) for name in (*BART_FAMILIES, *WHISPER_FAMILIES))],
)
def run(request: pytest.FixtureRequest) -> Decomposed:
    return Decomposed(tiny(request.param))


def cross(run: Decomposed, layer: int) -> Tensor:
    return source_contributions(run.model, run.cache, "cross", layer, run.found.cross_directions[layer])


def heads_of(run: Decomposed, kind: str, layer: int) -> Tensor:
    heads = range(run.model.cfg.n_decoder_heads)
    return torch.stack([run.found.of(str(HeadId(kind, layer, head))) for head in heads], -1)


def test_a_head_is_the_sum_over_the_positions_it_reads(run: Decomposed) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    directions = sublayer_directions(run.model, cache, run.readout)
    for kind in ("decoder", "cross"):
        for layer in range(run.model.cfg.n_decoder_layers):
            split = source_contributions(run.model, cache, kind, layer, directions[attention_path(kind, layer)])
            assert run.relative(split.sum(-1).transpose(1, 2), heads_of(run, kind, layer)) <= TOLERANCE


def test_nothing_comes_from_padding_or_from_the_future(run: Decomposed) -> None:
    split = cross(run, 0)
    padding = ~run.batch.source_mask[:, None, None].expand_as(split)
    assert padding.any() != run.batch.is_audio, "every frame of a sound is read"
    assert (split[padding] == 0).all()
    _, cache = run.model.run_with_cache(run.batch)
    direction = sublayer_directions(run.model, cache, run.readout)["decoder.0.attn"]
    prefix = source_contributions(run.model, cache, "decoder", 0, direction)
    assert (prefix.triu(1) == 0).all()
    assert (prefix.tril() != 0).any()


def test_categories_share_out_the_whole_head(run: Decomposed) -> None:
    split = cross(run, 0)
    grouped = by_category(split, run.batch.source_categories)
    assert grouped.shape == (*split.shape[:-1], len(EVERY_CATEGORY if run.batch.is_audio else CATEGORIES))
    torch.testing.assert_close(grouped.sum(-1), split.sum(-1), atol=1e-5, rtol=1e-4)
    assert (grouped[..., PAD] == 0).all()
    last = run.batch.source_mask.sum(1) - 1
    of_eos = torch.stack([split[index, :, :, position] for index, position in enumerate(last.tolist())])
    if not run.batch.is_audio:
        assert torch.equal(grouped[..., EOS], of_eos)
    else:
        behind = split.masked_fill((run.batch.source_categories != PADDING)[:, None, None], 0.0)
        torch.testing.assert_close(grouped[..., PADDING], behind.sum(-1), atol=1e-6, rtol=1e-5)
    assert torch.allclose(by_category(split.mean((1, 2)), run.batch.source_categories), grouped.mean((1, 2)), atol=1e-6)


def test_source_tokens_split_over_the_encoder_by_row_and_by_head(run: Decomposed) -> None:
    """Summing rows first, which is what makes all heads x components affordable, changes nothing."""
    weights = run.mask / run.mask.sum(1, keepdim=True)
    by_head = encoder_attribution_by_head(run.model, run.cache, run.found, weights)
    by_row = encoder_attribution(run.model, run.cache, run.found)
    components = source_components(run.model.cfg)
    assert by_head.shape[-1] == by_row.shape[-1] == len(components) == len(set(components))
    all_sources = []
    for layer in range(run.model.cfg.n_decoder_layers):
        split = cross(run, layer)
        averaged = torch.einsum("bhts,bt->bhs", split, weights)
        assert float((by_head[:, layer].sum(-1) - averaged).abs().max() / run.largest.max()) <= TOLERANCE
        all_sources.append(split.sum(1))
    assert run.relative(by_row.sum(-1), torch.stack(all_sources).sum(0)) <= TOLERANCE
    padded = not run.batch.source_mask[0, 15]
    assert (by_row[0, :, 15:] == 0).all() == padded, (
        "prompt 0 is padded on the source side; of a sound every frame is read"
    )
    averaged_rows = torch.einsum("btsm,bt->bsm", by_row, weights)
    assert float((averaged_rows - by_head.sum((1, 2))).abs().max() / run.largest.max()) <= TOLERANCE


def test_the_whole_chain_adds_up_to_the_logits(run: Decomposed) -> None:
    """All but the cross heads, and every (source token, encoder component) together, are the logit difference."""
    others = [place for place, one in enumerate(run.found.components) if one.kind != "cross-attention head"]
    through = encoder_attribution(run.model, run.cache, run.found).sum((-1, -2))
    assert run.gap(run.found.values[..., others].sum(-1) + through) <= TOLERANCE


def test_the_encoders_output_is_the_sum_of_its_components(run: Decomposed) -> None:
    output = run.model.hf.get_encoder()(**run.batch.source_fields).last_hidden_state
    parts = encoder_output_components(run.model, run.cache)
    assert ((parts.sum(-2) - output)[run.batch.source_mask].abs() <= 1e-5).all()
    labels = [component.label for component in source_components(run.model.cfg)]
    assert parts.shape[-2] == len(labels) - (VALUE_BIAS.label in labels)
    # The last layer's MLP passes no norm but the last.
    last = run.model.module(last_norm(run.model.cfg, "encoder"))
    layer = max(one.layer for one in source_components(run.model.cfg) if one.layer is not None)
    write = run.cache[f"encoder.{layer}.hook_mlp_out"]
    if VALUE_BIAS.label in labels:
        write = write - run.model.module(f"encoder.{layer}.mlp.hook_post").bias
        write = write - write.mean(-1, keepdim=True)
    scale = run.cache[f"{last_norm(run.model.cfg, 'encoder')}.hook_scale"]
    expected = write / scale * last.weight
    assert torch.allclose(parts[..., labels.index(f"EL{layer}MLP"), :], expected, atol=1e-5)


@slow
@pytest.mark.parametrize("name", BART_FAMILIES)
def test_the_bias_of_the_values_is_the_same_wherever_a_head_looks(name: str) -> None:
    changed = tiny(name)
    values = changed.module("decoder.1.cross_attn").get_submodule(changed.family.host.projections[2])
    assert isinstance(values.bias, Tensor)
    values.bias.zero_()
    run, again = Decomposed(tiny(name)), Decomposed(changed)
    assert source_components(changed.cfg)[-1] == VALUE_BIAS
    weights = run.mask / run.mask.sum(1, keepdim=True)
    with_bias, without = (
        encoder_attribution_by_head(one.model, one.cache, one.found, weights)[:, 1, ..., -1] for one in (run, again)
    )
    assert (without == 0).all()
    assert (with_bias.sum(-1).abs() > 1e-6).any()


def test_padding_and_company_change_nothing() -> None:
    model = tiny("v1.1")
    together = random_batch(model, (15, 19), (13, 17))
    splits = []
    for batch in (together.select(0), together):
        logits, cache = model.run_with_cache(batch, decomposition_hooks(model.cfg))
        found = decompose(model, cache, token_logit(model, logits, label_tokens(batch)))
        splits.append(encoder_attribution(model, cache, found)[0, :13, :15])
    assert torch.allclose(*splits, rtol=1e-4, atol=1e-6)


def test_planted_copy_is_attributed_to_its_token() -> None:
    """With MLPs and self heads silenced and one cross head that reads one token, that token's embedding is the cause."""
    model = tiny("t5", num_layers=1, num_decoder_layers=1)
    for name, parameter in model.hf.named_parameters():
        if name.endswith("wo.weight") or "SelfAttention.o" in name:
            parameter.zero_()
    output = model.hf.decoder.block[0].layer[1].EncDecAttention.o.weight
    output[:, 4:] = 0  # only head 0 writes
    batch = random_batch(model)

    def read_one_token(pattern: Tensor, hook: object) -> Tensor:
        chosen = torch.zeros_like(pattern)
        chosen[..., 5] = 1
        return chosen

    with model.hooks([("decoder.0.cross_attn.hook_pattern", read_one_token)]):
        logits, cache = model.run_with_cache(batch)
    # The hook came before the cache's, so the cache holds the planted pattern.
    readout = token_logit(model, logits, label_tokens(batch))
    found = decompose(model, cache, readout)
    split = encoder_attribution(model, cache, found)
    assert (split[:, :, 5, 0].abs() > 1e-4).all()
    assert float(split[..., 1:].abs().max()) == 0
    others = [position for position in range(split.shape[-2]) if position != 5]
    assert (split[:, :, others] == 0).all()
    total = found.of("embedding") + split[:, :, 5, 0]
    assert float(completeness_gap(total, readout, size_of_parts(found.values), batch).max()) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_split_in_float32(dtype: torch.dtype) -> None:
    run = Decomposed(HookedEncoderDecoder(tiny_hf("v1.1").to(dtype)))
    split = encoder_attribution(run.model, run.cache, run.found)
    assert split.dtype == torch.float32
    heads = [place for place, one in enumerate(run.found.components) if one.kind == "cross-attention head"]
    assert torch.allclose(split.sum((-1, -2)), run.found.values[..., heads].sum(-1), atol=0.1)


def test_runner_up_is_the_best_other_token() -> None:
    model = HookedEncoderDecoder(tiny_hf("v1.1"))
    logits = torch.full((1, 3, model.cfg.d_vocab), -1.0)
    logits[0, :, :3] = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [5.0, 3.0, 2.0]])
    assert runner_up(model, logits, torch.tensor([[1, 0, 2]])).tolist() == [[2, 1, 0]]


def test_gap_ignores_padded_rows(run: Decomposed) -> None:
    spoiled = run.readout.values.masked_fill(~run.mask, 1e6)
    assert (~run.mask).any()
    assert run.gap(spoiled) == 0
    spoiled[1, 3] += 0.5
    expected = 0.5 / float(run.found.values[1, 3].square().sum().sqrt())
    assert run.gap(spoiled) == pytest.approx(expected, rel=1e-5)


def test_answers_must_be_one_piece(bundled: HookedEncoderDecoder, tiny_t5: HookedEncoderDecoder) -> None:
    assert bundled.tokenizer is not None
    assert bundled.tokenizer.convert_ids_to_tokens(one_token(bundled, "Frau")) == "▁Frau"
    with pytest.raises(InputError, match=r"'Holzstuhlfabrik' has \d pieces .* give a text of exactly one"):
        one_token(bundled, "Holzstuhlfabrik")
    with pytest.raises(InputError, match="without a tokenizer; give token ids"):
        one_token(tiny_t5, "Frau")
