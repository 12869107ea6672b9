"""Hard plantings: buckets, halves, short and repeated texts, rare marks, other families; exactly the planted roles, no others."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

from analyses.head_specialization.measure.nulls import observe_nulls, permuted_model, read_null, shuffled_batch
from analyses.head_specialization.present.section import present
from analyses.head_specialization.roles.comparison import Comparison, judge_all
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights
from interp.text.batch import Batch, collate
from interp.text.words import EOS, PREFIX
from tests.support.planted_heads import (
    FIRST,
    PREFIX_IDS,
    PUNCTUATION_ID,
    QUICK,
    SENTINEL_ID,
    SHARP,
    VOCAB,
    WORDS,
    Garden,
    atlas,
    garden,
    observed,
    planted_batch,
    planted_roles,
    text,
)

pytestmark = pytest.mark.slow

LETTERS = {"encoder": "E", "decoder": "D", "cross": "X"}


def short_batch(model: HookedEncoderDecoder, lengths=(3, 4, 5, 6, 3, 5, 4, 6), prefix=True, **given) -> Batch:
    """Texts of a few words, no two alike."""
    generator = torch.Generator().manual_seed(5)
    sources, targets = [], []
    for length in lengths:
        order = (torch.randperm(len(WORDS) - 1, generator=generator) + WORDS[0]).tolist()
        source = (*PREFIX_IDS, *order[:length]) if prefix else tuple(order[:length])
        sources.append(text((*source, *given.get("mark", (PUNCTUATION_ID,)), 1)))
        targets.append(text((*order[20 : 20 + length], 1)))
    return collate(sources, targets, model.cfg, model.hf._shift_right, "given")


@pytest.mark.parametrize(
    ("kind", "bucket", "role"),
    [
        ("encoder", 1, "previous token"),
        ("encoder", 17, "next token"),
        ("encoder", 0, "current token"),
        ("encoder", 2, "offset -2"),
        ("decoder", 1, "previous token"),
        ("decoder", 0, "current token"),
    ],
)
def test_positional_heads_are_found_in_texts_of_a_few_words(kind, bucket, role):
    plot = garden()
    plot.bias(kind, 1, bucket)
    model = plot.hooked()
    depth = 2 if kind == "encoder" else 3
    expected = {f"{LETTERS[kind]}L{layer}H1": [role] for layer in range(depth)}
    assert planted_roles(model, short_batch(model)) == expected


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_sinks_are_found_where_no_mass_could_have_a_lift_of_five(kind, prefix):
    plot = garden()
    plot.find_tokens(kind, 1, 3, (1,))
    model = plot.hooked()
    batch = short_batch(model, lengths=(1, 2, 1, 3, 2, 1), prefix=prefix)
    assert planted_roles(model, batch) == {f"{LETTERS[kind]}L1H3": ["EOS sink"]}


def test_a_head_over_one_bucket_of_four_distances_sits_at_none_of_them():
    plot = garden()
    plot.bias("encoder", 2, 8)
    model = plot.hooked()
    assert planted_roles(model, planted_batch(model)) == {}


def test_a_head_that_halves_its_mass_between_both_neighbors_is_named_as_a_mixture():
    plot = garden()
    for bucket in (1, 17):
        plot.bias("encoder", 2, bucket)
    plot.bias("decoder", 0, 0)
    plot.bias("decoder", 0, 1)
    model = plot.hooked()
    found = planted_roles(model, planted_batch(model))
    expected = {"EL0H2": ("previous token", "next token"), "EL1H2": ("previous token", "next token")}
    expected |= {f"DL{layer}H0": ("previous token", "current token") for layer in range(3)}
    assert set(found) == set(expected)
    section = present(atlas(model, planted_batch(model), QUICK.model_copy(update={"similarity": "all"}), twins=1))
    frame = next(block.frame for block in section.blocks if getattr(block, "name", "") == "head-roles")
    assert frame["role"].str.startswith("mixture").all()
    for head, parts in expected.items():
        [label] = found[head]
        assert label.startswith("mixture")
        assert all(part in label for part in parts), label


def test_a_flat_head_with_one_argmax_in_every_row_has_no_role():
    plot = garden()
    # A bias of 0.05: entropy 0.9999, mass a few per mille above chance, argmax always there (Voita et al. 2019 would say 1.00).
    plot.hf.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data[1, 2] = 0.05
    plot.hf.decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data[1, 1] = 0.05
    model = plot.hooked()
    assert planted_roles(model, planted_batch(model)) == {}


def test_a_target_of_one_word_cannot_tell_the_previous_from_the_first_token():
    plot = garden()
    plot.bias("decoder", 1, 1)
    model = plot.hooked()
    generator = torch.Generator().manual_seed(3)
    sources, targets = [], []
    for _ in range(12):
        order = (torch.randperm(len(WORDS), generator=generator) + WORDS[0]).tolist()
        sources.append(text((*PREFIX_IDS, *order[:9], 1)))
        targets.append(text((order[20], 1)))
    batch = collate(sources, targets, model.cfg, model.hf._shift_right, "given")
    assert planted_roles(model, batch) == {}


def test_two_equal_heads_get_equal_roles_and_two_different_ones_their_own():
    plot = garden()
    plot.bias("encoder", 0, 2)
    plot.find_tokens("cross", 0, 1, (1,))
    plot.find_tokens("cross", 2, 1, (1,))
    plot.find_tokens("cross", 2, 2, PREFIX_IDS)
    plot.same_token("decoder", 1, 3)
    model = plot.hooked()
    assert planted_roles(model, planted_batch(model)) == {
        "EL0H0": ["offset -2"],
        "EL1H0": ["offset -2"],
        "DL1H3": ["duplicate token"],
        "XL0H1": ["EOS sink"],
        "XL2H1": ["EOS sink"],
        "XL2H2": ["prefix head"],
    }


@pytest.mark.parametrize("kind", ["encoder", "cross"])
@pytest.mark.parametrize(("token", "role"), [(SENTINEL_ID, "sentinel sink"), (PUNCTUATION_ID, "punctuation sink")])
def test_sinks_of_marks_that_not_every_text_has(kind, token, role):
    plot = garden()
    plot.find_tokens(kind, 1, 2, (token,))
    model = plot.hooked()
    generator = torch.Generator().manual_seed(2)
    sources, targets = [], []
    for prompt in range(12):
        order = (torch.randperm(len(WORDS) - 1, generator=generator) + WORDS[0]).tolist()
        words = order[: 6 + prompt]
        marked = [*words[:3], token, *words[3:]] if prompt % 3 == 0 else words
        sources.append(text((*PREFIX_IDS, *marked, 1), sentinel=True))
        targets.append(text((*order[:9], 1)))
    batch = collate(sources, targets, model.cfg, model.hf._shift_right, "given")
    assert planted_roles(model, batch) == {f"{LETTERS[kind]}L1H2": [role]}


def test_a_text_given_many_times_is_one_observation():
    plot = garden()
    plot.bias("decoder", 1, 1)
    model = plot.hooked()
    batch = planted_batch(model, prompts=4)
    one = collate(batch.source_texts[:1] * 8, batch.target_texts[:1] * 8, model.cfg, model.hf._shift_right, "given")
    assert planted_roles(model, one) == {}
    many = collate(batch.source_texts * 2, batch.target_texts * 2, model.cfg, model.hf._shift_right, "given")
    assert planted_roles(model, many) == {f"DL{layer}H1": ["previous token"] for layer in range(3)}


def test_a_cross_head_that_looks_after_the_copy_of_its_token_is_an_induction_head():
    plot = garden()
    plot.remember_previous("encoder", 2)
    plot.match("cross", 1, 0, 0, 1)
    model = plot.hooked()
    expected = {"EL0H2": ["previous token"], "EL1H2": ["previous token"], "XL1H0": ["induction"]}
    assert planted_roles(model, planted_batch(model)) == expected


def straight(model: HookedEncoderDecoder) -> tuple[Batch, dict[str, str], dict[int, int]]:
    """Every target word is the translation of the source word at the same place, so the diagonal is right everywhere."""
    half = len(WORDS) // 2
    english, german = list(WORDS)[:half], list(WORDS)[half : 2 * half]
    generator = torch.Generator().manual_seed(4)
    sources, targets, links = [], [], {}
    for length in (6, 9, 7, 12, 8, 10, 5, 11):
        order = torch.randperm(half, generator=generator)[:length].tolist()
        sources.append(text((*PREFIX_IDS, *(english[place] for place in order), 1)))
        targets.append(text((*(german[place] for place in order), 1)))
        links[sources[-1].text] = " ".join(f"{place}-{place}" for place in range(length))
    batch = collate(sources, targets, model.cfg, model.hf._shift_right, "given")
    return batch, links, dict(zip(german, english, strict=True))


def test_a_head_that_follows_a_straight_alignment_is_found_although_the_diagonal_is_as_good():
    plot = garden()
    batch, links, pairs = straight(plot.hooked())
    plot.follow(2, 3, pairs)
    settings = QUICK.model_copy(update={"links": links})
    assert planted_roles(plot.hooked(), batch, settings) == {"XL2H3": ["alignment at the input step"]}


def gated_untied(layers: int, decoder_layers: int) -> Garden:
    """T5 1.1: gated feed-forward, an unembedding of its own, unequal depths."""
    plot = garden(layers, decoder_layers, heads=5, feed_forward_proj="gated-gelu")
    head = torch.nn.Linear(plot.hf.config.d_model, VOCAB, bias=False).requires_grad_(False)
    head.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    plot.hf.lm_head = head
    return plot


@pytest.mark.parametrize(("layers", "decoder_layers"), [(4, 1), (1, 3)])
def test_gated_untied_models_of_unequal_depths(layers, decoder_layers):
    plot = gated_untied(layers, decoder_layers)
    plot.bias("encoder", 4, 17)
    plot.same_token("decoder", decoder_layers - 1, 0)
    plot.find_tokens("cross", decoder_layers - 1, 2, (FIRST,))
    model = plot.hooked()
    assert not model.tied_embeddings
    expected = {f"EL{layer}H4": ["next token"] for layer in range(layers)}
    expected |= {f"DL{decoder_layers - 1}H0": ["duplicate token"], f"XL{decoder_layers - 1}H2": ["first-token sink"]}
    assert planted_roles(model, planted_batch(model)) == expected


def test_layers_with_a_bias_of_their_own():
    """UMT5: one table a layer, so a planted bias shows in its layer alone."""
    config = UMT5Config(
        vocab_size=VOCAB,
        d_model=2 * VOCAB + 8,
        d_kv=64,
        d_ff=12,
        num_layers=3,
        num_decoder_layers=2,
        num_heads=4,
        dropout_rate=0.0,
    )
    hf = UMT5ForConditionalGeneration(config).eval().requires_grad_(False)
    for name, parameter in hf.named_parameters():
        if "norm" not in name:
            parameter.data.zero_()
    hf.shared.weight.data[:, :VOCAB] = torch.eye(VOCAB)
    hf.encoder.block[1].layer[0].SelfAttention.relative_attention_bias.weight.data[1, 2] = SHARP
    hf.decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data[2, 1] = SHARP
    model = HookedEncoderDecoder(hf)
    assert planted_roles(model, planted_batch(model)) == {"EL1H2": ["previous token"], "DL0H1": ["offset -2"]}


def rarity_garden() -> tuple[HookedEncoderDecoder, Batch]:
    """A unigram tokenizer of 900 pieces of known frequency, and heads that look for the rarest piece by its own dimension."""
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((f"▁w{number}", -2.0 - number / 50) for number in range(900)),
    ]
    backend = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = T5Config(
        vocab_size=len(pieces), d_model=16, d_kv=8, d_ff=8, num_layers=2, num_decoder_layers=2, num_heads=3, dropout_rate=0.0,
        decoder_start_token_id=0,
    )  # fmt: skip
    hf = T5ForConditionalGeneration(config).eval().requires_grad_(False)
    for name, parameter in hf.named_parameters():
        if "norm" not in name:
            parameter.data.zero_()
    # Constant length of every embedding, so that the norm keeps the order of the rarity dimension.
    rarity = torch.linspace(0.0, 1.0, len(pieces))
    rarity[:3] = 0.0
    hf.shared.weight.data[:, 0] = 1.0
    hf.shared.weight.data[:, 1] = rarity
    hf.shared.weight.data[:, 2] = (2.0 - rarity.square()).sqrt()
    for module, head in (
        (hf.encoder.block[1].layer[0].SelfAttention, 1),
        (hf.decoder.block[0].layer[1].EncDecAttention, 2),
    ):
        module.q.weight.data[8 * head, 0] = 1.0
        module.k.weight.data[8 * head, 1] = 4000.0
    generator = torch.Generator().manual_seed(6)
    sources, targets = [], []
    for length in (7, 12, 9, 15, 10, 8, 13, 11):
        ids = (torch.randperm(900, generator=generator)[:length] + 3).tolist()
        sources.append(text((*ids, 1)))
        targets.append(text((*(torch.randperm(900, generator=generator)[:9] + 3).tolist(), 1)))
    model = HookedEncoderDecoder(hf, tokenizer)
    return model, collate(sources, targets, model.cfg, model.hf._shift_right, "given")


def test_heads_that_look_for_the_rarest_piece():
    model, batch = rarity_garden()
    assert planted_roles(model, batch) == {"EL1H1": ["rare token"], "XL0H2": ["rare token"]}
    arrays = observed(model, batch, QUICK).prompts
    assert (arrays["encoder.rarity_correlation"][:, 1, 1] > 0.2).all()
    assert np.isnan(arrays["encoder.norm_correlation"]).all()


def test_permuted_weights_stay_within_their_head_and_keep_embeddings_and_bias():
    plot = garden()
    plot.bias("encoder", 0, 17)
    plot.same_token("decoder", 1, 3)
    model = plot.hooked()
    other = permuted_model(model, seed=0)
    for head in range(4):
        mine, theirs = (attention_weights(each, "decoder", 1).W_Q[head] for each in (model, other))
        torch.testing.assert_close(mine.flatten().sort().values, theirs.flatten().sort().values)
    assert not torch.equal(attention_weights(model, "decoder", 1).W_Q[3], attention_weights(other, "decoder", 1).W_Q[3])
    for name, parameter in other.hf.named_parameters():
        if "relative" in name or "shared" in name or "norm" in name:
            torch.testing.assert_close(parameter, dict(model.hf.named_parameters())[name])


def test_shuffled_texts_keep_their_tokens_and_what_frames_them(tiny_batch):
    mixed = shuffled_batch(tiny_batch, torch.Generator().manual_seed(0))
    frame = torch.isin(tiny_batch.source_categories, torch.tensor([PREFIX, EOS])) | ~tiny_batch.source_mask
    torch.testing.assert_close(mixed.input_ids[frame], tiny_batch.input_ids[frame])
    torch.testing.assert_close(mixed.input_ids.sort(1).values, tiny_batch.input_ids.sort(1).values)
    torch.testing.assert_close(mixed.decoder_input_ids[:, 0], tiny_batch.decoder_input_ids[:, 0])
    assert not torch.equal(mixed.input_ids, tiny_batch.input_ids)
    pairs = {
        (int(i), int(c))
        for i, c in zip(tiny_batch.input_ids.flatten(), tiny_batch.source_categories.flatten(), strict=True)
    }
    assert pairs == {
        (int(i), int(c)) for i, c in zip(mixed.input_ids.flatten(), mixed.source_categories.flatten(), strict=True)
    }


def test_a_role_of_the_bias_survives_both_nulls_and_a_role_of_content_does_not_survive_permuted_weights():
    plot = garden()
    plot.bias("encoder", 0, 17)
    plot.find_tokens("cross", 2, 1, (1,))
    model = plot.hooked()
    batch = planted_batch(model)
    settings = QUICK.model_copy(update={"nulls": ("permuted", "shuffled")})
    own = observed(model, batch, QUICK)
    found = observe_nulls(model, [batch], settings)
    against = Comparison((), read_null(found, "permuted"), read_null(found, "shuffled"))
    labels = {str(label.head): label for label in judge_all(own, settings, 0, against).labels}
    assert set(labels) == {"EL0H0", "EL1H0", "XL2H1"}
    assert labels["EL0H0"].permuted > 0.9
    assert labels["EL0H0"].shuffled > 0.9
    assert labels["XL2H1"].permuted < 0.3
    assert labels["XL2H1"].shuffled > 0.9
    assert np.isnan(labels["XL2H1"].control)
