"""Word alignment: formats, conventions, scores known by hand, and a trained model that must beat the diagonal."""

import dataclasses

import numpy as np
import pytest

from analyses.cross_attention_focus.alignment import (
    MERGES,
    AlignedPair,
    Alignment,
    Conventions,
    SystemScore,
    alignment_section,
    both_directions,
    counts,
    diagonal_links,
    directions_section,
    evaluate,
    evaluate_directions,
    grow_diagonal,
    grow_diagonal_final,
    merge_directions,
    pairs_from_prompts,
    random_links,
    read_gold,
    read_links,
    read_sizes,
    reversed_pairs,
    score,
    score_hypotheses,
    write_links,
)
from analyses.cross_attention_focus.alignment.error_rate import corpus_counts, error_rate
from analyses.cross_attention_focus.alignment.sentences import by_sentence, less_error, sentence_rows
from analyses.cross_attention_focus.alignment.texts import words_of_tokens
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.prompts import bundled as bundled_prompts
from interp.report import Table
from interp.statistics import Interval
from interp.text.word_links import Gold, Links
from interp.text.words import Words

pytestmark = pytest.mark.slow

# Our own links for the German half of the bundled references, written by hand: word indices from 0, marks are words.
HAND_GOLD = {
    "wooden-chair.de": "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7p6 8-7 9p7 10-8 11-9",
    "sleeping-cat.de": "0-0 1-1 2-2 3p3 4-3 5-4 6-5 7-6 8-7",
    "man-with-goat.de": "0-0 1-1 2-2 3-3 4-4 5-5 6p6 7-6 8-7 9-8 10-9",
    "dog-and-cat.de": "0-0 1-1 2-2 3-3 4-4 5p5 6-5 7-6 8-7 9-8 10-9",
    "you-have-a-cat.de": "0-0 1-1 2p2 2-3 3-4 4-7 5-5 6-6 7-8",
    "soup-and-spoon.de": "0-0 1-1 2p2 3-2 4-3 5-4 6-5 7-6 8-7",
    "coffee-and-newspaper.de": "0-0 1p1 2-1 3-2 4-3 5-4 6-5 7-6 8-7",
    "yellow-coat.de": "0-0 1-1 2-2 3-3 4-4 5-5 6p6 7-6 8-7 9-8 10-9 11-10",
}


def test_gold_is_read_with_sure_and_possible_links_from_either_base_and_side() -> None:
    from_zero = read_gold("0-0 1p2\n\n2-1", first=0)
    assert from_zero[0] == Gold(frozenset({(0, 0)}), frozenset({(0, 0), (1, 2)}))
    assert from_zero[1] == Gold(frozenset(), frozenset())
    assert read_gold("1-1 2p3\n\n3-2", first=1) == from_zero
    assert read_gold("0-0 2p1\n\n1-2", first=0, target_first=True) == from_zero


@pytest.mark.parametrize(
    ("text", "first", "message"),
    [
        ("0-0\n1:2", 0, r"Line 2 of the gold file has '1:2'; a link is written `3-4` \(sure\), `3p4`"),
        ("1-1\n2-0", 1, r"Line 2 of the gold file has '2-0', but words were said to count from 1"),
        (" \n\n", 0, "has no links"),
    ],
)
def test_bad_gold_is_refused_with_its_line(text: str, first: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_gold(text, first)  # type: ignore[arg-type]


def test_scores_are_those_of_the_definition() -> None:
    gold = [
        Gold(frozenset({(0, 0), (1, 1)}), frozenset({(0, 0), (1, 1), (2, 1)})),
        Gold(frozenset({(0, 0)}), frozenset({(0, 0)})),
    ]
    links = [frozenset({(0, 0), (2, 1), (2, 2)}), frozenset({(1, 0)})]
    assert counts(links[0], gold[0]) == (1, 2, 3, 2)
    got = score(corpus_counts(links, gold))
    assert got.aer == pytest.approx(1 - (1 + 2) / (4 + 3))
    assert got.precision == pytest.approx(2 / 4)
    assert got.recall == pytest.approx(1 / 3)
    assert got.low <= got.aer <= got.high
    perfect = score(corpus_counts([g.sure for g in gold], gold))
    assert (perfect.aer, perfect.precision, perfect.recall) == (0.0, 1.0, 1.0)
    assert np.isnan(score(corpus_counts([frozenset(), frozenset()], gold)).precision)


def test_grow_diagonal_by_hand() -> None:
    forward = frozenset({(0, 0), (1, 1), (2, 2), (5, 0)})
    backward = frozenset({(0, 0), (2, 2), (2, 3), (4, 5)})
    # (1,1) touches (0,0) and both its words are free; (2,3) touches (2,2) and only its target is; (5,0) and (4,5) touch nothing.
    assert grow_diagonal(forward, backward) == {(0, 0), (1, 1), (2, 2)}
    assert grow_diagonal(forward, backward, free="either") == {(0, 0), (1, 1), (2, 2), (2, 3)}
    assert grow_diagonal(forward, forward) == forward
    both_taken = grow_diagonal(frozenset({(0, 0), (1, 1), (0, 1)}), frozenset({(0, 0), (1, 1)}))
    assert both_taken == {(0, 0), (1, 1)}
    reversed_run = frozenset((target, source) for source, target in backward)
    assert both_directions([forward], [reversed_run]) == [grow_diagonal(forward, backward)]


def test_what_grow_diagonal_leaves_the_final_step_takes_up() -> None:
    forward = frozenset({(0, 0), (1, 1), (2, 2), (5, 0)})
    backward = frozenset({(0, 0), (2, 2), (2, 3), (4, 5), (4, 6)})
    # (5,0) has a free source word; (4,5) is free on both sides; (4,6) then still has a free target word.
    assert grow_diagonal_final(forward, backward) == {(0, 0), (1, 1), (2, 2), (4, 5)}
    final = grow_diagonal_final(forward, backward, free="either")
    assert final == {(0, 0), (1, 1), (2, 2), (2, 3), (5, 0), (4, 5), (4, 6)}
    both_taken = grow_diagonal_final(frozenset({(0, 0), (1, 1), (0, 1)}), frozenset({(0, 0), (1, 1)}))
    assert both_taken == {(0, 0), (1, 1)}


def test_merges_lie_between_intersection_and_union() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        one, other = ([random_links(7, 6, generator)], [random_links(6, 7, generator)])
        merged = {merge: both_directions(one, other, merge)[0] for merge in MERGES}
        for rule in ("", "-either"):
            grown, final = merged[f"grow-diag{rule}"], merged[f"grow-diag-final{rule}"]  # type: ignore[index]
            assert merged["intersection"] <= grown <= final <= merged["union"]
        assert merged["union"] == one[0] | {(target, source) for source, target in other[0]}
        final = merged["grow-diag-final-either"]
        covered = {source for source, _ in final}, {target for _, target in final}
        assert covered == ({source for source, _ in merged["union"]}, {target for _, target in merged["union"]})


def test_pairs_are_reversed_with_their_words_and_prefix() -> None:
    pair = pairs_from_prompts([Prompt("a", "translate English to German: A dog.", "Ein Hund.")])[0]
    (back,) = reversed_pairs([pair])
    assert back == AlignedPair(
        "translate German to English:",
        "translate German to English: Ein Hund.",
        "A dog.",
        ("Ein", "Hund", "."),
        ("A", "dog", "."),
    )
    (again,) = reversed_pairs([back])
    assert again == dataclasses.replace(pair, prefix=pair.prefix.strip())
    assert reversed_pairs([pair], "back: ")[0].source == "back: Ein Hund."
    bare = pairs_from_prompts([Prompt("a", "A dog.", "Ein Hund.")])
    assert reversed_pairs(bare)[0].source == "Ein Hund."
    task = pairs_from_prompts([Prompt("a", "summarize: A dog.", "Ein Hund.")])
    with pytest.raises(InputError, match=r"'summarize:' does not name two languages.*--reverse-prefix"):
        reversed_pairs(task)


def test_two_directions_that_each_know_half_of_the_words_are_perfect_together() -> None:
    words = ("a", "b", "c", "d"), ("w", "x", "y", "z")
    pairs = [AlignedPair("", f"a b c d{number}", f"w x y z{number}", *words) for number in range(4)]
    gold = read_gold("0-0 1-1 2-2 3-3\n" * 4, first=0)
    left = frozenset({(0, 0), (1, 1)})
    right = frozenset({(1, 1), (2, 2), (3, 3)})
    wrong = frozenset({(0, 3)})

    def one(name: str, links: Links) -> Alignment:
        best = SystemScore(name, "output, words, raw", score(corpus_counts([links] * 4, gold)), 0.0, 0.0, ())
        baselines = tuple(dataclasses.replace(best, system=kind) for kind in ("diagonal", "random"))
        gains = dict.fromkeys(("diagonal", "random"), Interval(*map(np.array, (0.0, 0.0, 0.0, 2))))
        return Alignment(4, 16, 16, baselines, (best,), gains, (1.0,), (links,) * 4, ((wrong,) * 4,))

    found = merge_directions(one("A", left), one("B", right), pairs, gold)
    rates = {row.system: row.score.aer for row in found.merged}
    assert rates["forward"] == pytest.approx(1 - 4 / 6)
    assert rates["backward"] == pytest.approx(1 - 6 / 7)
    assert rates["intersection"] == pytest.approx(1 - 2 / 5)
    assert rates["union"] == rates["grow-diag"] == rates["grow-diag-final"] == 0.0
    assert found.links["grow-diag"] == (left | right,) * 4
    twins = {row.system: row.twins for row in found.merged}
    assert twins["union"] == (1.0,)  # (0, 3) of one and (3, 0) of the other, both wrong
    assert found.diagonal == dict.fromkeys(rates, 0.0)
    assert 0.5 < found.random["forward"] < 1.0
    assert found.random["intersection"] > found.random["union"]
    assert "diagonals AER 0.00" in found._repr_html_()
    assert "A (output, words, raw)" in found._repr_html_()
    assert "4 sentences, 16 sure links" in found.forward._repr_html_()
    section = directions_section(found)
    assert "precision 1.00, recall 1.00; straight diagonals merged so have 0.00" in section.findings[0]
    merges, *_ = [block for block in section.blocks if isinstance(block, Table)]
    assert merges.frame["aligner"].tolist()[:2] == ["A (output, words, raw)", "B (output, words, raw)"]
    assert {"diagonal", "random", "twins mean", "first half", "second half"} <= set(merges.frame.columns)


def test_written_links_are_read_back() -> None:
    links = [frozenset({(0, 1), (2, 0)}), frozenset(), frozenset({(1, 1)})]
    for first, target_first in ((0, False), (1, False), (1, True)):
        text = write_links(links, first, target_first)  # type: ignore[arg-type]
        assert [sentence.sure for sentence in read_gold(text, first, target_first)] == links  # type: ignore[arg-type]
    assert write_links(links, 1, True) == "2-1 1-3\n\n2-2\n"


def test_baselines() -> None:
    assert diagonal_links(4, 4) == {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert diagonal_links(6, 3) == {(1, 0), (3, 1), (5, 2)}
    assert diagonal_links(2, 4) == {(0, 0), (0, 1), (1, 2), (1, 3)}
    drawn = random_links(5, 200, np.random.default_rng(0))
    assert {target for _, target in drawn} == set(range(200))
    assert {source for source, _ in drawn} == set(range(5))


def test_links_at_the_output_and_input_step_by_words_and_by_pieces() -> None:
    # Source tokens: prefix, word 0 in two pieces, word 1, end of sentence. Target: word 0, word 1 in two pieces, </s>.
    source, target = (-1, 0, 0, 1, -1), (0, 1, 1, -1)
    matrix = np.array([
        [
            [0.40, 0.25, 0.25, 0.10, 0.0],  # predicts word 0: its pieces together beat the prefix
            [0.10, 0.45, 0.0, 0.40, 0.05],  # predicts word 1, first piece
            [0.0, 0.0, 0.0, 0.9, 0.1],  # predicts word 1, second piece
            [0.0, 0.3, 0.0, 0.1, 0.6],  # predicts </s>
        ]
    ])

    def read(step: str, unit: str, masked: bool) -> set[tuple[int, int]]:
        return set(read_links(matrix, source, target, Conventions(step, unit, masked))[0])  # type: ignore[arg-type]

    assert read("output", "words", False) == {(0, 0), (1, 1)}
    assert read("output", "pieces", False) == {(0, 1), (1, 1)}  # the prefix wins the first row, so word 0 has no link
    assert read("output", "pieces", True) == {(0, 0), (0, 1), (1, 1)}
    assert read("input", "words", False) == {
        (0, 0),
        (1, 1),
    }  # rows 1 | 2, 3: word 1 gets (0, .5) against end of sentence .35
    assert read("input", "pieces", False) == {(0, 0), (1, 1)}  # row 3 points at the end of the sentence
    assert read("input", "pieces", True) == {(0, 0), (1, 1), (0, 1)}
    with pytest.raises(ValueError, match="no decoder row reads it"):
        read_links(matrix, source, (0, 1, 1, 2), Conventions("input", "words", False))


def test_gold_words_are_found_in_detokenized_text_by_their_characters() -> None:
    text = "translate English to German: Don't cherry-pick, “Bob”."
    words = ["Don", "&apos;t", "cherry", "@-@", "pick", ",", "“", "Bob", "”", "."]
    spans = Words.spelled(text, words, 28).spans
    assert [text[a:b] for a, b in spans] == ["Don", "'t", "cherry", "-", "pick", ",", "“", "Bob", "”", "."]
    with pytest.raises(
        InputError, match=r"The gold word 'plum' does not follow .* expected 'p' at character 35, got 'c'"
    ):
        Words.spelled(text, ["Don", "'t", "plum"], 28)
    with pytest.raises(InputError, match=r"goes on with ' cherry-pick"):
        Words.spelled(text, ["Don", "'t"], 28)


def test_tokens_belong_to_gold_words_and_the_prefix_to_none(bundled: HookedEncoderDecoder) -> None:
    assert bundled.tokenizer is not None
    text = "translate English to German: A wooden chair."
    words = ["A", "wooden", "chair", "."]
    got = words_of_tokens(text, words, bundled.tokenizer, "translate English to German:")
    pieces = bundled.tokenizer.convert_ids_to_tokens(bundled.tokenizer(text).input_ids)
    assert got[:5] == (-1,) * 5
    assert got[-1] == -1
    for word, piece in zip(got[5:-1], pieces[5:-1], strict=True):
        assert piece.strip("▁") in words[word]
    assert set(got[5:-1]) == {0, 1, 2, 3}


def test_pairs_take_their_words_from_fields_or_texts() -> None:
    source = "translate English to German: A dog."
    plain, tokenized = pairs_from_prompts([
        Prompt("a", source, "Ein Hund."),
        Prompt("b", source, "Ein Hund.", {"source_words": "A dog.", "target_words": "Ein Hund ."}),
    ])
    assert plain == AlignedPair(source[:28], source, "Ein Hund.", ("A", "dog", "."), ("Ein", "Hund", "."))
    assert tokenized.source_words == ("A", "dog.")
    with pytest.raises(InputError, match="Prompt c has no target"):
        pairs_from_prompts([Prompt("c", source)])


def test_what_does_not_fit_is_refused(bundled: HookedEncoderDecoder) -> None:
    pair = pairs_from_prompts([Prompt("a", "translate English to German: A dog.", "Ein Hund.")])[0]
    with pytest.raises(InputError, match="Got 1 sentence pairs and 2 lines"):
        evaluate(bundled, [pair], read_gold("0-0\n0-0", 0))
    with pytest.raises(
        InputError, match=r"Line 2 .* source word 3 with target word 1 \(counted from 0\).* 3 and 3 words"
    ):
        evaluate(bundled, [pair, pair], read_gold("0-0\n3-1", 0))
    with pytest.raises(
        InputError, match=r"All 2 sentence pairs share a side, so they are one sentence; give pairs of two"
    ):
        evaluate(bundled, [pair, pair], read_gold("0-0\n1-1", 0))


def test_the_trained_model_aligns_better_than_the_diagonal_and_twins_do_not(bundled: HookedEncoderDecoder) -> None:
    prompts = [prompt for prompt in bundled_prompts("references").prompts if prompt.id in HAND_GOLD]
    gold = read_gold("\n".join(HAND_GOLD[prompt.id] for prompt in prompts), first=0)
    result = evaluate(bundled, pairs_from_prompts(prompts), gold, twins=2)
    diagonal = result.baselines[0]
    best = result.systems[0]
    # Four sentences on either side are too few to judge the chosen aligner on the second half alone; the table shows both halves.
    assert result.best.score.aer < diagonal.score.aer
    assert best.score.aer < diagonal.score.aer
    assert min(best.twins) > 0.4
    section = alignment_section(result)
    assert "straight diagonal" in section.findings[0]
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert table.frame["aligner"].tolist()[:2] == ["diagonal", "random"]
    assert len(table.frame) == 2 + 8 * 4 * (2 * 6 + 2 + 2)


def test_an_aligner_is_better_than_links_without_a_model_only_beyond_chance() -> None:
    rng = np.random.default_rng(0)

    def told(rate: float, other: float) -> int:
        """In how many of 200 corpora of 24 sentences with 8 links each the first is said to be better."""
        found = 0
        for _ in range(200):
            one, two = (
                np.stack([hits, hits, np.full(24, 8), np.full(24, 8)], 1)
                for hits in (rng.binomial(8, share, 24) for share in (1 - rate, 1 - other))
            )
            found += less_error(one, two, seed=0).low > 0
        return found

    assert told(0.8, 0.8) <= 12, "one side of a 95 % interval: 2.5 %"
    assert told(0.6, 0.8) >= 190
    counts = np.array([[1, 2, 3, 3], [0, 0, 2, 1], [2, 2, 2, 2]])
    gain = less_error(counts, counts[::-1] * [[0], [1], [1]], seed=0)
    assert float(gain.point) == pytest.approx(error_rate(counts[:2]) - error_rate(counts))


def test_pairs_that_share_a_side_are_one_sentence_on_one_side_of_the_halves() -> None:
    def pair(source: str, target: str, prefix: str = "say: ") -> AlignedPair:
        return AlignedPair(prefix, prefix + source, target, tuple(source.split()), tuple(target.split()))

    pairs = [pair("a b", "A B"), pair("c d", "C D"), pair("a b", "A B"), pair("a b", "X Y", "tell: "), pair("e", "C D")]
    assert [rows.tolist() for rows in sentence_rows(pairs)] == [[0, 2, 3], [1, 4]]
    table = np.arange(20).reshape(5, 4)
    assert by_sentence(table, sentence_rows(pairs)).tolist() == [[20, 23, 26, 29], [20, 22, 24, 26]]


def test_a_corpus_given_thrice_has_the_intervals_and_the_choice_of_one(bundled: HookedEncoderDecoder) -> None:
    prompts = [prompt for prompt in bundled_prompts("references").prompts if prompt.id in HAND_GOLD][:4]
    pairs = pairs_from_prompts(prompts)
    gold = read_gold("\n".join(HAND_GOLD[prompt.id] for prompt in prompts), first=0)
    once, thrice = (evaluate(bundled, list(pairs) * copies, list(gold) * copies, twins=0) for copies in (1, 3))
    assert once.n_sentences == thrice.n_sentences
    assert once.best.system == thrice.best.system
    assert once.best.held_out == pytest.approx(thrice.best.held_out)
    assert (once.best.score.low, once.best.score.high) == pytest.approx((thrice.best.score.low, thrice.best.score.high))
    assert "of too few sentences to be judged beside a straight diagonal" in alignment_section(once).findings[0]


def test_two_directions_of_one_model_agree_with_each_direction_alone(bundled: HookedEncoderDecoder) -> None:
    prompts = [prompt for prompt in bundled_prompts("references").prompts if prompt.id in HAND_GOLD][:3]
    gold = read_gold("\n".join(HAND_GOLD[prompt.id] for prompt in prompts), first=0)
    pairs = pairs_from_prompts(prompts)
    found = evaluate_directions(bundled, bundled, pairs, gold, twins=1)
    alone = evaluate(bundled, pairs, gold, twins=1)
    assert found.forward.systems == alone.systems
    assert found.forward.baselines == alone.baselines
    assert found.merged[0].score == alone.best.score
    assert found.merged[0].twins == alone.best.twins
    assert score(by_sentence(corpus_counts(alone.links, gold), sentence_rows(pairs))) == alone.best.score
    back = next(row for row in found.merged if row.system == "backward")
    assert back.score.aer == pytest.approx(found.backward.best.score.aer)


def test_links_from_elsewhere_are_scored_beside_the_baselines() -> None:
    """Two pairs of 3 x 2 and 2 x 2 words; AER by hand: hits 2 + 3, links 3, sure 3."""
    gold = read_gold("1-1 2p2 3-2\n1-1\n", first=1)
    given = read_gold("0-0 1-1\n0-1\n", first=0)
    sizes = read_sizes("a b c ||| d e\nf g ||| h i\n")
    assert sizes == [(3, 2), (2, 2)]
    found = score_hypotheses([links.possible for links in given], gold, sizes)
    assert found.given.aer == pytest.approx(1 - (1 + 2) / (3 + 3))
    assert found.given.precision == pytest.approx(2 / 3)
    assert found.diagonal.n_links == 4
    assert read_sizes("no bars\n") is None
    with pytest.raises(InputError, match="file of hypotheses links source word 3"):
        score_hypotheses([frozenset({(3, 0)}), frozenset()], gold, sizes)


def test_masked_rows_weigh_the_same() -> None:
    """Two pieces of a target word: the one that reads the end of sentence with 0.9 counts as much as the other."""
    rows = np.array([[[0.08, 0.02, 0.9], [0.4, 0.6, 0.0], [0.3, 0.3, 0.4]]])
    masked = read_links(rows, (0, 1, -1), (0, 0, -1), Conventions("output", "words", masked=True))
    assert masked == [frozenset({(0, 0)})]  # (0.8 + 0.4) / 2 against (0.2 + 0.6) / 2; unscaled 0.48 against 0.62
