"""The head atlas on the page: colors, frames and letters; cards with the right prompt; plain words where nothing passes."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from analyses.core.contract import Example, Pass
from analyses.head_specialization import ANALYSIS, HeadSettings
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.measure.alignment import ROLES
from analyses.head_specialization.measure.kept_patterns import observe_specimens
from analyses.head_specialization.measure.relations import SyntacticRelation
from analyses.head_specialization.present.cards import cards_page
from analyses.head_specialization.present.decision_page import steps_frame
from analyses.head_specialization.present.figures import atlas_figure, map_figure
from analyses.head_specialization.present.glance import headline
from analyses.head_specialization.present.legend import FAMILIES, code_of, family_of, hue_of
from analyses.head_specialization.present.notes import head_notes
from analyses.head_specialization.present.prompt_page import portray
from analyses.head_specialization.present.section import present
from analyses.head_specialization.present.tables import copying_frame, overview_frame
from analyses.head_specialization.roles.criteria import NEAR_OFFSETS, REPEAT_ROLES
from analyses.head_specialization.roles.definitions import decision_rows, rule_rows
from analyses.head_specialization.roles.nearest import asked, nearest_roles, strength_of
from analyses.head_specialization.roles.rules import holds
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.report import Card, Figure, Page, Paragraph, PatternPicture, SmallTable, Table
from interp.report.cards import card_html
from tests.support.hostile import SCRIPT
from tests.support.paths import ROOT
from tests.support.planted_heads import PUNCTUATION_ID, QUICK, atlas, garden, planted_batch

pytestmark = pytest.mark.slow

SETTINGS = HeadSettings()
COUNT = 3
"""Heads of the planted model with a role: a position bias in two layers, and one that finds a token."""


@pytest.fixture(scope="module")
def batch():
    return planted_batch(garden().hooked())


@pytest.fixture(scope="module")
def planted(batch):
    plot = garden()
    plot.bias("encoder", 1, 1)
    plot.find_tokens("cross", 2, 0, (PUNCTUATION_ID,))
    return atlas(plot.hooked(), batch, QUICK.model_copy(update={"importance": ("gradient",)}))


@pytest.fixture(scope="module")
def bare(batch):
    return atlas(garden().hooked(), batch)


@pytest.mark.parametrize(
    ("twins", "mark"),
    [
        ((0, 0, 0), "beyond all controls"),
        ((0,), "not judged"),
        ((), "not judged"),
        ((0, 0, 1, 0, COUNT - 1), "within the controls"),
    ],
)
def test_a_count_of_roles_is_beyond_the_twins_only_beyond_what_one_more_may_have(planted, twins, mark):
    assert len({label.head for label in planted.labels}) == COUNT
    assert headline(replace(planted, twin_labels=twins)).sureness == mark


def test_every_role_that_a_criterion_can_give_has_a_family_and_letters():
    roles = {*NEAR_OFFSETS.values(), *REPEAT_ROLES.values(), *ROLES.values()}
    roles |= {"offset", "EOS sink", "punctuation sink", "sentinel sink", "first-token sink", "prefix head"}
    roles |= {"rare token", "syntactic", "copying", "monotone", "translation"}
    assert roles == {role for family in FAMILIES for role in family.codes}
    codes = [code for family in FAMILIES for code in family.codes.values()]
    assert len(set(codes)) == len(codes)
    assert len({family.hue for family in FAMILIES}) == len(FAMILIES)
    assert all(len(code) <= 4 for code in codes)
    with pytest.raises(KeyError, match="The role 'poetry' has no family; give it a hue"):
        family_of("poetry")


def test_offsets_and_relations_are_their_own_letters():
    assert code_of("offset", "+12") == "+12"
    assert code_of("syntactic", "advmod to head") == "advmo"
    assert code_of("EOS sink") == "EOS"


@pytest.mark.parametrize("rule", ["share", "mass", "content", "margin", "syntax", "copying", "lift", "odds"])
def test_the_score_that_is_asked_for_is_where_the_rule_begins_to_hold(rule):
    null = np.array([0.0, 0.05, 0.12, 0.3])
    goal = asked(rule, null, SETTINGS)
    assert holds(rule, goal, null, SETTINGS).all()
    assert not holds(rule, goal - 1e-4, null, SETTINGS).any()


def test_a_goal_that_no_score_reaches_is_undefined():
    goal = asked("margin", np.array([0.95, np.nan, 0.2]), SETTINGS)
    np.testing.assert_allclose(goal, [np.nan, np.nan, 0.3], atol=1e-5)


def test_strength_is_the_share_of_the_way_from_chance_to_certainty():
    strength = strength_of(np.array([0.55, 0.05, 1.0, np.nan, 1.0]), np.array([0.1, 0.1, 0.1, 0.1, 1.0]))
    np.testing.assert_allclose(strength, [0.5, 0.0, 1.0, np.nan, 1.0])


def test_the_nearest_role_is_the_one_with_the_largest_progress():
    def criterion(role, rule, scores, null, **more):
        score = np.tile(np.array(scores, float), (3, 1, 1))
        return Criterion(role, rule, score, np.full_like(score, null), **more)

    nan = np.nan
    found = nearest_roles(
        [
            # 0.72 of 0.9 from 0: progress 0.8; 0.45 of 0.5 from 0: progress 0.9.
            criterion("previous token", "share", [[0.72, 0.1, nan]], 0.0),
            criterion("next token", "mass", [[0.45, 0.0, nan]], 0.0),
            criterion("offset", "mass", [[0.1, 0.2, nan]], 0.0, detail=[["-2", "+3", "-4"]]),
            criterion("copying", "copying", [[1.0, 1.0, 1.0]], 0.0, eligible=np.zeros((1, 3), dtype=bool)),
        ],
        SETTINGS,
    )
    assert found.role == (("next token", "offset", ""),)
    assert found.detail == (("", "+3", ""),)
    np.testing.assert_allclose(found.progress, [[0.9, 0.4, nan]], atol=1e-4)
    np.testing.assert_allclose(found.score, [[0.45, 0.2, nan]])


def test_planted_heads_are_framed_colored_and_lettered_in_the_atlas(planted):
    drawing = atlas_figure(planted, "encoder").chart
    families = [family.name for family in FAMILIES]
    for layer in range(2):
        assert drawing.marks[layer] == ("", "certain", "", "")
        assert drawing.codes[layer][1] == "prev"
        assert families[drawing.category[layer, 1]] == "position"
        assert drawing.strength[layer, 1] == pytest.approx(1.0, abs=1e-3)
    cross = atlas_figure(planted, "cross").chart
    assert [(layer, row.index("certain")) for layer, row in enumerate(cross.marks) if "certain" in row] == [(2, 0)]
    assert cross.codes[2][0] == "punc"
    assert families[cross.category[2, 0]] == "special tokens"


def test_the_words_of_the_atlas_hold_its_numbers(planted, bare):
    assert atlas_figure(planted, "cross").alt.startswith("Roles in cross-attention: XL2H0 punctuation sink 1.00.")
    alt = atlas_figure(bare, "decoder").alt
    assert alt.startswith("Roles in decoder self-attention: no head has a role.")
    assert re.search(r" DL\dH\d comes nearest to a role, .+: score 0\.\d\d, chance 0\.\d\d\.", alt)


def test_a_doubtful_head_has_a_broken_frame_and_no_bold_claim(planted):
    label = next(label for label in planted.labels if str(label.head) == "XL2H0")
    doubtful = replace(label, passes=False, stability=0.6)
    moved = replace(planted, labels=tuple(other for other in planted.labels if other != label), uncertain=(doubtful,))
    figure = atlas_figure(moved, "cross")
    assert figure.chart.marks[2][0] == "uncertain"
    assert "no head has a role. Uncertain: XL2H0 punctuation sink 1.00." in figure.alt
    html = card_html(card_of(cards_page(moved), "xl2h0"))
    assert "the head does not have the role: the rule holds in 60% of the resamples" in html
    note = head_notes(moved)["XL2H0"]
    assert (note.mark, note.role) == ("uncertain", "uncertain: punctuation sink")


def test_the_page_to_explore_shows_the_cells_of_the_figure(planted, bare):
    """Role, frame, letters and lightness of a head are one thing in both places, and a tendency is not called a role."""
    tendency = replace(next(label for label in planted.labels if label.head.kind == "encoder"), strength="tendency")
    labels = tuple(tendency if label.head == tendency.head else label for label in planted.labels)
    weaker = replace(planted, labels=labels)
    assert head_notes(weaker)[str(tendency.head)].role == f"a clear tendency: {tendency}"
    for some in (planted, bare, weaker):
        notes = head_notes(some)
        for kind in ATTENTION_KINDS:
            drawing = atlas_figure(some, kind).chart
            for layer, head in np.ndindex(*drawing.category.shape):
                note = notes[str(HeadId(kind, layer, head))]
                assert (note.mark, note.code) == (drawing.marks[layer][head], drawing.codes[layer][head])
                assert note.strength == pytest.approx(np.nan_to_num(drawing.strength[layer, head]))
                assert note.role.startswith("none") == (note.mark == "")


def test_cells_without_any_score_are_undefined(planted):
    nearest = planted.nearest["cross"]
    nothing = replace(
        nearest, progress=np.full_like(nearest.progress, np.nan), score=np.full_like(nearest.score, np.nan)
    )
    empty = replace(planted, labels=(), uncertain=(), nearest={**planted.nearest, "cross": nothing})
    drawing = atlas_figure(empty, "cross").chart
    assert np.isnan(drawing.strength).all()
    assert (drawing.category == -1).all()


def card_of(page, name):
    return next(block for block in page.blocks if isinstance(block, Card) and block.name == f"head-{name}")


def test_every_labelled_head_has_a_card_with_evidence_controls_and_importance(planted):
    page = cards_page(planted)
    assert isinstance(page, Page)
    names = [block.name for block in page.blocks if isinstance(block, Card)]
    assert {"head-el0h1", "head-el1h1", "head-xl2h0"} <= set(names)
    html = card_html(card_of(page, "xl2h0"))
    assert "punctuation sink: it puts 1.00 of its attention there [1.00, 1.00]; chance" in html
    assert "untrained twins 0." in html
    assert ">gradient importance</th>" in html
    assert re.search(r"<td class=\"number\">\d+ of 32</td>", html)
    assert "No role" not in html


def test_where_hardly_any_head_has_a_role_cards_of_the_nearest_say_so(planted, bare):
    for found, labeled in ((planted, 3), (bare, 0)):
        page = cards_page(found)
        cards = [block for block in page.blocks if isinstance(block, Card)]
        assert len(cards) == 6
        assert sum("No role. It is nearest to" in card_html(block) for block in cards) == 6 - labeled
        assert f"{6 - labeled} of these cards are of heads that come near a role and have none" in page.lead
    assert page.lead.startswith("None of 32 heads has a role")


def test_a_card_shows_the_prompt_on_which_the_head_scores_highest(planted, batch):
    head = HeadId("cross", 2, 0)
    specimen = planted.specimens[head]
    scores = planted.values["cross"]["punctuation mass"][:, 2, 0]
    assert specimen.score == pytest.approx(float(scores.max()), abs=1e-6)
    assert specimen.id == f"p{int(scores.argmax())}"
    assert specimen.keys == batch.source_texts[specimen.prompt].pieces
    assert specimen.queries == batch.decoder_pieces(specimen.prompt)
    assert specimen.pattern.shape == (len(specimen.queries), len(specimen.keys))
    punctuation = specimen.keys.index(f"▁{PUNCTUATION_ID}")
    np.testing.assert_allclose(specimen.pattern[:, punctuation], 1.0, atol=0.01)


def test_kept_patterns_are_those_of_the_model_whatever_the_batches(tiny_t5, tiny_batch):
    parts = [tiny_batch.select(index) for index in range(len(tiny_batch))]
    apart, together = observe_specimens(tiny_t5, parts), observe_specimens(tiny_t5, [tiny_batch])
    assert apart.keys() == together.keys()
    with torch.no_grad():
        _, cache = tiny_t5.run_with_cache(parts[1], names_filter="*.hook_pattern")
    own = cache["decoder.1.cross_attn.hook_pattern"][0].numpy()
    rows, keys = own.shape[-2:]
    for found in (apart, together):
        np.testing.assert_allclose(found["specimen.cross"][1, 1, :, :rows, :keys] / 255, own, atol=0.5 / 255 + 1e-5)
        assert tuple(piece for piece in found["specimen.source"][1] if piece) == tiny_batch.source_texts[1].pieces


def example(number, tokens=("▁a", "▁b", SCRIPT, "</s>")):
    generator = np.random.default_rng(number)
    patterns = {
        f"pattern.{kind}": generator.dirichlet(np.full(len(tokens), 0.2), size=(2, 3, len(tokens))).astype(np.float32)
        for kind in ATTENTION_KINDS
    }
    patterns["pattern.encoder"][0, 0] = np.eye(len(tokens), k=-1)
    return Example(f"p{number}", tokens, tokens, tokens, patterns, number)


def test_the_page_of_a_prompt_shows_every_head_under_names_of_its_own():
    blocks = portray(example(1))
    assert isinstance(blocks[0], Paragraph)
    sheets = blocks[1:]
    assert [sheet.name for sheet in sheets] == [f"heads-{kind}-prompt-1" for kind in ATTENTION_KINDS]
    assert not {sheet.name for sheet in sheets} & {block.name for block in portray(example(2))[1:]}
    for sheet in sheets:
        *large, table = sheet.parts
        assert isinstance(table, SmallTable)
        assert [len(row) for row in table.rows] == [4, 4]
        assert len(large) == 2
        assert all(isinstance(picture, PatternPicture) for picture in large)
    # Row 0 has no token before it; its weights are all 0, and the first key counts.
    assert sheets[0].parts[-1].rows[0][1].note == "−1: 75 %"


def test_the_sheets_of_a_large_model_keep_the_sharpest_layers():
    tokens = tuple(f"▁{index}" for index in range(100))
    patterns = {f"pattern.{kind}": np.full((6, 12, 100, 100), 0.01, dtype=np.float32) for kind in ATTENTION_KINDS}
    patterns["pattern.cross"][[1, 4], :, :, 0] = 0.9
    sheets = portray(Example("p1", tokens, tokens, tokens, patterns, 1))[1:]
    table = sheets[2].parts[-1]
    assert "the 2 of 6 layers whose heads are sharpest here" in table.caption
    assert [row[0] for row in table.rows] == ["1", "4"]
    assert [len(row) for row in table.rows] == [13, 13]


def test_the_example_of_a_run_can_be_portrayed(batch):
    model = garden().hooked()
    single = batch.select(0)
    with torch.no_grad():
        logits, cache = model.run_with_cache(single, names_filter=list(ANALYSIS.hooks_on(model.cfg)))
        arrays = ANALYSIS.illustrate(Pass(model, single, logits, cache, QUICK))
    pieces = (single.source_texts[0].pieces, single.decoder_pieces(0), single.target_texts[0].pieces)
    blocks = ANALYSIS.prompt_page(Example("p0", *pieces, arrays))
    assert len(blocks) == 4


def test_the_overview_has_every_head_once_with_its_role_or_the_nearest(planted):
    frame = overview_frame(planted)
    assert len(frame) == frame["head"].nunique() == 32
    assert set(frame["head"][:3]) == {"EL0H1", "EL1H1", "XL2H0"}
    assert (frame["role"][3:] == "none").all()
    first = frame.set_index("head").loc["EL0H1"]
    assert first["role"] == first["nearest"] == "previous token"
    assert {"gradient importance", "gradient importance twins", "cluster"} <= set(frame.columns)


def test_copying_is_shown_for_every_head_that_could_copy(planted):
    frame = copying_frame(planted)
    assert len(frame) == 24
    assert set(frame["copying"]) == {"no"}


def test_syntax_has_a_table_and_a_sentence_where_parses_were_given(planted):
    found = SyntacticRelation(
        "amod", "dependent to head", HeadId("encoder", 1, 2), 0.9, 0.85, 0.95, 1, 0.6, 0.3, 41, True
    )
    section = present(replace(planted, syntax=(found,)))
    (table,) = [block for block in section.blocks if isinstance(block, Table) and block.name == "head-syntax"]
    assert table.frame["head"].tolist() == ["EL1H2"]
    (sentence,) = [text for text in section.findings if text.startswith("Against gold parses 1 of 1 relations")]
    assert "EL1H2 on amod (dependent to head): 0.90 [0.85, 0.95] of 41 pairs, offset +1 0.60" in sentence
    assert not any(text.startswith("Against gold parses") for text in present(planted).findings)


def test_the_section_shows_the_sortable_table_in_the_colors_of_the_atlas(planted, bare):
    section = present(planted)
    tables = {block.name: block for block in section.blocks if isinstance(block, Table)}
    assert tables["head-overview"].hues["previous token"] == hue_of("previous token") == "blue"
    assert tables["head-roles"].hues["punctuation sink"] == "orange"
    assert sum(isinstance(block, Figure) for block in section.blocks) <= 13
    assert [page.name for page in section.pages] == ["head-cards", "how-a-role-is-decided", "head-views"]
    assert any(
        isinstance(block, Paragraph) and block.text.startswith("No head has a role at these thresholds.")
        for block in present(bare).blocks
    )


def test_maps_group_heads_by_cluster_and_role_and_compare_with_a_twin(planted):
    layout = planted.maps["encoder"]
    assert np.isfinite(layout.control)
    figure = map_figure(planted, "encoder")
    groups = {group.label: group for group in figure.chart.groups}
    (own,) = [group for label, group in groups.items() if label.endswith(": position")]
    assert set(own.names) == {"EL0H1", "EL1H1"}
    assert (own.hue, own.style) == ("blue", "model")
    assert sum(len(group.names) for group in groups.values()) == 8
    assert "of an untrained twin" in figure.alt


def test_specimens_and_maps_are_left_out_where_they_were_not_measured(planted, batch):
    alone = replace(planted, specimens={}, maps={})
    assert cards_page(alone) is None
    section = present(alone)
    assert [page.name for page in section.pages] == ["how-a-role-is-decided", "head-views"]
    assert not any(block.name.startswith("map-") for block in section.blocks if isinstance(block, Figure))


def test_one_verdict_is_followed_with_every_number(planted):
    """The steps are those of the label, and all hold where it has the role."""
    followed = planted.walkthrough
    assert (str(followed.label.head), followed.label.role) == ("EL0H1", "previous token")
    steps = steps_frame(planted, followed).set_index("condition")
    assert list(steps.index) == ["texts", "rule", "effect", "controls", "test", "stability"]
    assert set(steps["holds"]) == {"yes"}
    assert np.nanmean(followed.scores) == pytest.approx(followed.label.score, abs=1e-6)
    assert followed.label.score >= followed.goal > followed.near_goal > followed.label.null


def test_a_role_with_the_wrong_twins_does_not_hold(planted):
    label = replace(planted.walkthrough.label, low=0.2, control_best=0.3, passes=False)
    steps = steps_frame(planted, replace(planted.walkthrough, label=label)).set_index("condition")
    assert steps.loc["controls", "holds"] == "no"


def test_the_method_card_has_the_rules_of_the_decision():
    """One table: what the decision reads stands in the card, word for word."""
    card = (ROOT / "docs" / "methods" / "head_specialization.md").read_text(encoding="utf-8")
    thresholds = HeadSettings().model_dump()
    for row in (*rule_rows(thresholds), *decision_rows(thresholds)):
        assert f"| {' | '.join(row)} |" in card
