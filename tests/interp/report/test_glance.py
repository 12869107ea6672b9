"""What a report says at a glance, and in which order a section is read."""

import numpy as np
import pandas as pd
import pytest

from interp.report import Figure, Finding, Heading, Headline, Page, Paragraph, Section, Span, Table, judge, render
from interp.report.bibliography import bibtex
from interp.report.explorer import HeadNote
from interp.statistics import Estimate, Interval, controlled
from tests.support.reports import BARS, report


def estimated(low: float, high: float, controls: tuple[float, ...] = (0.2, 0.24, 0.25, 0.26, 0.3)) -> Estimate:
    """Controls whose prediction interval is 0.25 -/+ 0.11."""
    ends = Interval(*(np.asarray(one) for one in ((low + high) / 2, low, high)), count=np.asarray(24))
    return controlled(ends, list(controls))


@pytest.mark.parametrize(
    ("estimate", "holds", "expected"),
    [
        (estimated(0.37, 0.4), True, "beyond all controls"),
        (estimated(0.1, 0.13), True, "beyond all controls"),
        (estimated(0.37, 0.4), False, "within the controls"),
        (estimated(0.31, 0.4), True, "within the controls"),
        (estimated(0.29, 0.4), True, "within the controls"),
        (estimated(0.37, 0.4, (0.2,)), True, "not judged"),
        (estimated(0.37, 0.4, ()), True, "not judged"),
        (estimated(np.nan, np.nan), True, "not judged"),
    ],
)
def test_a_number_is_judged_by_its_whole_interval_and_what_one_more_control_may_have(estimate, holds, expected):
    assert judge(estimate, holds) == expected


@pytest.mark.parametrize("sentence", ["word " * 21, "It rises (p < 0.001).", "It rises, p = 0.03.", " "])
def test_headlines_are_short_and_speak_of_no_p_value(sentence):
    with pytest.raises(ValueError, match=r"A headline has at most 20 words|A plain sentence says something"):
        Headline(sentence, "not judged")


def section(**changes):
    fields = {
        "name": "heads",
        "title": "Heads",
        "question": "Which heads?",
        "findings": ("Said in full, with controls 0.1 to 0.2.", "Another finding in full."),
        "blocks": (
            Table(
                "first", "A table. With more words.", pd.DataFrame({"head": ["XL0H1", "no head"], "effect": [1.0, 2.0]})
            ),
            Figure("other", "Other figure.", "Alt 1.", BARS),
            Paragraph("In between."),
            Figure("main", "Main figure.", "Alt 2.", BARS),
        ),
        "limits": ("Few prompts.",),
        "headline": Headline("XL0H1 does 62 % of the work.", "beyond all controls", "main"),
        "highlights": (Finding("XL0H1 does 0.62 [0.60, 0.64] of it.", ("Said in full, with controls 0.1 to 0.2.",)),),
        "methods": ("How it was measured.",),
        "cites": ("voita2019",),
    }
    return Section(**{**fields, **changes})


FACTS = (("Model", "toy"), ("Prompts", "3"))


def page(*sections, **changes):
    fields = {"facts": FACTS, "explorer": "explorer.html"}
    return render(report(*sections, **{**fields, **changes}))["index.html"].decode()


def places(text, *wanted):
    found = [text.index(words) for words in wanted]
    assert found == sorted(found), dict(zip(wanted, found, strict=True))


def test_the_first_screen_has_facts_and_a_card_for_every_section_with_a_headline():
    html = page(section(), section(name="more", title="More", headline=None, blocks=(), cites=()))
    header = html[html.index("<header>") : html.index("</header>")]
    places(header, "Model", "toy", 'href="#section-heads"', "data:image/webp", "62 % of the work", "beyond all")
    assert 'href="explorer.html"' in header
    assert header.count("<article>") == 1
    assert "A question?" not in header
    assert "A finding." not in header


def test_a_report_without_headlines_opens_with_its_findings():
    html = page(section(headline=None), facts=(), explorer="")
    header = html[html.index("<header>") : html.index("</header>")]
    assert "A finding." in header
    assert "<article>" not in header


def test_a_section_is_read_from_its_main_figure_to_its_limits():
    html = page(section())
    body = html[html.index('id="section-heads"') :]
    places(
        body, "Which heads?", "Main figure.", "XL0H1 does 0.62", "What stands behind it", "1 more in full", "Other figure.",
        "In between.", 'id="table-first"', "How it was measured.", "Few prompts.", "Cite this",
    )  # fmt: skip
    assert "<b>Figure 1.</b> Main figure." in body
    assert body.count("Said in full, with controls") == 1
    assert body.count("Another finding in full.") == 1
    assert "@inproceedings{voita2019," in body
    assert "@software{t5interp," in body


def test_methods_and_limits_are_never_folded():
    html = page(section())
    for words in ("How it was measured.", "Few prompts."):
        before = html[: html.index(words)]
        assert before.count("<details") == before.count("</details>")


def test_findings_without_highlights_are_five_and_the_rest_on_request():
    html = page(section(highlights=(), findings=tuple(f"Finding number {index}." for index in range(7))))
    places(html, "Finding number 4.", "2 more in full", "Finding number 5.")


def test_heads_of_tables_lead_to_the_page_to_explore():
    assert '<a href="explorer.html#XL0H1"><bdi>XL0H1</bdi></a>' in page(section())
    assert "explorer.html#no" not in page(section())
    assert "explorer.html#" not in page(section(), explorer="")
    noted = {"XL0H1": HeadNote("role", "r", "blue", 0.5, "certain")}
    assert "Explore these heads" in page(section(heads=noted))


def test_pages_that_a_table_leads_to_are_not_listed_again():
    own = tuple(Page(f"prompt-{number}", f"Prompt number {number}", "Lead.", (Heading("A"),)) for number in (1, 2))
    table = Table(
        "prompts", "Prompts.", pd.DataFrame({"prompt": ["one"]}), addresses=("pages/prompt-1.html",), opened=True
    )
    html = page(section(headline=None, blocks=(table,), pages=own))
    assert '<a href="pages/prompt-1.html"><bdi>one</bdi></a>' in html
    assert "Prompt number 1" not in html
    assert "Prompt number 2" in html
    assert 'id="table-prompts" open' in html


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: section(headline=Headline("A.", "not judged", "none")), r"names the figure 'none', which it lacks"),
        (lambda: section(highlights=(Finding("A."),) * 6), r"has 6 highlights; give the 5 that matter"),
        (lambda: Table("t", "C.", pd.DataFrame({"a": [1]}), spans=(Span("b"),)), r"cannot show the columns \['b'\]"),
        (lambda: Table("t", "C.", pd.DataFrame({"a": [1]}), addresses=("https://a.org",)), r"needs an address beside"),
        (
            lambda: Table("t", "C.", pd.DataFrame({"a": [1]}), addresses=("a.html", "b.html")),
            r"needs an address beside",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_work_that_the_bibliography_lacks_is_refused():
    with pytest.raises(KeyError, match="nobody1900"):
        bibtex(("nobody1900",))
