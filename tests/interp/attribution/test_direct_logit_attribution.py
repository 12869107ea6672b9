"""One split for every family: components add up, sources and encoder components add up to heads, lengths against plain loops."""

import pytest
import torch
from torch import Tensor

from interp.attribution.components import last_norm, norms, steps, writers
from interp.attribution.direct_logit_attribution import (
    VALUE_BIAS,
    decompose,
    decomposition_hooks,
    memory_by_head,
    memory_by_row,
    memory_labels,
    sublayer_reads,
    write_shares,
)
from interp.attribution.logit_readout import (
    Readout,
    completeness_gap,
    label_tokens,
    largest_logit,
    logit_against_mean,
    logit_difference,
    runner_up,
    token_logit,
)
from interp.attribution.source_attribution import neuron_contributions, source_contributions
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from tests.support.models import BART_FAMILIES, random_batch, tiny

pytestmark = pytest.mark.slow

TOLERANCE = 2e-6


class Run:
    """One pass of a tiny model with exactly the activations that are asked for."""

    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model, self.batch = model, random_batch(model)
        self.logits, self.cache = model.run_with_cache(self.batch, decomposition_hooks(model.cfg))
        tokens = label_tokens(self.batch)
        self.readouts: dict[str, Readout] = {
            "label": token_logit(model, self.logits, tokens),
            "difference": logit_difference(model, self.logits, tokens, runner_up(self.logits, tokens)),
            "mean": logit_against_mean(model, self.logits, tokens),
        }
        self.readout = self.readouts["difference"]
        self.found = decompose(model, self.cache, self.readout)
        self.largest = largest_logit(self.logits, self.batch)
        self.mask = self.batch.target_mask

    def relative(self, first: Tensor, second: Tensor) -> float:
        """Largest difference of two arrays [batch target ...] at real rows, as a share of the largest |logit|."""
        return float((first - second)[self.mask].abs().max() / self.largest.max())


@pytest.fixture(scope="module", params=["t5", "umt5", *BART_FAMILIES])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(tiny(request.param))


def heads_of(run: Run, layer: int) -> Tensor:
    """Contributions of a layer's cross heads by their labels."""
    heads = range(run.model.cfg.heads_of("cross"))
    return torch.stack([run.found.of(str(HeadId("cross", layer, head))) for head in heads], -1)


@pytest.mark.parametrize("name", ["label", "difference", "mean"])
def test_components_add_up_to_every_read_out(run: Run, name: str) -> None:
    readout = run.readouts[name]
    found = decompose(run.model, run.cache, readout)
    assert float(completeness_gap(found.values.sum(-1), readout, run.largest, run.batch).max()) <= TOLERANCE
    assert found.labels == tuple(writer.label for writer in writers(run.model.cfg, "decoder"))
    assert len(set(found.labels)) == len(found.labels) == found.values.shape[-1]


def test_a_read_out_reads_its_value_behind_the_last_norm(run: Run) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    normalized = cache[f"{last_norm(run.model.cfg, 'decoder')}.hook_normalized"]
    for readout in run.readouts.values():
        assert run.relative(readout.of(normalized), readout.values) <= TOLERANCE


def test_cross_heads_split_over_source_tokens_and_these_over_the_encoder(run: Run) -> None:
    weights = run.mask / run.mask.sum(1, keepdim=True)
    by_head = memory_by_head(run.model, run.cache, run.found.cross_reads, weights)
    by_row = memory_by_row(run.model, run.cache, run.found.cross_reads)
    labels = memory_labels(run.model.cfg)
    assert by_head.shape[-1] == by_row.shape[-1] == len(labels) == len(set(labels))
    assert (VALUE_BIAS in labels) == run.model.cfg.biases
    all_sources = []
    for layer, read in enumerate(run.found.cross_reads):
        split = source_contributions(run.model, run.cache, "cross", layer, read)
        assert run.relative(split.sum(-1).transpose(1, 2), heads_of(run, layer)) <= TOLERANCE
        averaged = torch.einsum("bhts,bt->bhs", split, weights)
        assert float((by_head[:, layer].sum(-1) - averaged).abs().max() / run.largest.max()) <= TOLERANCE
        all_sources.append(split.sum(1))
    assert run.relative(by_row.sum(-1), torch.stack(all_sources).sum(0)) <= TOLERANCE
    assert (by_row[0, :, 15:] == 0).all(), "prompt 0 is padded on the source side"
    # Rows averaged with the same weights, both splits tell the same story of every component.
    averaged_rows = torch.einsum("btsm,bt->bsm", by_row, weights)
    assert float((averaged_rows - by_head.sum((1, 2))).abs().max() / run.largest.max()) <= TOLERANCE


def test_the_bias_of_the_values_is_the_same_wherever_a_head_looks(run: Run) -> None:
    if not run.model.cfg.biases:
        return
    values = run.model.module("decoder.1.cross_attn").get_submodule(run.model.family.projections[2])
    changed = tiny(run.model.cfg.model_type)
    other = changed.module("decoder.1.cross_attn").get_submodule(changed.family.projections[2])
    assert isinstance(values.bias, Tensor)
    assert isinstance(other.bias, Tensor)
    other.bias.zero_()
    again = Run(changed)
    weights = run.mask / run.mask.sum(1, keepdim=True)
    with_bias, without = (
        memory_by_head(one.model, one.cache, one.found.cross_reads, weights)[:, 1, ..., -1] for one in (run, again)
    )
    assert (without == 0).all()
    assert (with_bias.sum(-1).abs() > 1e-6).any()


def test_neurons_add_up_to_their_layer(run: Run) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    reads = sublayer_reads(run.model, cache, run.readout)
    for layer in range(run.model.cfg.n_decoder_layers):
        split = neuron_contributions(run.model, cache, layer, reads[f"decoder.{layer}.mlp"])
        assert run.relative(split.sum(-1), run.found.of(f"DL{layer}MLP")) <= TOLERANCE


def pushed(run: Run, cache: ActivationCache) -> dict[str, Tensor]:
    """Every write as a vector, carried by a plain loop to where the last norm measures the stream; label -> vector."""
    model, cfg = run.model, run.model.cfg
    carried: dict[str, Tensor] = {}
    stretch = cfg.norm == "layer"

    def centred(vector: Tensor) -> Tensor:
        return vector - vector.mean(-1, keepdim=True) if stretch else vector

    rows = torch.zeros_like(cache["decoder.0.hook_resid_pre"])
    last = norms(cfg, "decoder")[-1]
    for step in steps(cfg, "decoder"):
        if step.what == "norm":
            module = model.module(step.name)
            if step.name == last:
                carried = {label: centred(vector) for label, vector in carried.items()}
                break
            scale, gain = cache[f"{step.name}.hook_scale"], module.weight
            assert isinstance(gain, Tensor)
            carried = {label: centred(vector) / scale * gain for label, vector in carried.items()}
            carried[f"{step.label} bias"] = rows + module.bias  # type: ignore[operator]
        elif step.attention is not None:
            path = attention_path(step.attention, step.layer or 0)
            written = cache[f"{path}.hook_result"]
            for head in range(written.shape[2]):
                carried[str(HeadId(step.attention, step.layer or 0, head))] = written[:, :, head]
            if cfg.biases:
                carried[f"{step.label} attention bias"] = rows + model.module(f"{path}.hook_result").bias  # type: ignore[operator]
        elif step.what == "mlp":
            written = cache[f"decoder.{step.layer}.hook_mlp_out"]
            bias = model.module(f"{step.name}.hook_post").bias if cfg.biases else None
            carried[step.label] = written if bias is None else written - bias  # type: ignore[operator]
            if bias is not None:
                carried[f"{step.label} bias"] = rows + bias  # type: ignore[operator]
        else:
            carried[step.label] = rows + cache[step.name]
    return carried


def test_squared_lengths_are_those_of_writes_carried_to_the_last_norm(run: Run) -> None:
    _, cache = run.model.run_with_cache(run.batch)
    vectors = pushed(run, cache)
    last = last_norm(run.model.cfg, "decoder")
    stream = cache[f"{last}.hook_normalized"] * cache[f"{last}.hook_scale"]
    total = torch.stack(list(vectors.values())).sum(0)
    assert float((total - stream)[run.mask].abs().max() / stream.abs().max()) <= 5e-6, "writes make up the stream there"
    shares = write_shares(run.model, run.cache)
    for writer, share in zip(writers(run.model.cfg, "decoder"), shares.unbind(-1), strict=True):
        if writer.label not in vectors:
            assert writer.kind == "bias"
            assert (share == 0).all(), "what comes behind the last norm has no part in what it measures"
            continue
        expected = vectors[writer.label].square().sum(-1) / stream.square().sum(-1)
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
    assert [step.label for step in steps(cfg, "decoder") if step.what == "norm"] == decoder
    assert len(norms(cfg, "decoder")) == len(decoder)
    assert last_norm(cfg, "encoder") == ("encoder.1.ln2" if cfg.norm_place == "post" else "encoder.ln_final")


def test_one_direction_for_all_writers_is_refused_where_there_is_none() -> None:
    run = Run(tiny("bart"))
    with pytest.raises(InputError, match=r"every sublayer in its own way; take interp\.decomposition\.sublayer_reads"):
        run.readout.frozen(run.cache)


@pytest.mark.parametrize("name", ["bart", "marian", "mbart"])
def test_a_prompt_is_split_alike_in_any_company(name: str) -> None:
    """Padding on both sides changes nothing."""
    model = tiny(name)
    whole = Run(model)

    def split(batch: Batch) -> Tensor:
        logits, cache = model.run_with_cache(batch, decomposition_hooks(model.cfg))
        tokens = label_tokens(batch)
        return decompose(model, cache, logit_difference(model, logits, tokens, runner_up(logits, tokens))).values

    alone = split(whole.batch.select(0))
    torch.testing.assert_close(alone[0], whole.found.values[0, : alone.shape[1]], atol=2e-5, rtol=1e-4)
