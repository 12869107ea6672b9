"""Flow down to the input tokens against references written in plain loops, and the invariants of each method."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.sources import ALTI_HOOKS, ROLLOUT_HOOKS, Flow, alti, chefer, rollout
from interp.sources.alti_plus import cross_contributions, self_contributions
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny, tiny_hf

pytestmark = pytest.mark.slow

Matrix = list[list[float]]


def flows(model: HookedEncoderDecoder, batch: Batch) -> dict[str, Flow]:
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, [*ALTI_HOOKS, *ROLLOUT_HOOKS])
    return {"alti": alti(model, batch, cache), "rollout": rollout(model, batch, cache)}


def test_rows_sum_to_one_padding_gets_nothing_and_the_future_does_not_leak(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    for name, flow in flows(tiny_model, batch).items():
        total = flow.source.sum(-1) + flow.target.sum(-1)
        real = batch.target_mask[:, None].expand(total.shape)
        torch.testing.assert_close(total[real], torch.ones_like(total[real]), rtol=0, atol=1e-5, msg=name)
        assert (total[~real] == 0).all()
        assert (flow.target.triu(1) == 0).all()
        assert (flow.source >= 0).all()
        assert (flow.target >= 0).all()
        assert (flow.source.masked_select(~batch.source_mask[:, None, None]) == 0).all()


def test_rollout_gives_the_source_a_share_that_only_depends_on_depth(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    source = flows(tiny_t5, batch)["rollout"].source.sum(-1)
    for layer, share in enumerate((1 / 2, 3 / 4, 7 / 8)):
        np.testing.assert_allclose(source[:, layer][batch.target_mask], share, rtol=1e-5)


def test_padding_and_company_change_no_flow(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    together, alone = flows(tiny_t5, batch), flows(tiny_t5, batch.select(1))
    n_target, n_source = int(batch.target_mask[1].sum()), int(batch.source_mask[1].sum())
    for name in together:
        torch.testing.assert_close(
            alone[name].source[0], together[name].source[1, :, :n_target, :n_source], rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize("name", ["t5", "v1.1", "umt5", "t5-deep-encoder"])
def test_rollout_and_alti_agree_with_plain_loops(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model, source_lengths=(12,), target_lengths=(12,))
    got = flows(model, batch)
    for kind, reference in (("rollout", _rollout_by_hand(name, batch)), ("alti", _alti_by_hand(name, batch))):
        source, target = reference
        np.testing.assert_allclose(got[kind].source[0, -1], source, rtol=2e-3, atol=2e-5, err_msg=kind)
        np.testing.assert_allclose(got[kind].target[0, -1], target, rtol=2e-3, atol=2e-5, err_msg=kind)


def _host(name: str, batch: Batch):  # type: ignore[no-untyped-def]
    """The plain transformers model's attentions and hidden states; nothing of the package under test."""
    hf = tiny_hf(name)
    with torch.no_grad():
        return hf, hf(
            input_ids=batch.input_ids,
            decoder_input_ids=batch.decoder_input_ids,
            output_attentions=True,
            output_hidden_states=True,
        )


def _product(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(a[i][k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))] for i in range(len(a))]


def _rows(n: int, m: int, entry) -> Matrix:  # type: ignore[no-untyped-def]
    return [[entry(i, j) for j in range(m)] for i in range(n)]


def _walk(encoder: list[Matrix], decoder: list[Matrix], cross: list[Matrix]) -> tuple[Matrix, Matrix]:
    """The recursion of ALTI+, entry by entry; cross steps have the residual in their last column."""
    n_source, n_target = len(encoder[0]), len(decoder[0])
    memory = _rows(n_source, n_source, lambda i, j: float(i == j))
    for step in encoder:
        memory = _product(step, memory)
    source = _rows(n_target, n_source, lambda i, j: 0.0)
    target = _rows(n_target, n_target, lambda i, j: float(i == j))
    for own, reads in zip(decoder, cross, strict=True):
        kept = _rows(n_target, n_target, lambda i, j, own=own, reads=reads: reads[i][n_source] * own[i][j])
        through, fresh = _product(kept, source), _product([row[:n_source] for row in reads], memory)
        source = _rows(n_target, n_source, lambda i, j, a=through, b=fresh: a[i][j] + b[i][j])
        target = _product(kept, target)
    return source, target


def _rollout_by_hand(name: str, batch: Batch) -> tuple[Matrix, Matrix]:
    _, out = _host(name, batch)

    def mean(attention: Tensor) -> Matrix:
        heads = attention[0].tolist()
        return _rows(len(heads[0]), len(heads[0][0]), lambda i, j: sum(head[i][j] for head in heads) / len(heads))

    def halved(attention: Tensor) -> Matrix:
        weights = mean(attention)
        return _rows(len(weights), len(weights), lambda i, j: (weights[i][j] + float(i == j)) / 2)

    crossed = [[[*(w / 2 for w in row), 0.5] for row in mean(attention)] for attention in out.cross_attentions]
    return _walk([halved(a) for a in out.encoder_attentions], [halved(a) for a in out.decoder_attentions], crossed)


def _norm(x: Tensor, gain: Tensor) -> Tensor:
    return gain * x * (x.pow(2).mean() + 1e-6) ** -0.5


def _alti_by_hand(name: str, batch: Batch) -> tuple[Matrix, Matrix]:
    """T_i(x_j) from the host's weights, norms and attentions, one pair of tokens at a time."""
    hf, out = _host(name, batch)
    encoder, stream = [], out.encoder_hidden_states[0][0]
    for layer, block in enumerate(hf.encoder.block):
        sublayer = block.layer[0]
        read = [_norm(x, sublayer.layer_norm.weight) for x in stream]
        step, stream = _mix(sublayer.SelfAttention, out.encoder_attentions[layer][0], read, stream, own_column=False)
        encoder.append(step)
        stream = torch.stack([x + _ff(block.layer[1], x) for x in stream])
    memory = [_norm(x, hf.encoder.final_layer_norm.weight) for x in stream]
    decoder, cross, stream = [], [], out.decoder_hidden_states[0][0]
    for layer, block in enumerate(hf.decoder.block):
        own, crossing = block.layer[0], block.layer[1]
        read = [_norm(x, own.layer_norm.weight) for x in stream]
        step, stream = _mix(own.SelfAttention, out.decoder_attentions[layer][0], read, stream, own_column=False)
        decoder.append(step)
        step, stream = _mix(crossing.EncDecAttention, out.cross_attentions[layer][0], memory, stream, own_column=True)
        cross.append(step)
        stream = torch.stack([x + _ff(block.layer[2], x) for x in stream])
    return _walk(encoder, decoder, cross)


def _ff(layer, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    return layer.DenseReluDense(_norm(x, layer.layer_norm.weight)[None])[0]


def _mix(attention, pattern: Tensor, read: list[Tensor], stream: Tensor, own_column: bool):  # type: ignore[no-untyped-def]
    """One sublayer's contributions and its output, from explicit terms."""
    n_heads, width = pattern.shape[0], attention.v.weight.shape[0] // pattern.shape[0]
    step, outputs = [], []
    for i in range(pattern.shape[1]):
        terms = []
        for j, x in enumerate(read):
            values = attention.v.weight @ x
            weighted = torch.cat([pattern[h, i, j] * values[h * width : (h + 1) * width] for h in range(n_heads)])
            terms.append(attention.o.weight @ weighted)
        if own_column:
            terms.append(stream[i])
        else:
            terms[i] = terms[i] + stream[i]
        y = torch.stack(terms).sum(0)
        gains = [max(0.0, float(y.abs().sum() - (y - term).abs().sum())) for term in terms]
        step.append([gain / sum(gains) for gain in gains])
        outputs.append(y)
    return step, torch.stack(outputs)


def test_alti_carries_terms_through_norms_that_follow_the_sublayers() -> None:
    """BART, against its host's modules: terms and sum behind the norm, its scale held."""
    model, hf = tiny("bart"), tiny_hf("bart")
    batch = random_batch(model, source_lengths=(9,), target_lengths=(7,))
    got = flows(model, batch)["alti"]
    with torch.no_grad():
        inputs = {"input_ids": batch.input_ids, "decoder_input_ids": batch.decoder_input_ids}
        out = hf(**inputs, output_attentions=True, output_hidden_states=True)
        encoder, decoder, cross = [], [], []
        for layer, block in enumerate(hf.model.encoder.layers):
            stream, pattern = out.encoder_hidden_states[layer][0], out.encoder_attentions[layer][0]
            encoder.append(_normed_mix(block.self_attn, block.self_attn_layer_norm, pattern, stream, stream, False)[0])
        memory = out.encoder_last_hidden_state[0]
        for layer, block in enumerate(hf.model.decoder.layers):
            stream, pattern = out.decoder_hidden_states[layer][0], out.decoder_attentions[layer][0]
            step, stream = _normed_mix(block.self_attn, block.self_attn_layer_norm, pattern, stream, stream, False)
            decoder.append(step)
            crossing = block.encoder_attn, block.encoder_attn_layer_norm, out.cross_attentions[layer][0]
            cross.append(_normed_mix(*crossing, memory, stream, True)[0])
    source, target = _walk(encoder, decoder, cross)
    np.testing.assert_allclose(got.source[0, -1], source, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(got.target[0, -1], target, rtol=2e-3, atol=2e-5)


def _normed_mix(attention, norm, pattern: Tensor, read: Tensor, stream: Tensor, own_column: bool):  # type: ignore[no-untyped-def]
    heads = pattern.shape[0]
    step, outputs = [], []
    for i in range(pattern.shape[1]):
        values = (attention.v_proj(read)).unflatten(-1, (heads, -1))
        terms = [attention.out_proj.weight @ (pattern[:, i, j, None] * values[j]).flatten() for j in range(len(read))]
        if own_column:
            terms.append(stream[i])
        else:
            terms[i] = terms[i] + stream[i]
        total = torch.stack(terms).sum(0) + attention.out_proj.bias
        y, scale = norm(total), (total.var(unbiased=False) + norm.eps).sqrt()
        through = [norm.weight * (term - term.mean()) / scale for term in terms]
        gains = [max(0.0, float(y.abs().sum() - (y - term).abs().sum())) for term in through]
        step.append([gain / sum(gains) for gain in gains])
        outputs.append(y)
    return step, torch.stack(outputs)


def test_without_attention_a_token_is_made_of_itself() -> None:
    before = torch.randn(1, 4, 6)
    pattern, vectors = torch.softmax(torch.randn(1, 2, 4, 4), -1), torch.zeros(1, 4, 2, 6)
    torch.testing.assert_close(self_contributions(pattern, vectors, before, before)[0], torch.eye(4))
    crossed = cross_contributions(pattern, vectors, before, before)[0]
    torch.testing.assert_close(crossed[:, -1], torch.ones(4))
    assert (crossed[:, :-1] == 0).all()


def test_memory_of_alti_does_not_depend_on_the_blocks(tiny_t5: HookedEncoderDecoder, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    batch = random_batch(tiny_t5)
    whole = flows(tiny_t5, batch)["alti"]
    monkeypatch.setattr("interp.sources.alti_plus._NUMBERS_AT_ONCE", 1)
    torch.testing.assert_close(flows(tiny_t5, batch)["alti"].source, whole.source, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["t5", "v1.1"])
def test_chefer_agrees_with_one_backward_per_row_in_plain_loops(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model, source_lengths=(12,), target_lengths=(5,))
    got = chefer(model, batch)
    for row in range(5):
        source, target = _chefer_by_hand(name, batch, row)
        np.testing.assert_allclose(got.source[row], source, rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(got.target[row], target, rtol=2e-3, atol=1e-6)
    assert (got.source.sum(-1) > 0).all()  # without the guard every row but the last would be 0
    assert (got.target.triu(1) == 0).all()


def _chefer_by_hand(name: str, batch: Batch, row: int) -> tuple[list[float], list[float]]:
    hf = copy.deepcopy(tiny_hf(name)).requires_grad_(True)
    out = hf(input_ids=batch.input_ids, decoder_input_ids=batch.decoder_input_ids, output_attentions=True)
    everything = (*out.encoder_attentions, *out.decoder_attentions, *out.cross_attentions)
    gradients = torch.autograd.grad(out.logits[0, row, batch.labels[0, row]], everything)
    n_encoder, n_decoder = len(out.encoder_attentions), len(out.decoder_attentions)

    def step(index: int) -> Matrix:
        a, g = everything[index][0].tolist(), gradients[index][0].tolist()
        n = len(a)
        return _rows(len(a[0]), len(a[0][0]), lambda i, j: sum(max(0.0, a[h][i][j] * g[h][i][j]) for h in range(n)) / n)

    n_source, n_target = batch.input_ids.shape[1], batch.labels.shape[1]
    r_ss = _rows(n_source, n_source, lambda i, j: float(i == j))
    for layer in range(n_encoder):
        r_ss = _plus(r_ss, _product(step(layer), r_ss))
    r_qq = _rows(n_target, n_target, lambda i, j: float(i == j))
    r_qs = _rows(n_target, n_source, lambda i, j: 0.0)
    for layer in range(n_decoder):
        own, crossing = step(n_encoder + layer), step(n_encoder + n_decoder + layer)
        r_qs, r_qq = _plus(r_qs, _product(own, r_qs)), _plus(r_qq, _product(own, r_qq))
        turned = [list(column) for column in zip(*_handle_residual(r_qq), strict=True)]
        r_qs = _plus(r_qs, _product(turned, _product(crossing, _handle_residual(r_ss))))
    return r_qs[row], r_qq[row]


def _plus(a: Matrix, b: Matrix) -> Matrix:
    return [[x + y for x, y in zip(one, other, strict=True)] for one, other in zip(a, b, strict=True)]


def _handle_residual(r: Matrix) -> Matrix:
    rest = _rows(len(r), len(r), lambda i, j: r[i][j] - float(i == j))
    divided = [[x / sum(row) for x in row] if sum(row) > 0 else [0.0] * len(row) for row in rest]
    return _plus(divided, _rows(len(r), len(r), lambda i, j: float(i == j)))


def test_chefer_of_a_difference_is_that_of_both_gradients(tiny_t5: HookedEncoderDecoder) -> None:
    single = random_batch(tiny_t5).select(0)
    labels = single.labels[0]
    nothing = chefer(tiny_t5, single, labels, labels)
    assert float(nothing.source.abs().max()) == 0
    difference = chefer(tiny_t5, single, labels, (labels + 1) % tiny_t5.cfg.d_vocab)
    assert not torch.allclose(difference.source, chefer(tiny_t5, single).source)


def test_chefer_explains_any_token_and_one_prompt_at_a_time(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    single = batch.select(0)
    other = chefer(tiny_t5, single, (single.labels[0] + 1) % tiny_t5.cfg.d_vocab)
    assert not torch.allclose(other.source, chefer(tiny_t5, single).source)
    with pytest.raises(InputError, match="one prompt at a time; got 3"):
        chefer(tiny_t5, batch)
