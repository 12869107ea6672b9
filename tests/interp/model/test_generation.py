"""Generation: the activations kept step by step, with the key-value cache, are those of one teacher-forced pass."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from interp.errors import InputError
from interp.hooks.steps import CACHE_FIELD
from interp.model.generation import Decoding, Method
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import IGNORED_LABEL
from tests.support.models import BART_FAMILIES, FAMILIES, WHISPER_FAMILIES, random_batch, tiny

METHODS = [Decoding(), Decoding("beam", beams=3), Decoding("sampling", seed=3)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, *BART_FAMILIES, *WHISPER_FAMILIES])
@pytest.mark.parametrize("decoding", METHODS, ids=lambda decoding: decoding.method)
def test_steps_equal_the_teacher_forced_pass_over_the_same_tokens(name: str, decoding: Decoding) -> None:
    """Every hook point of every family, within 1e-5 of its largest value."""
    model = tiny(name)
    written = model.generate(random_batch(model), names_filter="*", decoding=decoding, max_new_tokens=14)
    assert written.batch.target_origin == "generated"
    if name == "m2m_100":
        assert not written.batch.labels.eq(model.cfg.pad_token_id).any(), "padding tokens have no number of their own"
    logits, cache = model.run_with_cache(written.batch, names_filter="*")
    rows = written.batch.target_mask
    assert_close(written.logits[rows], logits[rows], "logits")
    assert set(written.cache) == set(cache) == set(model.hook_points())
    for key, wanted in cache.items():
        got, axes = written.cache[key], model.hook_points()[key].axes
        assert got.shape == wanted.shape, key
        shared = axes[0] == "one" or wanted.shape[0] != len(rows)
        if shared or key.startswith("encoder") or key.endswith(("cross_attn.hook_k", "cross_attn.hook_v")):
            assert_close(got, wanted, key)
            continue
        on_rows = (lambda t: t.transpose(1, 2)[rows]) if axes[-1] == "key" else (lambda t: t[rows])
        got, wanted = on_rows(got), on_rows(wanted)
        seen = wanted > -1e30
        assert_close(got[seen], wanted[seen], key)
        if key.endswith("hook_pattern"):
            torch.testing.assert_close(got.sum(-1), torch.ones(got.shape[:-1]))


def assert_close(got: Tensor, wanted: Tensor, name: str) -> None:
    gap = float((got - wanted).abs().max() / wanted.abs().max())
    assert gap <= 1e-5, f"{name} is off by {gap:.1e} of its largest value"


def test_what_a_checkpoint_forces_is_obeyed_unless_told_otherwise() -> None:
    """MBart and NLLB begin every text with its language; the activations are still those of the tokens that were written."""
    model = tiny("mbart")
    model.hf.generation_config.forced_bos_token_id = 17
    batch = random_batch(model)
    own = model.generate(batch, "decoder.0.hook_resid_post", max_new_tokens=5)
    told = model.generate(batch, "decoder.0.hook_resid_post", Decoding(first_token=23), max_new_tokens=5)
    assert own.batch.labels[:, 0].tolist() == [17] * 3
    assert told.batch.labels[:, 0].tolist() == [23] * 3
    _, kept = model.run_with_cache(told.batch)
    rows = told.batch.target_mask
    name = "decoder.0.hook_resid_post"
    assert_close(told.cache[name][rows], kept[name][rows], name)


def test_sequences_that_end_early_keep_their_own_length() -> None:
    """With a vocabulary of few tokens, sampling ends some texts early; rows behind the end are zero."""
    model = tiny("t5", vocab_size=6)
    batch = random_batch(model, source_lengths=(4, 5, 6, 7), target_lengths=(2, 2, 2, 2))
    lengths = set()
    for seed in range(4):
        written = model.generate(batch, "decoder.*.hook_resid_post", Decoding("sampling", seed=seed), max_new_tokens=9)
        mask = written.batch.target_mask
        assert written.cache["decoder.2.hook_resid_post"][~mask].eq(0).all()
        assert written.logits[~mask].eq(0).all()
        lengths |= set(mask.sum(1).tolist())
    assert len(lengths) > 2


def test_greedy_takes_the_likeliest_token_and_beams_find_likelier_texts(bundled: HookedEncoderDecoder) -> None:
    sources = ["translate English to German: The young woman has bought a very old house in the city."] * 2
    greedy = bundled.generate(sources, names_filter="unembed.hook_out")
    assert torch.equal(greedy.logits.argmax(-1), greedy.batch.labels)
    assert greedy.texts == tuple(text.text for text in bundled.batch(sources).target_texts)
    beam = bundled.generate(sources, "unembed.hook_out", Decoding("beam", beams=5, length_penalty=0.0))

    def log_probability(written) -> float:
        labels = written.batch.labels.clamp_min(0).unsqueeze(-1)
        each = written.logits.log_softmax(-1).gather(-1, labels).squeeze(-1)
        return float(each[0][written.batch.labels[0] != IGNORED_LABEL].sum())

    assert log_probability(beam) >= log_probability(greedy) - 1e-4


def test_sampling_is_repeatable_and_leaves_the_global_random_state(tiny_t5: HookedEncoderDecoder) -> None:
    batch, state = random_batch(tiny_t5), torch.random.get_rng_state()
    once, again, other = (
        tiny_t5.generate(batch, "unembed.hook_out", Decoding("sampling", seed=seed), 8).batch.labels
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_edits_act_while_generating(bundled: HookedEncoderDecoder) -> None:
    source = "translate English to German: The dog is big."
    with bundled.hooks([("decoder.*.cross_attn.hook_z", lambda z, hook: torch.zeros_like(z))]):
        blind = bundled.generate(source, "decoder.0.cross_attn.hook_z")
    assert blind.cache["decoder.0.cross_attn.hook_z"].eq(0).all()
    assert blind.texts != bundled.generate(source, "unembed.hook_out").texts


def test_the_step_table_lists_candidates_the_choice_and_the_truth(bundled: HookedEncoderDecoder) -> None:
    source = "translate English to German: The dog is big."
    written = bundled.generate(source, "unembed.hook_out")
    truth = bundled.batch([source], ["Der Mann ist klein."])
    table = written.step_table(bundled.tokenizer, top=3, truth=truth)
    assert list(table.columns) == ["prompt", "step", "rank", "token_id", "token", "probability", "chosen", "true"]
    for step, rows in table.groupby("step"):
        assert rows["chosen"].sum() == 1
        assert rows.loc[rows["rank"] <= 3, "rank"].tolist() == [1, 2, 3]
        chosen = rows[rows["chosen"]].iloc[0]
        assert chosen["token_id"] == int(written.batch.labels[0, step])
        assert chosen["rank"] == 1
        expected = written.logits[0, step].double().softmax(-1)[chosen["token_id"]]
        assert chosen["probability"] == pytest.approx(float(expected))
    agree = 0
    while written.batch.labels[0, agree] == truth.labels[0, agree]:
        agree += 1
    assert table.loc[table["true"], "step"].tolist() == list(range(agree + 1))


@pytest.mark.parametrize(
    ("method", "ours", "hosts"),
    [
        ("greedy", {"repetition_penalty": 1.7}, {"repetition_penalty": 1.7}),
        ("greedy", {"no_repeat_ngram": 2}, {"no_repeat_ngram_size": 2}),
        ("beam", {"repetition_penalty": 1.7}, {"repetition_penalty": 1.7}),
        ("beam", {"no_repeat_ngram": 2}, {"no_repeat_ngram_size": 2}),
        ("beam", {"length_penalty": -9.0}, {"length_penalty": -9.0}),
    ],
)
def test_penalties_are_the_hosts(method: Method, ours: dict[str, Any], hosts: dict[str, Any]) -> None:
    model = tiny("v1.1", initializer_factor=3.0)
    batch = random_batch(model)
    beams = {"num_beams": 4, "early_stopping": True, "length_penalty": 1.0} if method == "beam" else {}
    read = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "max_new_tokens": 14}
    plain, wanted = (
        model.hf.generate(
            **read, **beams | settings, **{CACHE_FIELD: EncoderDecoderCache(DynamicCache(), DynamicCache())}
        )[:, 1:].tolist()
        for settings in ({}, hosts)
    )
    assert plain != wanted, "the penalty has nothing to change"
    found = model.generate(batch, "unembed.hook_out", Decoding(method, **ours), 14).batch
    for text, ids in zip(found.target_texts, wanted, strict=True):
        assert list(text.ids) == ids[: len(text.ids)]
        assert not any(ids[len(text.ids) :]), "no more than padding is left"


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "beam", "beams": 1},
        *({"method": "sampling", "temperature": bad} for bad in (0.0, math.nan, math.inf)),
        *({"method": "sampling", "top_p": bad} for bad in (0.0, math.nan, math.inf)),
    ],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(InputError, match=r"needs (at least 2 beams|temperature > 0)"):
        Decoding(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "sampling", "seed": -1}, "A seed is from 0"),
        ({"method": "sampling", "seed": 2**32}, "A seed is from 0"),
        ({"method": "sampling", "top_k": True}, "top_k of a `Decoding` is a whole number"),
        ({"method": "beam", "beams": True}, "beams of a `Decoding` is a whole number"),
    ],
)
def test_settings_of_another_kind_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Decoding(**settings)


def test_steps_are_known_by_their_place_and_not_by_their_logits() -> None:
    """A step whose logits are all zero is a step of the model's; what the caller began has none."""
    model = tiny("byt5")
    with torch.no_grad():
        model.module("unembed.hook_out").weight.zero_()
    written = model.generate(["ab", "ba"], max_new_tokens=3, target_prefix="cd")
    assert not written.logits.any()
    assert written.begun == 2
    table = written.step_table(model.tokenizer)
    assert sorted(table["step"].unique()) == [2, 3, 4]
    assert table["probability"].sub(1 / model.cfg.d_vocab).abs().max() < 1e-9
    frame = written.to_frame()
    assert frame["probability"].isna().tolist() == [True, True, False, False, False] * 2
    assert "begun with" in written._repr_html_()
    assert set(model.generate("ab", max_new_tokens=3).step_table(model.tokenizer)["step"]) == {0, 1, 2}
