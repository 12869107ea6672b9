"""A layered graph: what it refuses, where its parts lie, and what it is on paper and in a browser, by mouse and by keys."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from interp.report import EdgeKind, GraphEdge, GraphNode, LayeredGraph, View
from interp.report.chart_images import ChartImage
from interp.report.layered_graph import GraphLayout, edge_width
from interp.report.page import render
from interp.report.views import graph_view
from tests.support.axe import grave
from tests.support.browser import Browser, needs_chromium
from tests.support.hostile import SCRIPT, intruders
from tests.support.reports import report, section

NODES = (
    GraphNode("source", "src", 0, 0, 0, 0.5),
    GraphNode("EL0H0", "H0", 0, 1, 0, 0.0),
    GraphNode("EL0H1", "H1", 0, 1, 0, 1.0),
    GraphNode("EL0MLP", "MLP", 0, 1, 2, 0.5),
    GraphNode("XL0H0", "X0", 1, 1, 1, 0.0),
    GraphNode("logits", "logits", 1, 2, 0, 0.5),
)


def edge(start: int, end: int, kind: EdgeKind, score: float) -> GraphEdge:
    return GraphEdge(start, end, kind, score, f"note {start} {end}")


EDGES = (
    edge(4, 5, "input", 2.0),
    edge(1, 4, "v", 1.0),
    edge(1, 4, "k", -0.5),
    edge(0, 1, "v", 0.25),
    edge(1, 3, "input", 0.1),
)
GRAPH = LayeredGraph(("Encoder", "Decoder"), ("in", "layer 0", "out"), NODES, EDGES, "logits")


def test_places_follow_columns_lanes_and_bands() -> None:
    layout = GraphLayout.of(GRAPH)
    x = [place[0] for place in layout.nodes]
    y = [place[1] for place in layout.nodes]
    assert x[0] < x[1] == x[2] < x[4] < x[3] < x[5]  # the lane in between is the other band's
    assert y[0] == (y[1] + y[2]) / 2
    assert max(y[:4]) < layout.bands[1] < min(y[4:])
    assert 0 <= min(x) <= max(x) <= layout.width
    assert max(y) <= layout.height
    one, other = (layout.curve(GRAPH, GRAPH.edges[place], (0.3, 0.3)) for place in (1, 2))
    assert one[0] == other[0]
    assert one[-1] != other[-1]  # keys and values of one head lie side by side
    assert one[0][1] > y[1]
    assert one[-1][1] < y[4]
    inside = layout.curve(GRAPH, GRAPH.edges[3], (0.3, 0.3))
    assert inside[0][0] == pytest.approx(x[0] + 0.3)
    assert inside[-1][0] == pytest.approx(x[1] - 0.3)
    assert [edge_width(GRAPH, one) for one in GRAPH.edges][:2] == [1.0, 0.5**0.5]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nodes": ()}, "at least one"),
        ({"nodes": (*NODES, NODES[0])}, "names and places of their own"),
        ({"nodes": (*NODES[:-1], replace(NODES[-1], column=3))}, "outside"),
        ({"edges": EDGES[::-1]}, "strongest first"),
        ({"edges": (edge(0, 6, "v", 1.0),)}, "there are 6 nodes"),
    ],
)
def test_what_is_no_graph_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(GRAPH, **changes)


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_the_figure_names_every_node_and_is_the_same_again(width: str) -> None:
    picture = ChartImage(GRAPH, width).svg()
    texts = [
        "".join(one.itertext()).strip()
        for one in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    ]
    for wanted in ("src", "H0", "H1", "MLP", "X0", "logits", "Encoder", "Decoder", "layer 0", "into keys"):
        assert wanted in texts
    assert picture == ChartImage(GRAPH, width).svg()
    assert ChartImage(GRAPH.strongest(1), width).svg() != picture


def test_words_are_only_ever_text() -> None:
    nodes = (replace(NODES[0], name=SCRIPT, short=SCRIPT), *NODES[1:])
    graph = replace(GRAPH, nodes=nodes, edges=tuple(replace(one, note=SCRIPT) for one in EDGES), unit=SCRIPT)
    markup = str(graph_view("g", graph, SCRIPT, SCRIPT))
    assert not intruders(re.sub(r"<script>.*</script>", "", markup, flags=re.DOTALL))
    assert markup.count("<script>") == 1


def _view() -> View:
    return View("graph", "The graph", graph_view("graph-view", GRAPH), "No figure here.", mouse=False)


def test_a_view_says_whether_it_needs_a_mouse() -> None:
    page = render(report(section(_view())))["index.html"].decode()
    assert "Needs scripts." in page
    assert "mouse" in render(report(section(replace(_view(), mouse=True))))["index.html"].decode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "index.html"
    path.write_bytes(render(report(section(_view())))["index.html"])
    return path


def _open(browser, page, width=1280):
    browser.open(page, width)
    browser.run("document.querySelector('#view-graph').open = true")


def _shown(browser):
    return browser.run(
        "return [...document.querySelectorAll('#graph-view .edge')].filter(one => getComputedStyle(one).display !== 'none')"
        ".map(one => one.dataset.name)"
    )


def _told(browser):
    return browser.run("return document.querySelector('#graph-view .told').textContent")


NAMES = ["XL0H0 → logits", "EL0H0 → XL0H0.v", "EL0H0 → XL0H0.k", "source → EL0H0.v", "EL0H0 → EL0MLP"]


@pytest.mark.slow
@needs_chromium
def test_the_slider_is_a_threshold_and_works_by_keys(browser, page) -> None:
    _open(browser, page)
    assert _shown(browser) == NAMES
    browser.run("document.querySelector('#graph-view input').focus()")
    browser.press("ArrowLeft", "ArrowLeft")
    assert _shown(browser) == NAMES[:3]
    said = browser.run("return document.querySelector('#graph-view output').textContent")
    assert said == "3, each at least 0.50 logits"
    assert browser.run("return document.querySelector('#graph-view input').getAttribute('aria-valuetext')") == said
    browser.run(
        "const one = document.querySelector('#graph-view select'); one.value = 'k';"
        "one.dispatchEvent(new Event('change'))"
    )
    assert _shown(browser) == NAMES[2:3]
    assert browser.log("browser") == []
    assert browser.requests() <= {page.as_uri()}


@pytest.mark.slow
@needs_chromium
def test_pointing_tells_the_score_and_what_else_is_known(browser, page) -> None:
    _open(browser, page)
    browser.point("#graph-view .edge[data-name='XL0H0 → logits']")
    assert _told(browser) == "XL0H0 → logits carries the answer: 2.00 logits.note 4 5"
    browser.point("#graph-view .node[data-name='EL0H0']")
    assert _told(browser).startswith("EL0H0: 1 edges in, 3 out, of those shown.")
    assert "EL0H0 → XL0H0.k works against it: 0.50 logits." in _told(browser)
    browser.point("h1")
    assert "Point at an edge" in _told(browser)


@pytest.mark.slow
@needs_chromium
def test_nodes_are_reached_and_kept_by_keys(browser, page) -> None:
    _open(browser, page)
    browser.run("document.querySelector('#graph-view .node[tabindex=\"0\"]').focus()")
    browser.press("ArrowRight")
    focused = "return document.activeElement.dataset.name"
    assert browser.run(focused) in {"EL0H0", "EL0H1"}
    if browser.run(focused) == "EL0H1":
        browser.press("ArrowUp")
    assert browser.run(focused) == "EL0H0"
    browser.press("Enter")
    assert _shown(browser) == NAMES[1:]
    listed = browser.run("return [...document.querySelectorAll('#graph-view li')].map(one => one.textContent)")
    assert listed[0] == "EL0H0 → XL0H0.v carries the answer: 1.00 logits (note 1 4)"
    assert len(listed) == 4
    assert browser.run("return document.activeElement.getAttribute('aria-pressed')") == "true"
    browser.press("Enter")
    assert _shown(browser) == NAMES
    assert browser.run("return document.querySelector('#graph-view ol').hidden")


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_accessible_and_no_wider_than_the_screen(browser, page, width) -> None:
    _open(browser, page, width)
    assert grave(browser) == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
