"""The analysis: numbers against loops over tokens, words planted and found, control rows, the section."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from analyses.core.contract import Observed, Pass
from analyses.embedding_geometry import ANALYSIS, GeometrySettings, summarize
from analyses.embedding_geometry.examine import examine
from analyses.embedding_geometry.measure import layers
from analyses.embedding_geometry.measure.layers import cross_cosine, layer_curves
from analyses.embedding_geometry.measure.observe import observe
from analyses.embedding_geometry.measure.spaces import INPUT, OUTPUT, decoder_spaces, encoder_spaces, static_table
from analyses.embedding_geometry.present.section import present
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Figure, Report, render
from interp.statistics import controlled
from interp.text.batch import Batch
from interp.text.words import EOS, PREFIX
from tests.support.geometry_runs import evidence
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow

QUICK = GeometrySettings(permutations=199, resamples=199, dimension_sizes=(100, 200))
LETTERS = GeometrySettings(
    groups={"low": ("a", "b", "cd"), "high": ("x", "y", "z")},
    permutations=199,
    resamples=199,
    dimension_sizes=(100, 200),
    prefix="",
)


def _pass(model: HookedEncoderDecoder, batch: Batch) -> Pass:
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, list(ANALYSIS.hooks))
    return Pass(model, batch, logits, cache, GeometrySettings())


def _states(model: HookedEncoderDecoder, batch: Batch) -> list[torch.Tensor]:
    """The spaces from the host's own hidden states; the decoder's last is only given normed and is left out."""
    with torch.no_grad():
        out = model.hf(**batch, output_hidden_states=True, use_cache=False)
    return [*out.encoder_hidden_states, *out.decoder_hidden_states[:-1]]


def test_numbers_per_prompt_are_those_of_a_loop_over_counted_tokens(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    arrays = observe(_pass(tiny_model, batch))
    spaces = encoder_spaces(tiny_model.cfg) + decoder_spaces(tiny_model.cfg)
    assert arrays["mean_state"].shape == (3, len(spaces), tiny_model.cfg.d_model)
    # The host gives no state between the last encoder layer and its norm.
    given = [place for place, name in enumerate(spaces[:-1]) if name != f"encoder {tiny_model.cfg.n_encoder_layers}"]
    for place, states in zip(given, _states(tiny_model, batch), strict=True):
        for prompt in range(3):
            if spaces[place].startswith("encoder"):
                kinds = batch.source_texts[prompt].category_of_token
                kept = [i for i, kind in enumerate(kinds) if kind not in {PREFIX, EOS}]
            else:
                kept = list(range(1, len(batch.target_texts[prompt].ids)))
            rows = states[prompt, kept].double()
            directions = rows / rows.norm(dim=1, keepdim=True)
            middle = rows.mean(0)
            np.testing.assert_allclose(arrays["mean_direction"][prompt, place], directions.mean(0), atol=2e-5)
            np.testing.assert_allclose(arrays["mean_state"][prompt, place], middle, rtol=1e-4, atol=1e-4)
            similarity = (directions @ middle / middle.norm()).mean()
            assert arrays["intra_similarity"][prompt, place] == pytest.approx(float(similarity), abs=2e-5)


def test_the_last_encoder_layer_becomes_the_memory_through_the_norm(tiny_t5: HookedEncoderDecoder) -> None:
    run = _pass(tiny_t5, random_batch(tiny_t5))
    from analyses.embedding_geometry.measure.spaces import encoder_states

    states = encoder_states(tiny_t5, run.cache)
    norm = tiny_t5.module("encoder.ln_final")
    torch.testing.assert_close(norm(states[-2]), states[-1])


def test_numbers_do_not_depend_on_the_batch(bundled: HookedEncoderDecoder) -> None:
    sources = [
        "translate English to German: The old man sits on a chair.",
        "translate English to German: A dog.",
        "translate English to French: The old man sits on a chair.",
    ]
    together = observe(_pass(bundled, bundled.batch(sources)))
    for index, source in enumerate(sources):
        alone = observe(_pass(bundled, bundled.batch([source])))
        for name in together:
            np.testing.assert_allclose(together[name][index], alone[name][0], rtol=1e-4, atol=1e-4)
    assert (together["sentence"][0] == together["sentence"][2]).all()
    assert (together["sentence"][0] != together["sentence"][1]).any()


def test_cross_cosine_is_the_mean_over_pairs_of_different_sentences() -> None:
    generator = np.random.default_rng(0)
    directions, sentences = generator.normal(size=(7, 4)), np.array([0, 0, 1, 2, 2, 2, 3])
    member = np.eye(4)[sentences].T
    counts = np.concatenate([np.ones((1, 4)), generator.integers(0, 3, size=(5, 4))])
    for weights, found in zip(counts, cross_cosine(member @ directions, member.sum(1), counts), strict=True):
        drawn = np.repeat(np.arange(7), weights.astype(int)[sentences])
        pairs = [(p, q) for p in drawn for q in drawn if sentences[p] != sentences[q]]
        assert found == pytest.approx(np.mean([directions[p] @ directions[q] for p, q in pairs]))


def test_two_languages_of_a_sentence_are_one_piece_of_evidence() -> None:
    generator = np.random.default_rng(0)
    directions, similarity = generator.normal(size=(12, 1, 6)), generator.uniform(0.2, 0.9, size=(12, 1))
    once = {"mean_direction": directions, "intra_similarity": similarity, "sentence": np.arange(24).reshape(12, 2)}
    twice = {name: np.repeat(values, 2, axis=0) for name, values in once.items()}
    one, two = (layer_curves(("a",), Observed(arrays, {}), (Observed(arrays, {}),), 0, 499) for arrays in (once, twice))
    np.testing.assert_allclose(two.curves.point, one.curves.point, rtol=1e-9)
    np.testing.assert_allclose(two.curves.low, one.curves.low, rtol=1e-9)
    np.testing.assert_allclose(two.curves.high, one.curves.high, rtol=1e-9)
    assert (one.n_sentences, two.n_sentences) == (12, 12)


def test_one_sentence_has_no_anisotropy() -> None:
    assert np.isnan(cross_cosine(np.ones((1, 3)), np.full(1, 2.0), np.ones((1, 1)))).all()
    # A space in which no prompt has two tokens, as when an untrained model writes nothing.
    assert np.isnan(cross_cosine(np.zeros((3, 3)), np.zeros(3), np.ones((2, 3)))).all()


def test_one_pair_of_sentences_has_no_interval() -> None:
    """Whatever is drawn of two sentences, the pairs of different ones are always the same."""
    generator = np.random.default_rng(0)
    arrays = {
        "mean_direction": generator.normal(size=(3, 1, 6)),
        "intra_similarity": generator.uniform(0.2, 0.9, size=(3, 1)),
        "sentence": np.arange(3)[:, None],
    }
    two = {name: values[:2] for name, values in arrays.items()}
    pair, three = (layer_curves(("a",), Observed(one, {}), (), 0, 99).curves[:, 0] for one in (two, arrays))
    assert np.isfinite(pair.point).all()
    assert np.isnan(pair.low).tolist() == np.isnan(pair.high).tolist() == [True, False, True]
    assert (three.low < three.high).all()


def test_intervals_of_curves_do_not_hang_on_how_many_draws_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    arrays = {
        "mean_direction": generator.normal(size=(12, 2, 6)),
        "intra_similarity": generator.uniform(0.2, 0.9, size=(12, 2)),
        "sentence": generator.permutation(12)[:, None] // 2,
    }
    arrays["intra_similarity"][3, 1] = arrays["mean_direction"][3, 1] = np.nan
    whole = layer_curves(("a", "b"), Observed(arrays, {}), (), 0, 99)
    monkeypatch.setattr(layers, "_BLOCK", 30)  # five draws
    parts = layer_curves(("a", "b"), Observed(arrays, {}), (), 0, 99)
    for name in ("point", "low", "high"):
        np.testing.assert_allclose(getattr(parts.curves, name), getattr(whole.curves, name), rtol=1e-12)


def test_output_embedding_scores_like_the_model(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    with torch.no_grad():
        logits, cache = tiny_model.run_with_cache(batch, ["decoder.ln_final.hook_normalized"])
    if tiny_model.cfg.norm == "rms":
        table = torch.from_numpy(static_table(tiny_model, OUTPUT))
        scored = cache["decoder.ln_final.hook_normalized"] @ table.T * tiny_model.cfg.logit_scale
        torch.testing.assert_close(scored, logits, rtol=1e-4, atol=1e-4)


def _planted(model: HookedEncoderDecoder, distance: float) -> HookedEncoderDecoder:
    """A copy whose letters lie round two centers, and whose sentinels lie exactly on the letters."""
    hf = copy.deepcopy(model.hf)
    table = hf.get_input_embeddings().weight.data
    ids = {letter: model.tokenizer.convert_tokens_to_ids(letter) for letter in "abcdxyz"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for letter, row in ids.items():
            table[row] = torch.randn(table.shape[1])
            table[row, 0 if letter in "abcd" else 1] += distance
    for index, row in enumerate(ids.values()):
        table[model.tokenizer.convert_tokens_to_ids(f"<extra_id_{index}>")] = table[row]
    return HookedEncoderDecoder(hf, model.tokenizer)


def test_planted_groups_are_found_and_sentinels_are_no_neighbors(tiny_byt5: HookedEncoderDecoder) -> None:
    model = _planted(tiny_byt5, 12.0)
    batch = model.batch(["translate English to German: one two", "b: three four"], ["eins zwei", "drei"])
    result = summarize(evidence(model, [batch], LETTERS))
    primary = result.comparisons[0]
    assert primary.n_words == 5
    assert primary.test is not None
    assert primary.test.observed.leave_one_out == 1.0
    assert primary.test.low.effect > 0.5 > max(twin.effect for twin in primary.twins)
    assert primary.test.p_values["effect"] == pytest.approx(0.1, abs=0.05)  # 10 labelings of 2 + 3 words
    everything = next(comparison for comparison in result.comparisons if comparison.n_words == 6)
    assert everything.test is not None
    a = result.words[0]
    assert a.neighbors["raw"][0][0] in {"b", "c", "d"}
    assert not any("extra_id" in piece for word in result.words for piece in dict(word.neighbors["raw"]))
    # In a list of neighbors of "cd", the mean of two pieces, neither piece is news.
    assert not {"c", "d"} & set(dict(result.words[2].neighbors["raw"]))


def test_unplanted_groups_are_said_not_to_lie_apart(tiny_byt5: HookedEncoderDecoder) -> None:
    batch = tiny_byt5.batch(["one two", "three four"], ["eins zwei", "drei"])
    section = present(summarize(evidence(tiny_byt5, [batch], LETTERS)))
    assert section.findings[0].startswith("Groups do not lie apart")


@pytest.mark.parametrize("directions", [0, 1])
def test_tables_of_one_row_or_of_one_direction_are_told(tiny_byt5: HookedEncoderDecoder, directions: int) -> None:
    hf = copy.deepcopy(tiny_byt5.hf)
    table = hf.get_input_embeddings().weight.data
    table[:] = torch.full((table.shape[1],), 0.1)
    table[:, 0] += directions * torch.arange(len(table))
    model = HookedEncoderDecoder(hf, tiny_byt5.tokenizer)
    batch = model.batch(["one two", "three four"], ["eins zwei", "drei"])
    findings = present(summarize(evidence(model, [batch], LETTERS))).findings
    said = (
        "the variance spreads over 1 of 24 directions" if directions else "pieces of the input embedding have one and"
    )
    assert any(said in finding for finding in findings)


def test_a_piece_is_nearer_than_in_twins_only_beyond_what_one_more_may_have(tiny_byt5: HookedEncoderDecoder) -> None:
    batch = tiny_byt5.batch(["one two", "three four"], ["eins zwei", "drei"])
    result = summarize(evidence(tiny_byt5, [batch], LETTERS, n_twins=5))

    def told(above: float) -> str:
        """With every nearest piece so many deviations of the twins above the highest of them."""
        words = tuple(
            dataclasses.replace(
                word,
                nearest=word.nearest
                | {"raw": controlled(one.control_high + above * one.controls.std(), list(one.controls))},
            )
            for word in result.words
            for one in [word.nearest["raw"]]
        )
        return present(dataclasses.replace(result, words=words)).highlights[1].sentence

    assert told(0.01).startswith("For 0 % of the words"), (
        "one of six words of a model that learnt nothing is above five"
    )
    assert told(9.0).startswith("For 100 % of the words")


@pytest.mark.parametrize("sources", [["one two three"], ["b: one two", "one two"], ["one"]])
def test_a_run_of_one_sentence_says_what_it_cannot_say(tiny_byt5: HookedEncoderDecoder, sources: list[str]) -> None:
    batch = tiny_byt5.batch(
        sources, ["eins zwei drei"] * len(sources), prefixes=[s[: s.find(":") + 1] for s in sources]
    )
    section = present(summarize(evidence(tiny_byt5, [batch], LETTERS)))
    assert any("Anisotropy is not defined in encoder 0" in finding for finding in section.findings)
    assert any("at least 8 different sentences" in finding for finding in section.findings)
    assert not any("nan" in finding.split() for finding in section.findings)
    assert "layers-anisotropy" not in {block.name for block in section.blocks if isinstance(block, Figure)}
    render(Report("A", "B?", ("C.",), "interp run", (section,), ()))


def test_examine_leaves_rows_of_sentinels_and_unused_rows_out(tiny_byt5: HookedEncoderDecoder) -> None:
    ordinary = examine(tiny_byt5, LETTERS)
    hf = copy.deepcopy(tiny_byt5.hf)
    table = hf.get_input_embeddings().weight.data
    named = set(tiny_byt5.tokenizer.get_vocab().values())
    out = [row for row in range(len(table)) if row not in named or row < 3 or row >= 259]
    assert len(out) > 100
    table[out] = 1e3
    changed = examine(HookedEncoderDecoder(hf, tiny_byt5.tokenizer), LETTERS)
    np.testing.assert_array_equal(ordinary["vectors"][0], changed["vectors"][0])
    np.testing.assert_array_equal(ordinary["neighbor_pieces"][0], changed["neighbor_pieces"][0])


def test_the_bundled_model_knows_its_chairs(bundled: HookedEncoderDecoder) -> None:
    sources = ["translate English to German: A dog sleeps.", "translate English to French: The horse runs fast."]
    result = summarize(evidence(bundled, [bundled.batch(sources)], QUICK))
    words = {word.word: word for word in result.words}
    assert "▁chairs" in dict(words["chair"].neighbors["raw"])
    assert words["chair"].nearest["raw"].point > words["chair"].nearest["raw"].control_high
    assert words["goat"].single
    assert not words["shelf"].single
    single = [comparison for comparison in result.comparisons if comparison.words == "words of one piece"]
    assert {comparison.space for comparison in single} == {INPUT, OUTPUT}
    assert result.rows_of_kind[2] == 100
    section = present(result)
    files = render(Report("A", "B?", ("C.",), "interp run", (section,), ()))
    assert b"shelf" in files["tables/words.csv"]
    assert {"figures/word-map.svg", "figures/word-cosines.svg", "tables/word-groups.csv"} <= set(files)
    assert all(any(character.isdigit() for character in finding) for finding in section.findings)
    assert all("twin" in block.alt or "within" in block.alt for block in section.blocks if isinstance(block, Figure))
    assert b"<script src" not in files["index.html"]


def test_a_model_without_tokenizer_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match="wrap the model with its tokenizer"):
        examine(tiny_t5, GeometrySettings())


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"one": ("a", "b")}, "at least two groups of at least two words; got one 2"),
        ({"one": ("a", "b"), "two": ("c",)}, "got one 2, two 1"),
        ({"one": ("a", "b"), "two": ("a", "c")}, "a occurs more than once"),
    ],
)
def test_groups_that_make_no_comparison_are_refused(groups: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GeometrySettings(groups=groups)


def test_an_untied_model_has_another_output_embedding() -> None:
    tied, untied = tiny("t5"), tiny("v1.1")
    gain = tied.module("decoder.ln_final").weight
    torch.testing.assert_close(
        torch.from_numpy(static_table(tied, OUTPUT)), torch.from_numpy(static_table(tied, INPUT)) * gain
    )
    assert np.abs(static_table(untied, OUTPUT) - static_table(untied, INPUT)).max() > 0.1
