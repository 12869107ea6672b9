"""Heads of BART's family: equal to the eager host's attentions and to full forward passes; what is not defined is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from analyses.cli import app
from analyses.head_specialization import (
    ANALYSIS,
    HeadAtlas,
    HeadSettings,
    bias_frame,
    heads,
    position_frame,
)
from analyses.head_specialization.measure.ablation import ablate_heads, label_difference, loss
from analyses.head_specialization.measure.nulls import permuted_model
from analyses.head_specialization.present.section import present
from interp.axes import ATTENTION_KINDS
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.partial_forward import record_pass
from interp.patching.replacements import draw_donors, replacements
from interp.text.batch import Batch, collate
from interp.text.words import PREFIX
from tests.support.models import BART_FAMILIES, random_batch, tiny, tiny_hf
from tests.support.plain_ablation import label_leads, logits_with, prompt_losses
from tests.support.tokenizers import byte_pair_tokenizer

pytestmark = pytest.mark.slow

QUICK = HeadSettings(resamples=100, samples=4, importance=("gradient", "zero", "unbiased"))
POST_AND_PRE = ("bart", "marian", "mbart", "pegasus")


@pytest.fixture(scope="module", params=POST_AND_PRE)
def surveyed(request: pytest.FixtureRequest) -> tuple[str, Batch, HeadAtlas]:
    model = tiny(request.param)
    batch = random_batch(model)
    return request.param, batch, heads(model, batch, QUICK, twins=1)


def attentions(name: str, batch: Batch) -> dict[str, list[torch.Tensor]]:
    """The eager host's own."""
    reference = tiny_hf(name)
    with torch.no_grad():
        out = reference(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            decoder_input_ids=batch.decoder_input_ids,
            decoder_attention_mask=batch.decoder_attention_mask,
            output_attentions=True,
        )
    return {"encoder": out.encoder_attentions, "decoder": out.decoder_attentions, "cross": out.cross_attentions}


def test_previous_token_and_end_of_sentence_mass_are_those_of_the_host_in_a_plain_loop(
    surveyed: tuple[str, Batch, HeadAtlas],
) -> None:
    name, batch, atlas = surveyed
    host = attentions(name, batch)
    for kind, layers, heads_of in (("encoder", 2, 5), ("decoder", 3, 10)):
        lengths = (batch.source_mask if kind == "encoder" else batch.target_mask).sum(1).tolist()
        found = atlas.metric(kind, "previous token mass").point
        assert found.shape == (layers, heads_of)
        for layer, head in np.ndindex(layers, heads_of):
            means = []
            for prompt, length in enumerate(lengths):
                rows = [float(host[kind][layer][prompt, head, row, row - 1]) for row in range(1, length)]
                means.append(sum(rows) / len(rows))
            assert found[layer, head] == pytest.approx(np.mean(means), rel=1e-4, abs=1e-6)
    found = atlas.metric("cross", "EOS mass").point
    for layer, head in np.ndindex(3, 10):
        means = []
        for prompt in range(len(batch)):
            last = int(batch.source_mask[prompt].sum()) - 1
            rows = [
                float(host["cross"][layer][prompt, head, row, last])
                for row in range(int(batch.target_mask[prompt].sum()))
            ]
            means.append(sum(rows) / len(rows))
        assert found[layer, head] == pytest.approx(np.mean(means), rel=1e-4, abs=1e-6)


def test_the_section_renders_and_says_what_is_not_defined(
    surveyed: tuple[str, Batch, HeadAtlas],
) -> None:
    name, _, atlas = surveyed
    section = present(atlas)
    text = " ".join(section.findings)
    assert f"this {name} has positions={atlas.cfg.positions!r}, added to the embedding" in text
    assert f"Copying heads are not looked for: this {name} has norm='layer'" in text
    assert "position bias kept" not in text
    assert any("Values have biases" in limit for limit in section.limits)
    assert not any("share one position bias" in limit for limit in section.limits)
    assert atlas.heads == 2 * 5 + 2 * 3 * 10
    figures = {block.name for block in section.blocks if hasattr(block, "chart")}
    assert "heads-entropy" in figures
    assert not any("bias" in figure or "position" in figure for figure in figures)
    for kind in ATTENTION_KINDS:
        names = {metric.name for metric in atlas.metrics[kind]}
        assert not any("position" in metric for metric in names)
        assert "zero ablation, change of loss" in names
        assert np.isfinite(atlas.metric(kind, "gradient importance").point).all()
    with pytest.raises(InputError, match=rf"positions='relative'; this {name} has positions="):
        position_frame(atlas)
    with pytest.raises(InputError, match="Position biases need"):
        bias_frame(atlas, "encoder")


@pytest.mark.parametrize("name", BART_FAMILIES)
@pytest.mark.parametrize("metric", ["loss", "label difference"])
def test_every_ablation_equals_a_full_forward_pass(name: str, metric: str) -> None:
    model, rows = tiny(name), torch.tensor([3, 11, 0])
    batch = random_batch(model, same_prefix=True)
    full = record_pass(model, batch, "*.hook_z")
    outcome = loss(full) if metric == "loss" else label_difference(model, batch, rows)
    chosen = [HeadId("encoder", 0, 4), HeadId("encoder", 1, 0), HeadId("decoder", 0, 9), HeadId("decoder", 2, 3)]
    chosen += [HeadId("cross", 0, 7), HeadId("cross", 1, 2)]
    clean, donors = model(batch), [draw_donors(batch, batch, 4)]
    for ablation in ("zero", "mean", "resample"):
        found = ablate_heads(full, outcome, ablation, heads=chosen, draws=1, seed=4)
        for index, head in enumerate(chosen):
            hook = head.hook_name("z")
            z = replacements(ablation, hook, full.cache[hook], batch, donors)[0, :, :, head.head]
            logits = [logits_with(model, batch, head, z), clean]
            if metric == "loss":
                after, before = (prompt_losses(one, batch) for one in logits)
            else:
                after, before = (label_leads(one, clean, batch, rows) for one in logits)
            torch.testing.assert_close(outcome.before, before, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(found[index], (after - before).numpy(), rtol=1e-5, atol=1e-5, err_msg=str(head))
        assert np.abs(found).max() > 1e-3


def planted() -> HookedEncoderDecoder:
    """Marian with a decoder head that attends to the token before, by rotation of sinusoidal positions alone.

    The layer-0 query of a row is the position code turned by one step back, so its product with a key's code is largest there.
    """
    hf = tiny_hf("marian", encoder_attention_heads=2, decoder_attention_heads=1, decoder_layers=1)
    attention = hf.model.decoder.layers[0].self_attn
    width = hf.config.d_model
    half = width // 2
    steps = 10000.0 ** (-2 * torch.arange(half) / width)
    turn = torch.zeros(width, width)
    place = torch.arange(half)
    # [sin p, cos p] -> [sin (p - 1), cos (p - 1)], in every frequency.
    turn[place, place] = turn[place + half, place + half] = torch.cos(steps)
    turn[place, place + half], turn[place + half, place] = -torch.sin(steps), torch.sin(steps)
    attention.q_proj.weight.data = 40.0 * turn
    attention.k_proj.weight.data = torch.eye(width)
    attention.q_proj.bias.data.zero_()
    attention.k_proj.bias.data.zero_()
    hf.model.shared.weight.data *= 0.0
    return HookedEncoderDecoder(hf)


def test_a_planted_previous_token_head_of_absolute_positions_is_found() -> None:
    model = planted()
    lengths = (12, 14, 16, 13, 15, 17, 12, 18, 14, 16)
    atlas = heads(
        model, random_batch(model, lengths, lengths), HeadSettings(resamples=200, samples=4, nulls=()), twins=1
    )
    found = {(str(label.head), label.role) for label in atlas.labels}
    assert ("DL0H0", "previous token") in found
    share = atlas.metric("decoder", "previous token argmax share").point[0, 0]
    assert share == pytest.approx(1.0)


def test_texts_without_a_prefix_have_no_prefix_mass() -> None:
    model = tiny("bart")
    batch = random_batch(model)
    texts = [
        type(text)(
            text.text,
            text.ids,
            text.pieces,
            text.words,
            text.word_of_token,
            tuple(1 if category == PREFIX else category for category in text.category_of_token),
        )
        for text in batch.source_texts
    ]
    plain = collate(texts, list(batch.target_texts), model.cfg, model.decoder_inputs, "given")
    atlas = heads(model, plain, QUICK, twins=1)
    assert (atlas.metric("cross", "prefix mass").point == 0.0).all()
    assert not any(label.role == "prefix head" for label in (*atlas.labels, *atlas.uncertain, *atlas.candidates))
    assert np.isnan(atlas.metric("encoder", "prefix value norm").point).all()
    assert present(atlas).findings


def test_a_model_with_few_positions_gets_no_random_repeats_and_says_so() -> None:
    model = tiny("pegasus", max_position_embeddings=60)
    atlas = heads(model, random_batch(model), HeadSettings(resamples=100), twins=1)
    text = " ".join(present(atlas).findings)
    assert "up to 97 tokens, and this pegasus has max_positions=60" in text
    assert not any("random repeats" in metric.name for kind in ATTENTION_KINDS for metric in atlas.metrics[kind])


@pytest.mark.parametrize("name", ["bart", "pegasus", "t5"])
def test_permuting_reaches_every_matrix_of_attention_and_feed_forward_and_keeps_the_entries(name: str) -> None:
    model = tiny(name)
    other = dict(permuted_model(model, 0).hf.named_parameters())
    changed = 0
    for parameter, values in model.hf.named_parameters():
        same = torch.equal(values, other[parameter])
        inner = values.ndim == 2 and "layer" in parameter and "norm" not in parameter and "relative" not in parameter
        assert same != inner, parameter
        torch.testing.assert_close(values.flatten().sort().values, other[parameter].flatten().sort().values)
        changed += inner
    assert changed == (2 * 6 + 3 * 10)


def test_the_split_into_position_and_content_is_asked_for_only_where_it_is_defined() -> None:
    for name, there in (("t5", True), ("umt5", True), ("bart", False), ("m2m_100", False)):
        cfg = tiny(name).cfg
        assert ANALYSIS.applies(cfg) is None
        assert any("attn_scores" in hook for hook in ANALYSIS.hooks_on(cfg)) is there


def test_a_run_on_bart_has_the_section_its_cards_and_a_page_for_every_prompt(tmp_path: Path) -> None:
    tokenizer = byte_pair_tokenizer()
    tiny_hf("bart", vocab_size=len(tokenizer)).save_pretrained(tmp_path / "bart")
    tokenizer.save_pretrained(tmp_path / "bart")
    (tmp_path / "prompts.txt").write_text("The dog sleeps.\nThe house is big.\nA cat runs home.\n", encoding="utf-8")
    options = ["-p", str(tmp_path / "prompts.txt"), "-a", "head_specialization", "--twins", "2", "--quiet"]
    called = CliRunner().invoke(app, ["run", "-m", str(tmp_path / "bart"), *options, "-o", str(tmp_path / "out")])
    assert called.exit_code == 0, called.output
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "this bart has positions=&#39;learned&#39;, added to the embedding" in page
    assert "Not answered for this model" not in page
    assert "EL1H4" in page
    assert "XL2H9" in page
    assert {path.name for path in (tmp_path / "out" / "pages").iterdir()} >= {
        "head-cards.html",
        *(f"prompt-{number}.html" for number in (1, 2, 3)),
    }
    table = pd.read_csv(tmp_path / "out" / "tables" / "head-overview.csv")
    assert len(table) == 2 * 5 + 2 * 3 * 10
