import base64
import hashlib
import io
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from interp.report import BarChart, Figure, Heading, Paragraph, Table, View, render
from interp.report import Page as OwnPage
from tests.support.hostile import IMAGE, LONG, NO_WIDTH, OVERRIDE, SCRIPT, TEMPLATE, TEXTS
from tests.support.paths import ROOT
from tests.support.reports import BARS, FRAME, FULL, VIEW, report, section

VOID = {"meta", "img", "source", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """The elements of a page in order, each with its attributes, its text and its ancestors."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(str(html))
        self.close()
        assert not self.open, f"left open: {[element['tag'] for element in self.open]}"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "inside": [parent["tag"] for parent in self.open]}
        assert len(attrs) == len(element["attrs"]), f"an attribute occurs twice in {tag}"
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def one(self, tag, **attributes):
        (found,) = [
            element
            for element in self.all(tag)
            if all(element["attrs"].get(name) == value for name, value in attributes.items())
        ]
        return found


@pytest.fixture(scope="module")
def files():
    return render(FULL)


@pytest.fixture(scope="module")
def page(files):
    return Page(files["index.html"].decode("utf-8"))


@pytest.fixture(scope="module")
def hostile_files():
    # As objects: with pyarrow installed pandas makes strings of its own, which hold no half of a surrogate pair.
    texts = pd.Series(TEXTS, dtype=object)
    frame = pd.DataFrame({"token": texts, SCRIPT: texts, "share": np.linspace(0, 1, len(TEXTS))})
    bars = BarChart(TEXTS, np.linspace(-1, 1, len(TEXTS)), None, None, None, SCRIPT)
    return render(
        report(
            section(
                *(Paragraph(text) for text in TEXTS),
                Table("table", SCRIPT, frame, rows_shown=None),
                Figure("figure", SCRIPT, '"> ' + IMAGE, bars),
                View("view", SCRIPT, Markup("<p>x</p>"), IMAGE + '"'),
                title=SCRIPT,
                question=OVERRIDE,
                findings=TEXTS,
                limits=TEXTS,
            ),
            title=SCRIPT,
            question=IMAGE,
            findings=TEXTS,
            command=SCRIPT,
            provenance=tuple((text, text) for text in TEXTS),
            notes=TEXTS,
        )
    )


def test_the_same_report_gives_the_same_bytes(files):
    assert render(FULL) == files
    assert set(files) == {"index.html", "tables/effects.csv", "figures/effects.svg"}


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(files):
    program = (
        "import sys; from interp.report import render; from tests.support.reports import FULL; "
        "sys.stdout.buffer.write(render(FULL)['index.html'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout == files["index.html"]


def test_nothing_is_loaded_from_outside(page):
    for element in page.elements:
        for name in ("src", "srcset", "href", "action", "data", "poster"):
            address = element["attrs"].get(name)
            if address is not None and element["tag"] == "a":
                assert address.startswith(("#", "tables/", "figures/"))
            elif address is not None:
                assert address.startswith(("data:image/svg+xml;base64,", "data:image/webp;base64,"))
        assert element["tag"] not in {"link", "iframe", "object", "embed", "base", "form"}
    assert "url(" not in page.one("style")["text"]
    assert "@import" not in page.one("style")["text"]


def test_every_inner_link_has_its_target(files, page):
    targets = [element["attrs"]["id"] for element in page.elements if "id" in element["attrs"]]
    assert len(targets) == len(set(targets))
    for link in page.all("a"):
        address = link["attrs"]["href"]
        assert address.removeprefix("#") in targets if address.startswith("#") else address in files
    for element in page.elements:
        for reference in ("aria-labelledby", "aria-describedby"):
            if reference in element["attrs"]:
                assert element["attrs"][reference] in targets


def allowed_hashes(page):
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"})["attrs"]["content"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert set(directives) == {"default-src", "style-src", "script-src", "img-src", "base-uri", "form-action"}
    return directives["script-src"].split()


def test_exactly_the_scripts_of_the_page_are_allowed(page):
    found = [
        "'sha256-" + base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode() + "'"
        for script in page.all("script")
        if "type" not in script["attrs"]  # what is packed in the page is no script
    ]
    assert len(found) == 5
    assert allowed_hashes(page) == found
    assert not [element for element in page.elements if any(name.startswith("on") for name in element["attrs"])]


def test_a_page_without_scripts_carries_no_libraries():
    html = render(report(section(Paragraph("Text."), View("v", "View", Markup("<p>Left out.</p>"), "Too long."))))[
        "index.html"
    ]
    page = Page(html.decode())
    assert not page.all("script")
    assert allowed_hashes(page) == ["'none'"]
    assert len(html) < 20_000


def test_headings_are_in_order(page):
    levels = [int(element["tag"][1]) for element in page.elements if re.fullmatch(r"h[1-6]", element["tag"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_reader_finds_question_findings_command_evidence_limits_provenance_in_this_order(page):
    text = page.one("body")["text"]
    wanted = (
        "A title",
        "A question?",
        "A finding.",
        "interp run heads --seed 0",
        "XL0H1 does 0.62",
        "First.",
        "Few prompts.",
        "A note.",
        "weights",
    )
    places = [text.index(words) for words in wanted]
    assert places == sorted(places)
    assert page.one("html")["attrs"]["lang"] == "en"
    assert [element["text"] for element in page.all("p") if element["text"] in ("First.", "Second line.")] == [
        "First.",
        "Second line.",
    ]


def test_tables_are_accessible(page):
    first = page.elements.index(page.all("table")[0])
    second = page.elements.index(page.all("table")[1])
    table = page.elements[first:second]
    assert [element["tag"] for element in table[1:3]] == ["caption", "span"]
    assert table[2]["text"] == "Table 1. One row a head."
    heads = [element for element in table if element["tag"] == "th"]
    assert [head["attrs"]["scope"] for head in heads] == ["col"] * 3 + ["row"] * 3
    cells = [element for element in table if element["tag"] in ("th", "td") and "tbody" in element["inside"]]
    assert [cell["text"] for cell in cells] == ["XL0H0", "−1.00", "0", "XL0H1", "–", "1", "XL0H2", "−0.79", "2"]
    assert ["number" in cell["attrs"].get("class", "") for cell in cells] == [False, True, True] * 3
    (missing,) = [element for element in table if element["attrs"].get("title") == "not defined"]
    assert missing["text"] == "–"
    region = page.elements[first - 1]["attrs"]
    assert (region["role"], region["tabindex"]) == ("region", "0")
    assert "3 of 20 rows. The whole table as CSV: effects.csv" in " ".join(page.one("body")["text"].split())


def test_the_csv_holds_what_the_page_leaves_out(files):
    assert len(files["tables/effects.csv"].splitlines()) == 21


def test_figures_have_words_and_two_widths(files, page):
    image, source = page.one("img")["attrs"], page.one("source")["attrs"]
    assert image["alt"] == "XL0H1 does 0.62 of the work, the most of 2."
    assert base64.b64decode(image["src"].partition(",")[2]) == files["figures/effects.svg"]
    assert int(source["width"]) < 340 < 800 < int(image["width"])
    assert source["srcset"] != image["src"]


def test_a_view_waits_in_details_and_points_to_its_twin(page):
    details = page.one("details", id="view-view")
    assert "open" not in details["attrs"]
    assert "The same without either: Figure 1." in " ".join(details["text"].split())
    assert any("requirejs([" in script["text"] and "details" in script["inside"] for script in page.all("script"))


def test_hostile_texts_make_no_element(hostile_files):
    page = Page(hostile_files["index.html"].decode("utf-8"))
    (script,) = page.all("script")
    assert "details.table" in script["text"], "the only script is that of tables"
    assert len(page.all("img")) == 1
    assert not [element for element in page.elements if any(name.startswith("on") for name in element["attrs"])]
    assert page.one("h1")["text"] == SCRIPT
    assert page.one("title")["text"] == SCRIPT
    assert page.one("img")["attrs"]["alt"] == '"> ' + IMAGE
    text = page.one("body")["text"]
    assert text.count(TEMPLATE) >= 5
    assert LONG in text


def test_hostile_texts_do_not_turn_or_hide_anything(hostile_files):
    html = hostile_files["index.html"].decode("utf-8")
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029\x00\ud800-\udfff]", html)
    page = Page(html)
    assert "[U+202E]abc[U+202C]" in page.one("body")["text"]
    assert "a[U+200B]b[U+FEFF]" in page.one("body")["text"]
    cells = [
        element
        for element in page.all("td")
        if "bdi" not in element["inside"] and "number" not in str(element["attrs"])
    ]
    isolated = [element for element in page.all("bdi") if element["inside"][-1] in ("td", "th")]
    assert len(isolated) >= len(cells) > 0


def test_hostile_texts_in_the_files_beside_the_page(hostile_files):
    picture = hostile_files["figures/figure.svg"]
    assert b"&lt;script&gt;alert" in picture
    assert b"<script" not in picture
    table = pd.read_csv(io.BytesIO(hostile_files["tables/table.csv"]))
    assert table["token"][0] == SCRIPT
    assert table["token"][5] == NO_WIDTH
    assert table["token"][7].startswith("'=")
    assert len(table) == len(TEXTS)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ((section(), section()), r"Section 'heads' occurs 2 times; every section of a report needs its own name"),
        ((section(Table("t", "C.", FRAME), Table("t", "C.", FRAME)),), r"Table 't' occurs 2 times"),
        ((section(VIEW),), r"View 'view' names the figure 'effects' as its fallback, but its page has no figures"),
        (
            (section(View("v", "V", Markup('<script src="https://example.org/x.js"></script>'), "None yet.")),),
            r"View 'v' would load 'https://example.org/x.js'; a page must hold everything it shows",
        ),
        (
            (section(View("v", "V", Markup('<a href="//example.org">x</a>'), "None yet.")),),
            r"View 'v' would load '//example.org'",
        ),
        (
            (section(View("v", "V", VIEW.html, "None yet."), View("w", "W", VIEW.html, "None yet.")),),
            r"The same interactive view \(bertviz-1\) occurs twice",
        ),
    ],
)
def test_reports_that_cannot_be_shown_are_refused(sections, message):
    with pytest.raises(ValueError, match=message):
        render(report(*sections))


def test_a_table_and_a_figure_may_share_a_name(files):
    assert {"tables/effects.csv", "figures/effects.svg"} <= set(files)


@pytest.mark.parametrize("library", ["d3.min.js", "jquery.slim.min.js"])
def test_the_carried_libraries_are_the_published_ones(library):
    vendor = ROOT / "interp" / "report" / "vendor"
    (line,) = [line for line in (vendor / "README.md").read_text().splitlines() if line.startswith(f"| `{library}`")]
    content = (vendor / library).read_bytes()
    assert hashlib.sha256(content).hexdigest() in line
    version = {"d3.min.js": "5.7.0", "jquery.slim.min.js": "3.7.1"}[library]
    assert f"| {version} |" in line
    assert f"v{version}".encode() in content[:120]
    assert (vendor / re.search(r"LICENSE-\w+\.txt", line)[0]).stat().st_size > 1000
    assert b"</script" not in content.lower()


def test_the_package_imports_neither_torch_nor_pyplot():
    program = (
        "import sys, interp.report\n"
        "print(sorted({'torch', 'transformers', 'bertviz', 'matplotlib.pyplot', 'IPython'} & set(sys.modules)))\n"
        "print(sorted(name for name in sys.modules if name.startswith('interp.') and not name.startswith('interp.report')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["[]", "[]"]
    assert done.stderr == ""


def test_a_page_of_its_own_is_linked_and_links_back():
    own = OwnPage(
        "head-cards", "Every head", "One card a head.", (Heading("Cards"), Table("cards", "A row a head.", FRAME))
    )
    files = render(report(section(Paragraph("Text."), pages=(own,))))
    assert set(files) == {"index.html", "pages/head-cards.html", "tables/cards.csv"}
    index, page = (Page(files[name].decode()) for name in ("index.html", "pages/head-cards.html"))
    assert index.one("a", href="pages/head-cards.html")["text"] == "Every head"
    assert page.one("a", href="../index.html")
    assert page.one("a", href="../tables/cards.csv")
    assert [element["text"] for element in page.all("h2")] == ["Cards"]
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"})["attrs"]["content"]
    assert "script-src 'none'" in policy
    assert b"<script" not in files["pages/head-cards.html"]


def test_a_page_carries_the_libraries_only_where_bertviz_draws():
    plain = View("plain", "Plain", Markup("<p>x</p><script>let a;</script>"), "There is none.")
    pages = (
        OwnPage("one", "One", "Lead.", (plain,)),
        OwnPage("two", "Two", "Lead.", (Figure("effects", "c", "a", BARS), VIEW)),
    )
    files = render(report(section(Paragraph("Text."), pages=pages)))
    assert [b"jQuery" in files[name] for name in ("pages/one.html", "pages/two.html", "index.html")] == [
        False,
        True,
        False,
    ]
    assert files["pages/one.html"].count(b"<script") == 1
    assert b"<script" not in files["index.html"]


def test_a_view_may_not_fall_back_on_a_figure_of_another_page():
    with pytest.raises(
        ValueError, match="'view' names the figure 'effects' as its fallback, but its page has no figures"
    ):
        render(report(section(Figure("effects", "c", "a", BARS), pages=(OwnPage("one", "One", "Lead.", (VIEW,)),))))


def test_a_name_is_used_once_over_all_pages():
    table = Table("cards", "A row a head.", FRAME)
    with pytest.raises(ValueError, match="Table 'cards' occurs 2 times"):
        render(report(section(table, pages=(OwnPage("one", "One", "Lead.", (table,)),))))
    with pytest.raises(ValueError, match="Page 'one' has no blocks"):
        OwnPage("one", "One", "Lead.", ())
