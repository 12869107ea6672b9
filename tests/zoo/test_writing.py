"""What is written, and what was no choice: forced tokens, prefixes of targets, edits while writing, beams, lengths, lenses."""

from typing import Any

import pytest
import torch
from torch import Tensor

import interp
from analyses.logit_attribution.attribute import explain
from analyses.logit_attribution.observe import row_weights
from interp.attribution.lenses import decoder_lens_texts, lens_hooks
from interp.errors import InputError
from interp.model.generation import Decoding
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import knock_out, mean, patch, reference_means, zero
from interp.text.token_sets import answer, last, of_word
from tests.support.parity import relative_gap
from tests.support.zoo import ANIMALS, Home, reference

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

SOURCES = ["The old man sits on a wooden chair.", "A black cat is sleeping."]
FAMILIES = (
    "t5-added",
    "umt5-small",
    "byt5-small",
    "bart-large-cnn",
    "opus-mt-en-de",
    "mbart50-de",
    "pegasus-xsum",
    "m2m100-de",
    "nllb-de",
)
BEAM = Decoding("beam", beams=3)


@pytest.fixture
def model(request: pytest.FixtureRequest, home: Home) -> HookedEncoderDecoder:
    return interp.load(home(request.param), device="cpu")


def these(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("model", names, indirect=True)


# Forced tokens.


@these("bart-large-cnn", "mbart50-de", "nllb-de", "pegasus-xsum", "opus-mt-en-de")
@pytest.mark.parametrize("decoding", [Decoding(), BEAM], ids=["greedy", "beam"])
def test_forced_tokens_are_known(decoding: Decoding, model: HookedEncoderDecoder) -> None:
    """By the settings: a first token that is forced, and an end of sentence that is forced where the length ends a text."""
    settings, limit = model.hf.generation_config, 6
    written = model.generate(SOURCES, "unembed.hook_out", decoding, limit)
    for row, text in enumerate(written.batch.target_texts):
        first = settings.forced_bos_token_id is not None
        at_limit = len(text.ids) == limit and settings.forced_eos_token_id is not None
        assert written.forced[row, 0] == first
        assert written.forced[row, 1 : len(text.ids) - 1].eq(False).all()
        assert written.forced[row, len(text.ids) - 1] == at_limit
        if first:
            assert text.ids[0] == settings.forced_bos_token_id
        if at_limit:
            own = int(written.logits[row, limit - 1].argmax()) == model.cfg.eos_token_id
            assert text.ids[-1] == model.cfg.eos_token_id
            assert (row in written.batch.unfinished) != own


@these("t5-added", "bart-large-cnn", "nllb-de")
def test_rows_that_are_averaged_are_choices(model: HookedEncoderDecoder) -> None:
    written = model.generate(SOURCES, "unembed.hook_out", max_new_tokens=6).batch
    weights = row_weights(written)
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert not weights[written.forced_mask].any()
    assert not (answer(written) & written.forced_mask).any()
    given = model.batch(SOURCES, ["Ein Mann.", "Katze."])
    assert bool(given.forced_mask[:, 0].all()) == (model.hf.generation_config.forced_bos_token_id is not None)
    told = explain(model, SOURCES[0], "Ein Mann.")
    assert told.position == int(given.forced_mask[0].sum())
    only = model.generate(SOURCES, "unembed.hook_out", max_new_tokens=1).batch
    torch.testing.assert_close(row_weights(only), torch.ones(2, 1))


@these("t5-added")
def test_a_target_without_end_of_sentence_is_answer_to_its_end(model: HookedEncoderDecoder) -> None:
    written = model.generate(SOURCES, "unembed.hook_out", max_new_tokens=3).batch
    for row, text in enumerate(written.target_texts):
        assert answer(written)[row, : len(text.ids)].tolist() == [token != 1 for token in text.ids]


# Prefixes of targets.


@these(*FAMILIES)
@pytest.mark.parametrize("decoding", [Decoding(), BEAM], ids=["greedy", "beam"])
def test_a_text_that_was_begun_goes_on_as_on_the_host(
    decoding: Decoding, model: HookedEncoderDecoder, request: Any, home: Home
) -> None:
    name = request.node.callspec.params["model"]
    host, tokenizer = reference(ANIMALS[name], home(name))
    begun = tokenizer(text_target="Der Mann").input_ids
    begun = begun[: begun.index(model.cfg.eos_token_id, 1)]
    encoded = tokenizer(SOURCES, padding=True, return_tensors="pt")
    starts = torch.tensor([[model.cfg.decoder_start_token_id, *begun]] * 2)
    beams = {"num_beams": 3, "early_stopping": True, "length_penalty": 1.0} if decoding is BEAM else {"num_beams": 1}
    plain = host.generate(
        input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], decoder_input_ids=starts, do_sample=False,
        max_new_tokens=5, max_length=None, min_length=0, no_repeat_ngram_size=0, **beams,
    )  # fmt: skip
    kept = ["decoder.*", "encoder.hook_embed", "unembed.hook_out"]
    written = model.generate(SOURCES, kept, decoding, 5, target_prefix="Der Mann")
    eos = model.cfg.eos_token_id
    for row, text in enumerate(written.batch.target_texts):
        wanted = plain[row, 1:].tolist()
        end = wanted.index(eos, len(begun)) + 1 if eos in wanted[len(begun) :] else len(wanted)
        assert list(text.ids) == wanted[:end]
        assert text.forced[: len(begun)] == tuple(range(len(begun)))
    with torch.no_grad():
        logits, read = model.run_with_cache(written.batch, kept)
    rows = written.batch.target_mask.clone()
    for point, value in read.items():
        axes = model.hook_points()[point].axes
        got, wanted = written.cache[point], value
        if axes[-1] == "key" or axes[0] != "batch" or wanted.shape[:2] != rows.shape:
            continue
        assert relative_gap(got[rows], wanted[rows]) < 1e-4, point
    rows[:, : len(begun)] = False
    assert relative_gap(written.logits[rows], logits[rows]) < 1e-4
    assert not written.logits[:, : len(begun)].any()


@these("t5-added")
def test_prefixes_of_one_length_each_or_refused(model: HookedEncoderDecoder) -> None:
    written = model.generate(SOURCES, "unembed.hook_out", target_prefix=["Der", "Die"], max_new_tokens=3)
    alone = [model.generate(one, "unembed.hook_out", target_prefix=prefix, max_new_tokens=3).batch.target_texts[0].ids
             for one, prefix in zip(SOURCES, ["Der", "Die"], strict=True)]  # fmt: skip
    assert [text.ids for text in written.batch.target_texts] == alone
    with pytest.raises(InputError, match=r"target prefixes have .* tokens; .* one by one"):
        model.generate(SOURCES, target_prefix=["Der", "Der alte Mann im Garten"])
    with pytest.raises(InputError, match="2 sources and 1 target prefixes"):
        model.generate(SOURCES, target_prefix=["Der"])
    assert set(written.step_table(model.tokenizer)["step"]) == set(
        range(len(written.batch.target_texts[0].forced), written.batch.labels.shape[1])
    )


# Edits while writing.


@these("t5-added", "bart-large-cnn", "nllb-de", "opus-mt-en-de")
@pytest.mark.parametrize("decoding", [Decoding(), BEAM], ids=["greedy", "beam"])
@pytest.mark.parametrize("kind", ["knock out", "knock out all", "zero rows", "zero keys", "zero source"])
def test_edits_of_target_rows_act_step_by_step(kind: str, decoding: Decoding, model: HookedEncoderDecoder) -> None:
    """What is written under edits is what one teacher-forced pass with the same edits gives, on the same tokens."""
    given = model.batch(SOURCES, ["Ein Mann sitzt da", "Eine Katze schläft da"])
    rows = torch.zeros(2, 40, dtype=torch.bool)
    rows[:, 1:4] = True
    heads = ["XL0H1", "decoder.0.hook_mlp_out" if model.cfg.norm_place == "pre" else "DL0H0"]
    word = of_word(given, "source", "wooden") | of_word(given, "source", "black")

    def edits(width: int) -> list:
        kinds = {
            "knock out": lambda: knock_out("cross", range(2), rows[:, :width], word),
            "knock out all": lambda: knock_out("cross", range(2), None, word),
            "zero rows": lambda: zero(heads, rows[:, :width]),
            "zero keys": lambda: zero(["decoder.0.attn.hook_v"], rows[:, :width]),
            "zero source": lambda: zero(["decoder.1.cross_attn.hook_v", "EL0H1"], word),
        }
        return kinds[kind]()

    with model.hooks(edits(40)):
        written = model.generate(SOURCES, ["decoder.*.hook_resid_post", "unembed.hook_out"], decoding, 6)
    with torch.no_grad(), model.hooks(edits(written.batch.labels.shape[1])):
        logits = model(written.batch)
    mask = written.batch.target_mask
    assert relative_gap(written.logits[mask], logits[mask]) < 1e-4
    with torch.no_grad():
        assert not torch.allclose(model(written.batch)[mask], logits[mask], atol=1e-4), "the edit must do something"


@these("t5-added")
def test_edits_that_need_the_whole_text_are_refused(model: HookedEncoderDecoder) -> None:
    batch = model.batch(SOURCES, ["Ein Mann", "Eine Katze"])
    means = reference_means(model, [batch], ["XL0H1", "EL0H1"])
    with model.hooks(mean(["XL0H1"], means, batch)), pytest.raises(InputError, match="which position is the last"):
        model.generate(SOURCES)
    with model.hooks(mean(["EL0H1"], means, batch)):
        free = model.generate(SOURCES, "unembed.hook_out", BEAM, 4)
    with torch.no_grad(), model.hooks(mean(["EL0H1"], means, batch)):
        logits = model(free.batch)
    assert relative_gap(free.logits[free.batch.target_mask], logits[free.batch.target_mask]) < 1e-4
    _, cache = model.run_with_cache(batch)
    with model.hooks(patch(["XL0H1"], cache)), pytest.raises(InputError, match="and the text being written has"):
        model.generate(SOURCES, max_new_tokens=30)
    with (
        model.hooks(zero(["XL0H1"], last(batch, "target")[:1])),
        pytest.raises(InputError, match="from the batch that is"),
    ):
        model.generate(SOURCES)


# Beams.


@these("t5-added", "nllb-de")
def test_all_hypotheses_have_the_hosts_scores(model: HookedEncoderDecoder, request: Any, home: Home) -> None:
    name = request.node.callspec.params["model"]
    host, tokenizer = reference(ANIMALS[name], home(name))
    encoded = {
        key: value
        for key, value in tokenizer(SOURCES, padding=True, return_tensors="pt").items()
        if key in ("input_ids", "attention_mask")
    }
    plain = host.generate(
        **encoded, num_beams=3, num_return_sequences=3, early_stopping=True, length_penalty=1.0, max_new_tokens=5,
        max_length=None, do_sample=False, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    written = model.generate(SOURCES, "unembed.hook_out", BEAM, 5)
    found = [kept for prompt in written.hypotheses for kept in prompt]
    assert [kept.score for kept in found] == pytest.approx(plain.sequences_scores.tolist(), abs=1e-5)
    for kept, wanted in zip(found, plain.sequences[:, 1:].tolist(), strict=True):
        assert list(kept.text.ids) == wanted[: len(kept.text.ids)]
    assert [prompt[0].text.ids for prompt in written.hypotheses] == [text.ids for text in written.batch.target_texts]


@pytest.mark.parametrize("wrong", [{"top_k": 5}, {"method": "beam", "temperature": 0.5}, {"beams": 3}, {"seed": 1}])
def test_choices_of_another_method_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="would be ignored"):
        Decoding(**wrong)


# Settings, lenses, lengths.


@these("bart-large-cnn", "bart-base", "opus-mt-en-mul", "pegasus-xsum", "t5-added")
def test_the_last_depth_of_decoder_lens_writes_what_the_model_writes(model: HookedEncoderDecoder) -> None:
    """A checkpoint's own settings (no repeated trigrams, at least 56 tokens) are none of the lens's."""
    batch = model.generate(SOURCES, "unembed.hook_out", max_new_tokens=9).batch
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, lens_hooks(model, "encoder"))
        depths = decoder_lens_texts(model, batch, cache, max_new_tokens=9)
    assert len(depths) == model.cfg.n_encoder_layers + 1
    assert [text.ids for text in depths[-1]] == [text.ids for text in batch.target_texts]


@these("t5-added")
def test_settings_of_a_checkpoint_do_not_act_unseen(model: HookedEncoderDecoder) -> None:
    plain = model.batch(SOURCES, max_new_tokens=12).labels.tolist()
    own = model.hf.generation_config
    own.update(
        repetition_penalty=5.0, encoder_no_repeat_ngram_size=1, renormalize_logits=True, min_length=9, num_beams=3
    )
    assert model.batch(SOURCES, max_new_tokens=12).labels.tolist() == plain
    forbidden = plain[0][0]
    own.update(suppress_tokens=[forbidden])
    assert forbidden not in model.batch(SOURCES, max_new_tokens=12).labels[0].tolist()
    assert model.hf.generation_config is own


def test_a_longer_limit_is_the_callers_choice(
    home: Home, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    text = "The cat sleeps. " * 300
    with caplog.at_level("WARNING", logger="transformers"):
        with pytest.raises(InputError, match=r"the limit is 512 .*--max-length \(max_length of `load`\)"):
            interp.load(home("t5-added"), device="cpu").batch(text, "x")
        model = interp.load(home("t5-added"), device="cpu", max_length=5000)
        assert model.batch(text, "x").input_ids.shape[1] > 512
    assert not caplog.records, "the host's word about indexing errors is not true of relative positions"
    with pytest.raises(InputError, match="1024, the positions that this model has"):
        interp.load(home("bart-base"), device="cpu", max_length=5000)


def test_the_bundled_model_has_no_forced_token(bundled: HookedEncoderDecoder) -> None:
    written = bundled.generate("translate English to German: The dog sleeps.", "unembed.hook_out")
    assert not written.forced.any()
    assert isinstance(written.forced, Tensor)
