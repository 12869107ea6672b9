"""Links are read, extracted and scored as by hand; cross heads planted on an alignment are found at the right step."""

import numpy as np
import pytest
import torch

from analyses.head_specialization.measure.links import (
    WordGrid,
    as_pairs,
    counts,
    diagonal_links,
    gold_links,
    links_by_source,
)
from interp.errors import InputError
from interp.prompts import Prompt
from interp.text.batch import collate
from tests.support.planted_heads import PREFIX_IDS, PUNCTUATION_ID, QUICK, WORDS, atlas, garden, roles, text

pytestmark = pytest.mark.slow


def test_links_are_read_with_sure_and_possible_ones():
    links = gold_links("0-0 1p2 3-1")
    assert links.sure == {(0, 0), (3, 1)}
    assert links.possible == {(0, 0), (3, 1), (1, 2)}
    with pytest.raises(InputError, match="'1:2' is no word link; write 0-2"):
        gold_links("0-0 1:2")


def test_gold_links_are_of_a_source_and_equal_sources_may_not_differ():
    prompts = [Prompt(str(number), source) for number, source in enumerate(["A dog.", "A cat.", "A dog."], 1)]
    assert links_by_source(prompts, "0-0\n\n0-0\n") == {"A dog.": "0-0"}
    with pytest.raises(InputError, match="Prompt 3 has the source of another one and other gold links"):
        links_by_source(prompts, "0-0\n\n0-1\n")
    with pytest.raises(InputError, match="hold no sure link"):
        gold_links("0p0")


def test_agreement_by_hand():
    gold = gold_links("0-0 1-1 2p2")
    # Found: one sure, one possible, one wrong. 1 - AER = (1 + 2) / (3 + 2).
    assert counts({(0, 0), (2, 2), (0, 1)}, gold) == (3, 5)
    assert counts(set(gold.sure), gold) == (4, 4)


def test_the_diagonal_joins_equal_shares_of_the_texts():
    assert diagonal_links((3, 3)) == {(0, 0), (1, 1), (2, 2)}
    assert diagonal_links((5, 3)) == {(0, 0), (2, 1), (4, 2)}
    assert diagonal_links((4, 1)) == {(0, 0)}


def test_links_of_a_pattern_by_hand():
    grid = WordGrid(np.array([-1, 0, 0, 1, -1]), np.array([0, 0, 1, -1]))
    pattern = np.array([
        [0.1, 0.3, 0.3, 0.2, 0.1],  # predicts the first piece of word 0
        [0.1, 0.0, 0.1, 0.7, 0.1],  # predicts its second piece, reads its first
        [0.6, 0.1, 0.1, 0.1, 0.1],  # predicts word 1: the prefix is strongest
        [0.0, 0.3, 0.3, 0.3, 0.1],  # predicts the end, reads word 1
    ])
    # Output, word 0: words get (0.6 + 0.1) / 2 and (0.2 + 0.7) / 2; word 1: no link.
    assert grid.links(pattern, "output").tolist() == [1, -1]
    # Input, word 0: rows 1 and 2 give the prefix 0.35, word 0 0.15, word 1 0.4; word 1: row 3.
    assert grid.links(pattern, "input").tolist() == [1, 0]
    assert as_pairs(grid.links(pattern, "output")) == {(1, 0)}
    # A source that is all prefix has no word to link to, whatever the target.
    for target in (grid.target, np.array([-1, -1, -1])):
        empty = WordGrid(np.array([-1, -1, -1, -1, -1]), target)
        assert set(empty.links(pattern, "output").tolist()) <= {-1}


def translated(model, step, in_order=False):
    """Sources without repeats, targets of other tokens in another order, and their links.

    Targets run through their half of the vocabulary in a fixed cycle, so that a head can know the token to come.
    """
    half = len(WORDS) // 2
    english, german = list(WORDS)[:half], list(WORDS)[half : 2 * half]
    dictionary = dict(zip(german, english, strict=True))
    generator = torch.Generator().manual_seed(3)
    sources, targets, links = [], [], {}
    for _ in range(16):
        length = int(torch.randint(8, 14, (1,), generator=generator))
        start = int(torch.randint(half, (1,), generator=generator))
        words = [german[(start + index) % half] for index in range(length)]
        order = list(range(length)) if in_order else torch.randperm(length, generator=generator).tolist()
        source = text((*PREFIX_IDS, *(dictionary[words[place]] for place in order), PUNCTUATION_ID, 1))
        sources.append(source)
        targets.append(text((*words, 1)))
        links[source.text] = " ".join(f"{word}-{place}" for word, place in enumerate(order))
    batch = collate(sources, targets, model.cfg, model.hf._shift_right, "given")
    following = {token: german[(index + 1) % half] for index, token in enumerate(german)}
    pairs = dictionary if step == "input" else {token: dictionary[following[token]] for token in german}
    return batch, links, pairs


@pytest.mark.parametrize(
    ("step", "role"), [("input", "alignment at the input step"), ("output", "alignment at the output")]
)
def test_a_head_that_follows_an_alignment_is_found_at_its_step_when_links_are_given(step, role):
    plot = garden()
    batch, links, pairs = translated(plot.hooked(), step)
    plot.follow(1, 2, pairs)
    model = plot.hooked()
    assert roles(atlas(model, batch, QUICK.model_copy(update={"links": links}), twins=1)) == {"XL1H2": [role]}
    assert roles(atlas(model, batch, twins=1)) == {}


@pytest.mark.parametrize(("in_order", "found"), [(True, {"XL1H2": ["monotone"]}), (False, {})])
def test_a_head_that_follows_a_translation_in_order_is_monotone_without_links(in_order, found):
    plot = garden()
    batch, _, pairs = translated(plot.hooked(), "output", in_order)
    plot.follow(1, 2, pairs)
    assert roles(atlas(plot.hooked(), batch, twins=2)) == found


def test_gold_links_of_words_that_are_not_there_are_refused():
    plot = garden()
    batch, links, _ = translated(plot.hooked(), "output")
    first = batch.source_texts[0].text
    with pytest.raises(InputError, match=r"hold 99-99, but the prompt has \d+ source and \d+ target words"):
        atlas(plot.hooked(), batch, QUICK.model_copy(update={"links": links | {first: "0-0 99-99"}}), twins=0)
