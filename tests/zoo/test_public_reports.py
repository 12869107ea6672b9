"""Public reports of faults in this field, each held against this package with the right value.

Every test names the report. The reference is plain transformers, or what the report says should happen.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import interp
from analyses.logit_attribution.attribute import explain
from interp.attribution import decompose, decomposition_hooks, logit_difference
from interp.attribution.logit_readout import label_tokens, runner_up
from interp.hooks.hook_point import HookPoint
from interp.model.generation import Decoding
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import zero
from interp.text.token_sets import last
from interp.text.tokenized_text import Text
from interp.text.words import CATEGORIES
from tests.support.parity import relative_gap
from tests.support.zoo import ANIMALS, ENGLISH, GERMAN, Home, reference

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")]

ONE_OF_EACH = (
    "t5-v1_1-small", "mt5-small", "byt5-small", "umt5-small", "bart-base", "mbart50-de", "opus-mt-en-de", "pegasus-xsum",
    "m2m100-de", "nllb-de",
)  # fmt: skip
WITHOUT_OFFSETS = ("opus-mt-en-de", "m2m100-de")
ANY_SPELLING = ("t5-v1_1-small", "mt5-small", "mbart50-de", "pegasus-xsum", "nllb-de", *WITHOUT_OFFSETS)


def words_of(text: Text) -> list[str | None]:
    """The word of every piece."""
    return [None if index < 0 else text.words[index] for index in text.word_of_token]


def spelled(text: Text) -> dict[str, str]:
    """Every word with its pieces put together."""
    found: dict[str, str] = {}
    for piece, word in zip(text.pieces, words_of(text), strict=True):
        if word is not None:
            found[word] = found.get(word, "") + piece.lstrip("▁")
    return found


@pytest.mark.parametrize("name", ANY_SPELLING)
def test_a_piece_that_is_a_space_alone_belongs_to_the_word_it_begins(name: str, load: Callable) -> None:
    """huggingface/transformers#9633: `▁` before `a` had the offsets of `a`; alone it is no punctuation and not without word."""
    text = load(name).batch(["A man on a chair."], ["x"]).source_texts[0]
    words = words_of(text)
    for place, piece in enumerate(text.pieces[:-1]):
        if piece == "▁":
            assert words[place] == words[place + 1] is not None, (text.pieces, words)
            assert CATEGORIES[text.category_of_token[place]] != "punctuation"


@pytest.mark.parametrize("name", ANY_SPELLING)
@pytest.mark.parametrize("mark", ["…", "，", "\u202f……", "\u00a0", "“"])
def test_words_behind_a_mark_that_the_tokenizer_rewrites_keep_their_pieces(
    mark: str, name: str, load: Callable
) -> None:
    """huggingface/transformers#12867, huggingface/tokenizers#663: normalized punctuation shifts everything behind it."""
    text = load(name).batch([f"The cat{mark} sleeps on the chair."], ["x"]).source_texts[0]
    found = spelled(text)
    for word in ("sleeps", "on", "the", "chair"):
        assert found.get(word) == word, (text.pieces, words_of(text))


@pytest.mark.parametrize("space", ["\n", "\t", "  ", " \n "])
@pytest.mark.parametrize("name", ANY_SPELLING)
def test_white_space_that_a_tokenizer_swallows_changes_no_word(name: str, space: str, load: Callable) -> None:
    """huggingface/transformers#6150: newlines, tabs and further spaces leave no piece."""
    text = load(name).batch([f"The cat{space}sleeps on{space}the chair."], ["x"]).source_texts[0]
    found = spelled(text)
    assert {word: found.get(word) for word in ("sleeps", "on", "the", "chair")} == {
        word: word for word in ("sleeps", "on", "the", "chair")
    }


def test_added_tokens_are_marks_and_their_neighbors_keep_their_words(load: Callable) -> None:
    """huggingface/transformers#26101, #26543: an added token changes how its neighbors are cut."""
    text = load("t5-added").batch(["The covid19 man <sep> the chair<table>in the garden."], ["x"]).source_texts[0]
    kinds = dict(zip(text.pieces, (CATEGORIES[one] for one in text.category_of_token), strict=True))
    found = spelled(text)
    assert found["covid19"] == "covid19"
    assert kinds["covid19"] == "content", "an ordinary added token is a word"
    assert kinds["<sep>"] == kinds["<table>"] == "prefix", "an added special token is a mark"
    assert not {"sep", "table", "<", ">"} & set(text.words)
    assert {word: found.get(word) for word in ("chair", "garden")} == {"chair": "chair", "garden": "garden"}


def test_marian_writes_words_and_no_meta_spaces(home: Home, load: Callable) -> None:
    """huggingface/transformers#10294, #26018: source and target have SentencePiece models of their own."""
    model = load("opus-mt-en-de")
    _, tokenizer = reference(ANIMALS["opus-mt-en-de"], home("opus-mt-en-de"))
    batch = model.batch(list(ENGLISH), list(GERMAN))
    assert [text.text for text in batch.source_texts] == list(ENGLISH)
    written = model.generate(list(ENGLISH), "unembed.hook_out", max_new_tokens=8)
    for text in written.batch.target_texts:
        assert "▁" not in text.text
        assert text.text == tokenizer.decode(text.ids, skip_special_tokens=True)


def test_marian_reads_targets_with_the_models_own_target_pieces(home: Home, load: Callable) -> None:
    """jessevig/bertviz#106: decoder ids were made with the source's SentencePiece model."""
    _, tokenizer = reference(ANIMALS["opus-mt-en-de"], home("opus-mt-en-de"))
    batch = load("opus-mt-en-de").batch(list(ENGLISH), list(GERMAN))
    for text, german in zip(batch.target_texts, GERMAN, strict=True):
        assert list(text.ids) == tokenizer(text_target=german).input_ids != tokenizer(german).input_ids


@pytest.mark.parametrize("method", ["greedy", "beam"])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_prompt_is_written_alike_alone_and_in_a_batch(name: str, method: str, load: Callable) -> None:
    """TransformerLensOrg/TransformerLens#1005: padding was attended to while a batch was generated."""
    model, decoding = load(name), Decoding("beam", beams=3) if method == "beam" else Decoding()
    sources = [ANIMALS[name].prefix + source for source in (ENGLISH[0], "A cat.")]
    together = model.generate(sources, "unembed.hook_out", decoding, max_new_tokens=8)
    for row, source in enumerate(sources):
        alone = model.generate([source], "unembed.hook_out", decoding, max_new_tokens=8)
        assert together.batch.target_texts[row].ids == alone.batch.target_texts[0].ids


@pytest.mark.parametrize("name", ["bundled", "byt5-small", "bart-base", "nllb-de"])
def test_steps_of_beam_search_are_those_of_the_text_that_won(name: str, load: Callable) -> None:
    """huggingface/transformers#19591, #21374: beams go on after the best text has ended, and rows change at every step."""
    model = interp.load(device="cpu") if name == "bundled" else load(name)
    sources = [f"translate English to German: {source}" for source in (*ENGLISH, "Yes.")]
    kept = ["decoder.*.cross_attn.hook_pattern", "decoder.*.hook_resid_post"]
    written = model.generate(sources, kept, Decoding(method="beam", beams=4), max_new_tokens=12)
    with torch.no_grad():
        _, read = model.run_with_cache(written.batch, kept)
    rows = written.batch.target_mask
    for point, value in read.items():
        got, wanted = (one if "resid" in point else one.transpose(1, 2) for one in (written.cache[point], value))
        assert relative_gap(got[rows], wanted[rows]) < 1e-4, point


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_contributions_are_those_of_the_prompt_alone(name: str, load: Callable) -> None:
    """inseq-team/inseq#110: attributions of a text changed with the other texts of its batch."""
    model = load(name)
    sources = [ANIMALS[name].prefix + source for source in (ENGLISH[0], "A cat.")]
    targets = [GERMAN[0], "Katze."]
    together = contributions(model, sources, targets)
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone = contributions(model, [source], [target])
        width = alone.shape[1]
        torch.testing.assert_close(together[row, :width], alone[0], atol=2e-4, rtol=1e-3)


def contributions(model: HookedEncoderDecoder, sources: list[str], targets: list[str]) -> Tensor:
    """What every component contributes to the label's lead over token 5, [batch target component]."""
    batch = model.batch(sources, targets)
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, decomposition_hooks(model.cfg))
        tokens = label_tokens(batch)
        readout = logit_difference(model, logits, tokens, torch.full_like(tokens, 5))
        return decompose(model, cache, readout).values


@pytest.mark.parametrize("resized", [False, True])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_an_edit_of_the_encoders_embedding_is_none_of_the_decoders(name: str, resized: bool, home: Home) -> None:
    """meta-pytorch/captum#904: the layer was taken to be called once; after a resize both stacks have one and the same module."""
    animal = ANIMALS[name]
    (host, _), (wrapped, tokenizer) = reference(animal, home(name)), reference(animal, home(name))
    if resized:
        rows = host.config.vocab_size + 1
        for one in (host, wrapped):
            one.resize_token_embeddings(rows, mean_resizing=False)
        host.load_state_dict(wrapped.state_dict())
    model = HookedEncoderDecoder(wrapped, tokenizer)
    batch = model.batch(animal.texts(), list(animal.targets))
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, ["encoder.hook_embed", "decoder.hook_embed"])
        assert cache["encoder.hook_embed"].shape[1] == batch.input_ids.shape[1]
        fields = {key: batch[key] for key in ("attention_mask", "decoder_input_ids", "decoder_attention_mask")}
        wanted = host(inputs_embeds=cache["encoder.hook_embed"] / 2, **fields).logits
        with model.hooks([("encoder.hook_embed", lambda embedded, hook: embedded / 2)]):
            got, edited = model.run_with_cache(batch, "decoder.hook_embed")
    assert torch.equal(edited["decoder.hook_embed"], cache["decoder.hook_embed"])
    assert relative_gap(got[batch.target_mask], wanted[batch.target_mask]) < 1e-5


@pytest.mark.parametrize("name", ["t5-added", "t5-v1_1-small", "bart-base"])
def test_tokens_added_to_a_loaded_model_have_logits_and_contributions(name: str, home: Home) -> None:
    """huggingface/transformers#8706, adapter-hub/adapters#557: the unembedding did not grow with the embedding."""
    host, tokenizer = reference(ANIMALS[name], home(name))
    tokenizer.add_tokens(["zweihundert"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        host.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    added = tokenizer.convert_tokens_to_ids("zweihundert")
    model = HookedEncoderDecoder(host, tokenizer)
    source = ANIMALS[name].texts()[0]
    told = explain(model, source, "zweihundert", position=1 if name == "bart-base" else 0)
    assert told.label == "zweihundert"
    encoded = dict(tokenizer(source, text_target="zweihundert", return_tensors="pt"))
    with torch.no_grad():
        logits = host(**encoded).logits[0, told.position]
    assert logits.shape == (len(tokenizer),)
    order = logits.argsort(descending=True).tolist()
    best = next(token for token in order if token != added and model.named_rows[token])
    assert told.difference == pytest.approx(float(logits[added] - logits[best]), abs=1e-4)
    assert float(told.components["contribution"].sum()) == pytest.approx(told.difference, abs=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["t5-added", "byt5-small", "bart-base"])
def test_half_precision_is_explained_with_its_gap(name: str, dtype: str, home: Home) -> None:
    """huggingface/transformers#34264: T5 keeps its last projections in float32 whatever the rest is in."""
    animal = ANIMALS[name]
    model = interp.load(home(name), device="cpu", dtype=dtype)
    told = explain(model, animal.texts()[0], animal.targets[0], position=1)
    assert float(told.components["contribution"].sum()) == pytest.approx(told.difference, abs=0.2)
    assert told.gap > 0


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_decoder_row_sees_nothing_behind_it(name: str, load: Callable) -> None:
    """huggingface/transformers#10484, #15734: a row of T5's decoder changed with a later token of its input."""
    model, animal = load(name), ANIMALS[name]
    batch = model.batch(animal.texts(), list(animal.targets))
    changed = batch.decoder_input_ids.clone()
    changed[:, 5:] = 7
    fields = {key: batch[key] for key in ("input_ids", "attention_mask", "decoder_attention_mask")}
    with torch.no_grad():
        before = model({**fields, "decoder_input_ids": batch.decoder_input_ids})
        after, cache = model.run_with_cache({**fields, "decoder_input_ids": changed}, "decoder.*.attn.hook_pattern")
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])
    for pattern in cache.values():
        assert not pattern.triu(1).any()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_cross_attention_has_no_position_bias(name: str, load: Callable) -> None:
    """huggingface/transformers#7323, #8518: T5's cross-attention once had one."""
    model, animal = load(name), ANIMALS[name]
    batch = model.batch(animal.texts(), list(animal.targets))
    points = [f"decoder.1.cross_attn.hook_{leaf}" for leaf in ("q", "k", "attn_scores")]
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, points)
    q, k, scores = (cache[point] for point in points)
    product = torch.einsum("bqhd,bkhd->bhqk", q, k) * model.cfg.attention_scale("cross")
    seen = batch.source_mask[:, None, None, :].expand_as(scores)
    torch.testing.assert_close(scores[seen], product[seen], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_positions_are_chosen_on_the_axis_of_positions(name: str, load: Callable) -> None:
    """decoderesearch/circuit-tracer#88, #105: a mask of positions was put on the axis of prompts."""
    model, animal = load(name), ANIMALS[name]
    batch = model.batch([*animal.texts(), animal.prefix + "A cat."], [*animal.targets, "Katze."])
    chosen = last(batch, "source")
    seen: dict[str, Tensor] = {}

    def look(z: Tensor, hook: HookPoint) -> None:
        seen[hook.name] = z.clone()

    with torch.no_grad():
        _, clean = model.run_with_cache(batch, "encoder.0.attn.hook_z")
        with model.hooks([*zero(["EL0H1"], chosen), ("encoder.0.attn.hook_z", look)]):
            model(batch)
    z, before = seen["encoder.0.attn.hook_z"], clean["encoder.0.attn.hook_z"]
    assert not z[:, :, 1][chosen].any()
    assert torch.equal(z[:, :, 1][~chosen], before[:, :, 1][~chosen])
    others = [head for head in range(z.shape[2]) if head != 1]
    assert torch.equal(z[:, :, others], before[:, :, others])


def test_a_runner_up_is_never_a_row_without_a_piece(load: Callable) -> None:
    """google-research/text-to-text-transfer-transformer#390 and its kind: tables are longer than vocabularies."""
    model, animal = load("t5-small"), ANIMALS["t5-small"]
    batch = model.batch(animal.texts(), list(animal.targets))
    with torch.no_grad():
        logits = model(batch)
    assert (logits.argmax(-1) >= len(model.tokenizer)).any(), "the animal must tempt"
    assert (runner_up(model, logits, label_tokens(batch)) < len(model.tokenizer)).all()
