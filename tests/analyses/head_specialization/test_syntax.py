"""Parses are read as written, offset baselines equal the published ones, and a head planted on a relation is found."""

import numpy as np
import pytest
import torch

from analyses.head_specialization.measure.parses import (
    Parse,
    as_conllu,
    offset_accuracy,
    offset_baselines,
    parse_conllu,
    read_conllu,
)
from analyses.head_specialization.measure.relations import syntactic_relations, syntax_frame
from analyses.head_specialization.measure.syntax import SyntaxScores, membership, score_syntax, word_attention
from interp.errors import InputError
from tests.support.parses import OURS
from tests.support.paths import SHARED

PUD = SHARED / "data" / "ud" / "en_pud-ud-test.conllu"


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "ours.conllu"
    path.write_text(OURS, encoding="utf-8")
    return read_conllu(path)


def test_words_have_the_characters_that_are_written_for_them(ours):
    english, german = ours
    assert english.text == "The cat sees the dogs."
    assert [english.text[start:end] for start, end in english.spans] == ["The", "cat", "sees", "the", "dogs", "."]
    assert [german.text[start:end] for start, end in german.spans] == ["Er", "schläft", "im", "im", "Haus", "."]
    assert english.heads == (1, 2, -1, 4, 2, 2)
    assert german.relations == ("nsubj", "root", "case", "det", "obl", "punct")


def test_parses_come_back_from_their_own_text(ours):
    assert parse_conllu(as_conllu(ours)) == ours
    assert parse_conllu(as_conllu([one for one in ours for _ in range(2)])) == ours, "chosen and judged on one sentence"


def test_baselines_by_hand(ours):
    found = offset_baselines(ours)
    assert (found["det"].offset, found["det"].accuracy, found["det"].count) == (1, 1.0, 3)
    assert (found["nsubj"].offset, found["nsubj"].count) == (1, 2)
    assert offset_baselines(ours, "head to dependent")["det"].offset == -1
    # Ten words have a head; of the eight that are no mark, five stand right before it.
    assert offset_accuracy(ours, 1) == pytest.approx(5 / 8)


@pytest.mark.skipif(not PUD.is_file(), reason="the UD English PUD file is not beside this checkout")
def test_offset_baselines_of_pud_equal_the_published_ones():
    parses = read_conllu(PUD)
    assert len(parses) == 1000
    published = {
        "nsubj": (1, 33.7),
        "obj": (-2, 39.1),
        "amod": (1, 78.4),
        "advmod": (1, 49.2),
        "det": (1, 56.6),
        "case": (2, 36.0),
        "aux": (1, 65.2),
        "compound": (1, 75.3),
    }
    found = offset_baselines(parses)
    for relation, (offset, accuracy) in published.items():
        assert found[relation].offset == offset
        assert 100 * found[relation].accuracy == pytest.approx(accuracy, abs=0.1), relation
    assert 100 * offset_accuracy(parses, 1) == pytest.approx(35.22, abs=0.1)
    assert 100 * offset_accuracy(parses, -1) == pytest.approx(5.67, abs=0.1)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(InputError, match=r"no CoNLL-U file 'nowhere\.conllu'"):
        read_conllu("nowhere.conllu")
    empty = tmp_path / "empty.conllu"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="holds no sentence"):
        read_conllu(empty)


def test_attention_between_words_sums_over_keys_and_averages_over_queries():
    members = membership([(0, 2), (2, 4), (5, 7), (0, 0)], [(0, 4), (5, 7)], 0)
    assert members.tolist() == [[True, False], [True, False], [False, True], [False, False]]
    pattern = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.0, 0.5, 0.5, 0.0], [0.25] * 4])
    found = word_attention(pattern[None, None], members)[0, 0]
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.25], [0.5, 0.5]]))


def test_a_prefix_shifts_the_characters():
    assert membership([(0, 3), (4, 7)], [(0, 3)], 4).tolist() == [[False], [True]]


def alternating(n):
    """Sentences whose single object stands two or three words after its verb, in turn."""
    sentences = []
    for index in range(n):
        gap = 2 + index // 2 % 2
        heads = [-1, *([0] * 3)]
        relations = ["root", "x", "x", "x"]
        relations[gap] = "obj"
        sentences.append(Parse("a b c d", ((0, 1), (2, 3), (4, 5), (6, 7)), tuple(heads), tuple(relations)))
    return sentences


def test_the_head_is_chosen_on_one_half_and_estimated_on_the_other():
    parses = alternating(120)
    hits = np.zeros((120, 1, 2, 3), dtype=np.float32)
    hits[0::2, 0, 1, 2] = 1  # right on every sentence of the first half, ...
    hits[1::8, 0, 1, 2] = 1  # ... on a quarter of the second
    scores = SyntaxScores(
        ("obj",),
        {"dependent to head": hits, "head to dependent": np.ones_like(hits)},
        {"dependent to head": np.ones((120, 1), np.float32), "head to dependent": np.ones((120, 1), np.float32)},
    )
    frame = syntax_frame(syntactic_relations(parses, scores)).set_index("direction")
    row = frame.loc["dependent to head"]
    assert (row["head"], row["accuracy"], row["offset accuracy"]) == ("EL1H2", pytest.approx(0.25), pytest.approx(0.5))
    assert not row["syntactic"]
    assert frame.loc["head to dependent", "syntactic"]
    assert frame.loc["head to dependent", "gain"] == pytest.approx(0.5)


def test_a_next_token_head_points_determiners_to_their_nouns(bundled, ours):
    """The bundled model's bias is overwritten so that head 2 reads the next word; one-piece words make that exact."""
    import copy

    from interp.model.hooked_model import HookedEncoderDecoder

    hf = copy.deepcopy(bundled.hf)
    table = hf.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data
    table[:, 2] = 0.0
    table[17, 2] = 80.0
    scores = score_syntax(HookedEncoderDecoder(hf, bundled.tokenizer), ours[:1], prefix="translate English to German: ")
    det = scores.relations.index("det")
    assert scores.pairs["dependent to head"][0, det] == 2
    assert (scores.hits["dependent to head"][0, det, :, 2] == 2).all()


@pytest.mark.parametrize(("head", "why"), [(7, "has the head 7"), (2, "has the head 2"), ("_", "has the head None")])
def test_a_head_must_be_another_word_of_its_sentence(head: object, why: str) -> None:
    lines = ("1\tDogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_", f"2\tsleep\tsleep\tVERB\t_\t_\t{head}\troot\t_\t_")
    with pytest.raises(InputError, match=why):
        parse_conllu("\n".join(lines) + "\n\n")
