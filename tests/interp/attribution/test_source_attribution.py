"""Levels 1 to 3 of logit attribution add up, on every family, with padding and unequal depths."""

import pytest
import torch
from torch import Tensor

from interp.attribution.logit_readout import (
    Readout,
    completeness_gap,
    label_tokens,
    largest_logit,
    logit_against_mean,
    logit_difference,
    one_token,
    runner_up,
    token_logit,
)
from interp.attribution.residual_stream import component_labels, decoder_contributions, final_inverse_scale
from interp.attribution.source_attribution import (
    by_category,
    encoder_component_labels,
    encoder_contributions,
    encoder_hooks,
    memory_components,
    memory_reads,
    memory_reads_by_head,
    neuron_contributions,
    source_contributions,
    source_hooks,
    squared_shares,
    stacked,
)
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import final_gain
from interp.text.batch import Batch, collate
from interp.text.words import CATEGORIES, EOS, PAD
from tests.support.models import random_batch, tiny, tiny_hf

TOLERANCE = 2e-6


class Run:
    """A model, its batch, and one forward pass with everything cached."""

    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model = model
        self.batch: Batch = random_batch(model)
        self.logits, self.cache = model.run_with_cache(self.batch)
        self.largest = largest_logit(self.logits, self.batch)
        tokens = label_tokens(self.batch)
        self.foils = runner_up(self.logits, tokens)
        self.readouts: dict[str, Readout] = {
            "label": token_logit(model, self.logits, tokens),
            "difference": logit_difference(model, self.logits, tokens, self.foils),
            "mean": logit_against_mean(model, self.logits, tokens),
        }
        self.readout = self.readouts["difference"]
        self.read = self.readout.frozen(self.cache)
        self.components = memory_components(model, self.cache)
        self.encoder_labels = encoder_component_labels(model.cfg.n_encoder_layers, model.cfg.n_heads)

    def gap(self, total: Tensor, readout: Readout | None = None) -> float:
        return float(completeness_gap(total, readout or self.readout, self.largest, self.batch).max())

    def relative(self, first: Tensor, second: Tensor) -> float:
        """Largest difference of two arrays as a share of the largest |logit|."""
        return float((first - second).abs().max() / self.largest.max())


@pytest.fixture(scope="module")
def run(tiny_model: HookedEncoderDecoder) -> Run:
    return Run(tiny_model)


@pytest.mark.parametrize("name", ["label", "difference", "mean"])
def test_components_add_up_to_the_logits(run: Run, name: str) -> None:
    readout = run.readouts[name]
    assert run.gap(decoder_contributions(run.model, run.cache, readout.directions).total(), readout) <= TOLERANCE


def test_gap_is_not_small_when_a_component_is_missing(run: Run) -> None:
    contributions = decoder_contributions(run.model, run.cache, run.readout.directions)
    assert run.gap(contributions.total() - contributions.cross[..., -1, 0]) > 1e-3


def test_a_head_is_the_sum_over_the_positions_it_reads(run: Run) -> None:
    contributions = decoder_contributions(run.model, run.cache, run.readout.directions)
    for kind, heads in (("decoder", contributions.decoder), ("cross", contributions.cross)):
        for layer in range(run.model.cfg.n_decoder_layers):
            split = source_contributions(run.model, run.cache, kind, layer, run.read)
            assert run.relative(split.sum(-1).transpose(1, 2), heads[:, :, layer]) <= TOLERANCE


def test_nothing_comes_from_padding_or_from_the_future(run: Run) -> None:
    cross = source_contributions(run.model, run.cache, "cross", 0, run.read)
    padding = ~run.batch.source_mask[:, None, None].expand_as(cross)
    assert padding.any()
    assert (cross[padding] == 0).all()
    prefix = source_contributions(run.model, run.cache, "decoder", 0, run.read)
    assert (prefix.triu(1) == 0).all()
    assert (prefix.tril() != 0).any()


def test_categories_share_out_the_whole_head(run: Run) -> None:
    split = source_contributions(run.model, run.cache, "cross", 0, run.read)
    grouped = by_category(split, run.batch.source_categories)
    assert grouped.shape == (*split.shape[:-1], len(CATEGORIES))
    assert run.relative(grouped.sum(-1), split.sum(-1)) <= TOLERANCE
    assert (grouped[..., PAD] == 0).all()
    last = run.batch.source_mask.sum(1) - 1
    of_eos = torch.stack([split[index, :, :, position] for index, position in enumerate(last.tolist())])
    assert torch.equal(grouped[..., EOS], of_eos)
    assert torch.allclose(by_category(split.mean((1, 2)), run.batch.source_categories), grouped.mean((1, 2)), atol=1e-6)


def test_a_source_token_is_the_sum_over_the_encoder(run: Run) -> None:
    by_source = sum(
        source_contributions(run.model, run.cache, "cross", layer, run.read).sum(1)
        for layer in range(run.model.cfg.n_decoder_layers)
    )
    assert isinstance(by_source, Tensor)
    split = encoder_contributions(run.components, memory_reads(run.model, run.cache, run.read))
    valid = run.batch.target_mask[:, :, None]
    assert run.relative(split.sum(-1) * valid, by_source * valid) <= TOLERANCE
    assert split.shape[-1] == len(run.encoder_labels)


def test_the_memory_is_the_sum_of_its_components(run: Run) -> None:
    memory = run.model.hf.encoder(run.batch.input_ids, run.batch.attention_mask).last_hidden_state
    assert torch.allclose(run.components.sum(-2), memory, atol=2e-6)
    scale = final_gain(run.model, "encoder") * final_inverse_scale(run.cache, "encoder").unsqueeze(-1)
    for label, write in (
        ("source embedding", run.cache["encoder.hook_embed"]),
        ("EL1H3", run.cache["encoder.1.attn.hook_result"][..., 3, :]),
        ("EL0MLP", run.cache["encoder.0.hook_mlp_out"]),
    ):
        assert torch.allclose(run.components[..., run.encoder_labels.index(label), :], scale * write, atol=1e-6)


def test_one_cross_head_over_the_encoder(run: Run) -> None:
    head = HeadId("cross", run.model.cfg.n_decoder_layers - 1, 2)
    split = encoder_contributions(run.components, memory_reads(run.model, run.cache, run.read, [head]))
    expected = source_contributions(run.model, run.cache, "cross", head.layer, run.read)[:, head.head]
    valid = run.batch.target_mask[:, :, None]
    assert run.relative(split.sum(-1) * valid, expected * valid) <= TOLERANCE
    assert (split[0, :, -1] == 0).all(), "prompt 0 is padded on the source side"


def test_heads_summed_over_rows(run: Run) -> None:
    """Summing rows first, which is what makes all heads x components affordable, changes nothing."""
    weights = run.batch.target_mask / run.batch.target_mask.sum(1, keepdim=True)
    for layer in range(run.model.cfg.n_decoder_layers):
        reads = memory_reads_by_head(run.model, run.cache, run.read, weights, layer)
        by_head = encoder_contributions(run.components, reads)
        head = HeadId("cross", layer, 1)
        one = encoder_contributions(run.components, memory_reads(run.model, run.cache, run.read, [head]))
        averaged = torch.einsum("btsm,bt->bsm", one, weights)
        assert run.relative(by_head[:, 1], averaged) <= TOLERANCE


def test_the_whole_chain_adds_up_to_the_logits(run: Run) -> None:
    """Embedding, self heads, MLPs, and every (source token, encoder component) together are the logit difference."""
    first = decoder_contributions(run.model, run.cache, run.readout.directions)
    third = encoder_contributions(run.components, memory_reads(run.model, run.cache, run.read))
    memory = third.sum((-1, -2))
    assert run.gap(first.embedding + first.decoder.sum((-1, -2)) + first.mlp.sum(-1) + memory) <= TOLERANCE


def test_an_mlp_is_the_sum_of_its_neurons(run: Run) -> None:
    contributions = decoder_contributions(run.model, run.cache, run.readout.directions)
    for layer in range(run.model.cfg.n_decoder_layers):
        neurons = neuron_contributions(run.model, run.cache, layer, run.read)
        assert neurons.shape[-1] == run.model.cfg.d_mlp
        assert run.relative(neurons.sum(-1), contributions.mlp[..., layer]) <= TOLERANCE


def test_shares_are_those_of_the_writes(run: Run) -> None:
    model, cache, depth = run.model, run.cache, run.model.cfg.n_decoder_layers
    shares = squared_shares(model, cache)
    labels = component_labels(depth, model.cfg.n_heads)
    stream = cache[f"decoder.{depth - 1}.hook_resid_post"].square().sum(-1)
    for label, write in (
        ("embedding", cache["decoder.hook_embed"]),
        ("DL0H3", cache["decoder.0.attn.hook_result"][..., 3, :]),
        (f"XL{depth - 1}H4", cache[f"decoder.{depth - 1}.cross_attn.hook_result"][..., 4, :]),
        (f"DL{depth - 1}MLP", cache[f"decoder.{depth - 1}.hook_mlp_out"]),
    ):
        assert torch.allclose(shares[..., labels.index(label)], write.square().sum(-1) / stream, rtol=1e-4)


def test_stacked_components_are_in_the_order_of_their_labels(run: Run) -> None:
    contributions = decoder_contributions(run.model, run.cache, run.readout.directions)
    labels = component_labels(run.model.cfg.n_decoder_layers, run.model.cfg.n_heads)
    flat = stacked(contributions)
    last = run.model.cfg.n_decoder_layers - 1
    assert flat.shape[-1] == len(labels)
    assert torch.equal(flat[..., labels.index("embedding")], contributions.embedding)
    assert torch.equal(flat[..., labels.index("DL0H2")], contributions.decoder[..., 0, 2])
    assert torch.equal(flat[..., labels.index(f"XL{last}H1")], contributions.cross[..., last, 1])
    assert torch.equal(flat[..., labels.index(f"DL{last}MLP")], contributions.mlp[..., last])


def test_padding_and_company_change_nothing() -> None:
    model = tiny("v1.1")
    together = random_batch(model, (15, 19), (13, 17))
    texts = together.source_texts[:1], together.target_texts[:1]
    alone = collate(*texts, model.cfg, model.hf._shift_right, "given")
    splits = []
    for batch in (alone, together):
        logits, cache = model.run_with_cache(batch, [*source_hooks(), *encoder_hooks(), "decoder.ln_final.hook_scale"])
        read = token_logit(model, logits, label_tokens(batch)).frozen(cache)
        split = encoder_contributions(memory_components(model, cache), memory_reads(model, cache, read))
        splits.append(split[0, :13, :15])
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
    split = encoder_contributions(memory_components(model, cache), memory_reads(model, cache, readout.frozen(cache)))
    assert (split[:, :, 5, 0].abs() > 1e-4).all()
    assert float(split[..., 1:].abs().max()) == 0
    others = [position for position in range(split.shape[-2]) if position != 5]
    assert (split[:, :, others] == 0).all()
    total = decoder_contributions(model, cache, readout.directions).embedding + split[:, :, 5, 0]
    assert float(completeness_gap(total, readout, largest_logit(logits, batch), batch).max()) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_shows_in_the_gap(dtype: torch.dtype) -> None:
    """The stream itself is rounded, so the sum cannot be exact; it must be near, and the gap must say how near."""
    model = HookedEncoderDecoder(tiny_hf("v1.1").to(dtype))
    batch = random_batch(model)
    logits, cache = model.run_with_cache(batch)
    readout = token_logit(model, logits, label_tokens(batch))
    contributions = decoder_contributions(model, cache, readout.directions)
    gap = float(completeness_gap(contributions.total(), readout, largest_logit(logits, batch), batch).max())
    assert 2e-6 < gap < 0.1
    split = encoder_contributions(memory_components(model, cache), memory_reads(model, cache, readout.frozen(cache)))
    assert split.dtype == torch.float32
    assert torch.allclose(split.sum((-1, -2)), contributions.cross.sum((-1, -2)), atol=0.1)


def test_runner_up_is_the_best_other_token() -> None:
    logits = torch.tensor([[[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [5.0, 3.0, 2.0]]])
    tokens = torch.tensor([[1, 0, 2]])
    assert runner_up(logits, tokens).tolist() == [[2, 1, 0]]


def test_gap_ignores_padded_rows(run: Run) -> None:
    spoiled = run.readout.values.masked_fill(~run.batch.target_mask, 1e6)
    assert (~run.batch.target_mask).any()
    assert run.gap(spoiled) == 0
    spoiled[1, 3] += 0.5
    expected = 0.5 / float(run.logits[1, : int(run.batch.target_mask[1].sum())].abs().max())
    assert run.gap(spoiled) == pytest.approx(expected, rel=1e-5)


def test_labels_of_the_encoder_are_in_reading_order() -> None:
    assert encoder_component_labels(2, 2) == (
        "source embedding",
        "EL0H0",
        "EL0H1",
        "EL0MLP",
        "EL1H0",
        "EL1H1",
        "EL1MLP",
    )


@pytest.mark.parametrize("head", ["DL0H0", "XL3H0", "XL0H5"])
def test_only_cross_heads_read_the_memory(tiny_t5: HookedEncoderDecoder, head: str) -> None:
    cache = ActivationCache({}, None, lambda name, z: z)
    with pytest.raises(InputError, match=f"{head} is no cross head of this model; it has XL0H0 to XL2H4"):
        memory_reads(tiny_t5, cache, torch.zeros(1, 1, 24), [HeadId.parse(head)])
    with pytest.raises(InputError, match="No cross heads were given"):
        memory_reads(tiny_t5, cache, torch.zeros(1, 1, 24), [])


def test_answers_must_be_one_piece(bundled: HookedEncoderDecoder, tiny_t5: HookedEncoderDecoder) -> None:
    assert bundled.tokenizer is not None
    assert bundled.tokenizer.convert_ids_to_tokens(one_token(bundled, "Frau")) == "▁Frau"
    with pytest.raises(InputError, match=r"'Holzstuhlfabrik' has \d pieces .* give a text of exactly one"):
        one_token(bundled, "Holzstuhlfabrik")
    with pytest.raises(InputError, match="without a tokenizer; give token ids"):
        one_token(tiny_t5, "Frau")
