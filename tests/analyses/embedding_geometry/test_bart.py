"""The geometry on BART's family: spaces against the host's own states, what a section says by attribute, words behind `Ġ`."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from analyses.core.contract import Pass
from analyses.embedding_geometry import ANALYSIS, EmbeddingGeometry, GeometrySettings, summarize
from analyses.embedding_geometry.examine import examine
from analyses.embedding_geometry.lookup import look_up
from analyses.embedding_geometry.measure.spaces import (
    INPUT,
    OUTPUT,
    decoder_spaces,
    encoder_spaces,
    static_spaces,
    static_table,
)
from analyses.embedding_geometry.measure.word_lists import GROUPS, MIXED
from analyses.embedding_geometry.present.section import present
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Report, Section, render
from interp.text.batch import Batch
from interp.text.vocabulary import Vocabulary, spell
from interp.text.words import EOS, PREFIX
from tests.support.geometry_runs import evidence
from tests.support.models import BART_FAMILIES, random_batch, tiny, tiny_hf
from tests.support.oracle_bart import POST_NORM

pytestmark = pytest.mark.slow

QUICK = GeometrySettings(permutations=99, resamples=99, dimension_sizes=(100, 200))
SOURCES = ("The dog sleeps in the house.", "A goat eats.", "My chair is big and old.", "A man reads a paper.")
TARGETS = ("Der Hund liegt im Haus.", "Eine Ziege isst.", "Mein Stuhl ist alt.", "Ein Mann liest.")


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte pairs of BART's kind that know every word of the analysis behind a space; one row only fills the table up."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    words = [*MIXED, *(word for group in GROUPS.values() for word in group)]
    raw.train_from_iterator([f" {word}" for word in words] * 3, trainer)
    raw.add_tokens(["madeupword0000"])
    raw.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {f"{name}_token": f"<{name}>" for name in ("pad", "unk", "mask")}
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", **names, model_max_length=150
    )


def hosts(name: str) -> tuple[HookedEncoderDecoder, PreTrainedModel]:
    """A hooked model with a tokenizer, three rows more than it has pieces, and the same weights in the plain host."""
    rows = len(tokenizer()) + 3
    return HookedEncoderDecoder(tiny_hf(name, vocab_size=rows), tokenizer()), tiny_hf(name, vocab_size=rows)


@cache
def results(name: str) -> tuple[EmbeddingGeometry, Section]:
    """Result and section of a run over four sentences."""
    model, _ = hosts(name)
    result = summarize(evidence(model, [model.batch(SOURCES, TARGETS)], QUICK))
    return result, present(result)


def states_of(host: PreTrainedModel, batch: Batch, post_norm: bool) -> list[Tensor]:
    """The states of every space from the plain host: streams that leave layers are read at the layers themselves."""
    left: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
    handles = [
        layer.register_forward_hook(
            lambda _, __, out, kept=left[stack]: kept.append(out[0] if isinstance(out, tuple) else out)
        )
        for stack in left
        for layer in getattr(host.model, stack).layers
    ]
    with torch.no_grad():
        out = host(**batch, output_hidden_states=True, use_cache=False)
    for handle in handles:
        handle.remove()
    memory = [] if post_norm else [out.encoder_last_hidden_state]
    if post_norm:
        torch.testing.assert_close(left["encoder"][-1], out.encoder_last_hidden_state)
    return [
        out.encoder_hidden_states[0], *left["encoder"], *memory, out.decoder_hidden_states[0], *left["decoder"],
    ]  # fmt: skip


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_every_space_is_the_hosts_own(name: str) -> None:
    model, host = tiny(name), tiny_hf(name)
    batch = random_batch(model)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, list(ANALYSIS.hooks))
    arrays = ANALYSIS.observe(Pass(model, batch, logits, kept, GeometrySettings()))
    spaces = encoder_spaces(model.cfg) + decoder_spaces(model.cfg)
    wanted = states_of(host, batch, name in POST_NORM)
    assert len(spaces) == len(wanted) == (7 if name in POST_NORM else 8)
    for place, states in enumerate(wanted):
        for prompt in range(3):
            kinds = batch.source_texts[prompt].category_of_token
            encoder = [i for i, kind in enumerate(kinds) if kind not in {PREFIX, EOS}]
            decoder = list(range(1, len(batch.target_texts[prompt].ids)))
            rows = states[prompt, encoder if spaces[place].startswith("encoder") else decoder]
            np.testing.assert_allclose(arrays["mean_state"][prompt, place], rows.mean(0), rtol=1e-4, atol=1e-4)


def mean_cosine_across(parts: Sequence[Tensor]) -> float:
    """Mean cosine of two tokens of different sentences, pair by pair; every pair of sentences counts once."""
    cosines = [
        torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=-1).mean()
        for i, first in enumerate(parts)
        for j, second in enumerate(parts)
        if i != j
    ]
    return float(torch.stack(cosines).mean())


@pytest.mark.parametrize("name", ["bart", "pegasus"])
def test_anisotropy_is_the_mean_over_pairs_of_the_hosts_tokens(name: str) -> None:
    model, host = hosts(name)
    result, _ = results(name)
    batch = model.batch(SOURCES, TARGETS)
    marks = torch.tensor(tokenizer().all_special_ids)
    is_text = {
        "encoder": ~torch.isin(batch.input_ids, marks),
        "decoder": ~torch.isin(batch.decoder_input_ids, marks),
    }
    assert batch.decoder_input_ids[0, :2].tolist() == [2, 0], "the start token, then BART's own mark, which is no text"
    states = states_of(host, batch, name in POST_NORM)
    for place, space in enumerate(result.layers.spaces):
        mask = is_text[space.split()[0]]
        wanted = mean_cosine_across([states[place][row][mask[row]].double() for row in range(len(SOURCES))])
        assert result.layers.curves.point[0, place] == pytest.approx(wanted, abs=1e-5), space


@pytest.mark.parametrize("name", ["bart", "mbart", "pegasus"])
def test_the_section_is_made_and_says_what_the_spaces_are(name: str) -> None:
    result, section = results(name)
    text = " ".join(section.methods)
    positions = "sinusoidal" if name == "pegasus" else "learned"
    assert result.prefix == ""
    assert f"without a task prefix (positions='{positions}'" in text
    assert f"plus their positions (positions='{positions}')" in text
    assert ("through a norm" in text) == (name != "pegasus")
    assert "without the factor embed_scale=4.472" in text
    assert "final_logits_bias (at most" in text
    assert any(", BPE) keeps no frequencies" in finding for finding in section.findings)
    assert any("from encoder 0, which holds its position" in finding for finding in section.findings)
    assert any("Positions are added" in limit for limit in section.limits)
    if name == "bart":
        assert "is encoder 2 itself: with norm_place='post'" in text
        assert result.layers.spaces[:4] == ("encoder 0", "encoder 1", "encoder 2", "decoder 0")
        assert [table.space for table in result.tables] == [INPUT]
        assert any("embedding are one table" in finding for finding in section.findings)
    else:
        assert "after its final norm, gain and bias included" in text
        assert result.layers.spaces[3] == "encoder memory"
        assert [table.space for table in result.tables] == [INPUT, OUTPUT]
    assert not any("nan" in finding.split() for finding in section.findings)
    files = render(Report("A", "B?", ("C.",), "interp run", (section,), ()))
    assert b"encoder 2" in files["tables/layer-geometry.csv"]


@pytest.mark.parametrize("name", ["bart", "mbart", "pegasus", "m2m_100"])
def test_the_output_embedding_scores_but_for_what_is_the_same_everywhere(name: str) -> None:
    model, host = tiny(name), tiny_hf(name)
    batch = random_batch(model)
    stream = states_of(host, batch, name in POST_NORM)[-1]
    centered = stream - stream.mean(-1, keepdim=True)
    normed = stream if name in POST_NORM else centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    with torch.no_grad():
        rest = host(**batch).logits - normed @ torch.from_numpy(static_table(model, OUTPUT)).T
    torch.testing.assert_close(rest, rest[:1, :1].expand_as(rest), atol=2e-3, rtol=1e-4)


def test_one_table_is_one_space_unless_it_is_untied_or_a_gain_lies_between() -> None:
    post, pre = tiny("bart"), tiny("mbart")
    assert static_spaces(post.cfg, tied=True) == (INPUT,)
    assert static_spaces(post.cfg, tied=False) == static_spaces(pre.cfg, tied=True) == (INPUT, OUTPUT)
    np.testing.assert_array_equal(static_table(post, OUTPUT), static_table(post, INPUT))
    np.testing.assert_array_equal(static_table(post, INPUT), tiny_hf("bart").model.shared.weight.numpy())


def test_words_are_spelled_as_inside_a_sentence_and_rows_that_fill_up_are_no_pieces() -> None:
    assert spell("goat", tokenizer()).pieces == ("Ġgoat",)
    model, _ = hosts("bart")
    vocabulary = Vocabulary.of(tokenizer(), model.cfg.d_vocab)
    assert vocabulary.of_kind("unused").sum() == 4
    assert np.isnan(vocabulary.log_probabilities).all()
    found = look_up(model, ["goat", "chair"], space="output", n_neighbors=3)
    assert found.words["pieces"].tolist() == ["Ġgoat", "Ġchair"]


def test_never_trained_rows_enter_no_number_of_words() -> None:
    model, _ = hosts("bart")
    ordinary = examine(model, QUICK)
    model.hf.model.shared.weight.data[[tokenizer().convert_tokens_to_ids("madeupword0000"), -1]] = 1e3
    changed = examine(model, QUICK)
    np.testing.assert_array_equal(ordinary["vectors"], changed["vectors"])
    np.testing.assert_array_equal(ordinary["neighbor_pieces"], changed["neighbor_pieces"])
    np.testing.assert_array_equal(ordinary["hub_counts"], changed["hub_counts"])


def test_only_t5s_own_prefix_is_left_out_for_other_families() -> None:
    t5, bart = tiny("t5").cfg, tiny("bart").cfg
    assert GeometrySettings().prefix_for(t5) == "translate English to German: "
    assert GeometrySettings().prefix_for(bart) == ""
    assert GeometrySettings(prefix=">>deu<< ").prefix_for(bart) == ">>deu<< "
