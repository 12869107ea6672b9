import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from interp.report.views import AttentionPatterns, head_view, model_view
from interp.report.views.bertviz_fragment import fragment
from tests.support.attention_patterns import HOSTILE, attention
from tests.support.hostile import TEXTS
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

KINDS = ("encoder", "decoder", "cross")


WORDS = ("▁The", "▁cat", "▁sat", ".", "</s>")


class Fragment(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self.words, self.attributes = [], [], "", []
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.tags[-1] == "script":
            self.scripts.append(data)
        else:
            self.words += data

    @property
    def params(self):
        (script,) = self.scripts
        return json.JSONDecoder().raw_decode(script, script.index("const params = ") + len("const params = "))[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("view", [head_view, model_view])
def test_a_view_is_the_same_twice_and_loads_nothing(view, kind):
    html = view(HOSTILE, kind)
    assert html == view(HOSTILE, kind)
    assert "http" not in html.replace("[U+", "").lower()
    parsed = Fragment(html)
    assert set(parsed.tags) <= {"p", "div", "script", "label", "select"}
    assert parsed.tags.count("script") == 1
    assert not [name for name, _ in parsed.attributes if name in ("src", "href", "style") or name.startswith("on")]
    assert "console." not in html
    assert "require.config" not in html


def test_another_process_gives_the_same_view():
    program = (
        "import sys; from interp.report.views import head_view; from tests.support.attention_patterns import HOSTILE; "
        "sys.stdout.buffer.write(head_view(HOSTILE, 'cross').encode())"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode() == head_view(HOSTILE, "cross")


@pytest.mark.parametrize("view", [head_view, model_view])
def test_hostile_tokens_are_only_data(view):
    html = view(HOSTILE, "encoder")
    start = html.index("const params = ")
    line = html[start : html.index("\n", start)]
    assert not re.search("[<>&\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff]", line)
    (shown,) = Fragment(html).params["attention"]
    assert shown["left_text"][0] == "</script><s…"
    assert shown["left_text"][3] == "[U+202E]abc…"
    assert shown["left_text"][4] == "مرحبا"
    assert all(0 < len(token) <= 12 for token in shown["left_text"])
    assert html.count("alert") == 0


def test_tokens_stay_visible():
    (shown,) = Fragment(model_view(HOSTILE, "decoder")).params["attention"]
    assert shown["left_text"] == ["<pad>", "·Die", "·", "∅"]


@pytest.mark.parametrize(
    ("kind", "shape", "left", "right"),
    [("encoder", (2, 5, 13, 13), 13, 13), ("decoder", (3, 4, 4, 4), 4, 4), ("cross", (3, 4, 4, 13), 4, 13)],
)
@pytest.mark.parametrize("view", [head_view, model_view])
def test_unequal_depths_and_head_counts_keep_every_layer(view, kind, shape, left, right):
    params = Fragment(view(HOSTILE, kind)).params
    (shown,) = params["attention"]
    values = np.array(shown["attn"])
    assert values.shape == shape
    np.testing.assert_allclose(values, HOSTILE.of(kind), atol=5.1e-4)
    assert (len(shown["left_text"]), len(shown["right_text"])) == (left, right)
    assert params["include_layers"] == list(range(shape[0]))


def test_the_payload_is_there_once_and_short():
    patterns = attention(source=WORDS)
    html = head_view(patterns, "encoder")
    assert html.count('"attn"') == 1
    numbers = re.search(r'"attn":(\[.*?\]\]\]\])', html)[1]
    assert max(len(number) for number in re.split(r"[\[\],]+", numbers)) <= len("0.123")
    assert not re.search(r"\b[01]\.0\b", numbers)


def test_different_views_have_different_roots():
    views = [view(HOSTILE, kind) for view in (head_view, model_view) for kind in KINDS]
    views.append(head_view(HOSTILE, "cross", layer=1))
    roots = [re.search(r'id="(bertviz-[0-9a-f]{16})"', html)[1] for html in views]
    assert len(set(roots)) == len(views)
    for html, root in zip(views, roots, strict=True):
        assert Fragment(html).params["root_div_id"] == root


def test_layers_and_heads_can_be_chosen():
    params = Fragment(head_view(HOSTILE, "cross", layer=2, heads=(1, 3), include_layers=(0, 2))).params
    assert (params["layer"], params["heads"], params["include_layers"]) == (2, [1, 3], [0, 2])
    params = Fragment(model_view(HOSTILE, "cross", include_layers=(2,), include_heads=(3, 1))).params
    np.testing.assert_allclose(np.array(params["attention"][0]["attn"]), HOSTILE.cross[[2]][:, [1, 3]], atol=5.1e-4)
    assert params["include_heads"] == [1, 3]


def test_layers_beyond_the_budget_are_left_out_and_named():
    patterns = attention(encoder_layers=6, source=WORDS)
    html = model_view(patterns, "encoder", line_budget=5 * 25 * 2)
    assert Fragment(html).params["include_layers"] == [0, 5]
    assert "2 of 6 layers: 0, 5" in Fragment(html).words
    assert "of 6 layers" not in Fragment(model_view(patterns, "encoder", line_budget=5 * 25 * 6)).words


def test_a_view_beyond_the_budget_is_a_sentence():
    patterns = attention(source=WORDS)
    for html in (head_view(patterns, "encoder", line_budget=124), model_view(patterns, "encoder", line_budget=124)):
        assert Fragment(html).tags == ["p"]
        assert re.search(r"encoder self-attention .*\b125 lines.*\b124\b", html)
    assert Fragment(head_view(patterns, "encoder", line_budget=125)).scripts


def test_a_long_head_view_keeps_its_first_layer_within_the_payload_budget():
    source = [f"▁w{index}" for index in range(63)]
    patterns = attention(encoder_layers=20, source=source)
    html = head_view(patterns, "encoder", layer=7)
    layers = Fragment(html).params["include_layers"]
    assert len(layers) == 250_000 // (5 * 63 * 63)
    assert 7 in layers
    assert f"this view holds {len(layers)} of 20 layers" in html


def test_many_heads_are_said_to_repeat_colors():
    assert "Colors repeat after 10 heads." in head_view(attention(encoder_heads=11, source=WORDS), "encoder")
    assert "Colors repeat" not in head_view(attention(encoder_heads=10, source=WORDS), "encoder")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: head_view(HOSTILE, "cross", heads=(4,)),
            r"heads to show must be distinct numbers from 0 to 3 .* got \[4\]",
        ),
        (lambda: head_view(HOSTILE, "cross", include_layers=()), r"layers to show must be .* at least one, got \[\]"),
        (lambda: model_view(HOSTILE, "encoder", include_layers=(0, 0)), r"distinct numbers from 0 to 1"),
        (
            lambda: head_view(HOSTILE, "cross", layer=1, include_layers=(0, 2)),
            r"Layer 1 .* not among the layers \[0, 2\]",
        ),
        (
            lambda: AttentionPatterns(
                HOSTILE.encoder, HOSTILE.decoder, HOSTILE.cross, TEXTS[1:], HOSTILE.target_tokens
            ),
            r"encoder self-attention must have shape \[layer, head, 12, 12\] .* got \[2, 5, 13, 13\]",
        ),
        (
            lambda: AttentionPatterns(
                HOSTILE.encoder, HOSTILE.decoder * np.float32(np.nan), HOSTILE.cross, TEXTS, HOSTILE.target_tokens
            ),
            r"decoder self-attention holds a weight outside \[0, 1\] or NaN",
        ),
        (
            lambda: AttentionPatterns(
                HOSTILE.encoder, HOSTILE.decoder, np.log(HOSTILE.cross), TEXTS, HOSTILE.target_tokens
            ),
            r"cross-attention holds a weight outside \[0, 1\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["head_view", "model_view"])
def test_the_contract_with_bertviz(name):
    """What is relied upon in the scripts of BertViz; if this fails after an upgrade, read the new scripts first."""
    import bertviz

    script = (Path(bertviz.__file__).parent / f"{name}.js").read_text(encoding="utf-8")
    marker = (
        "const params = PYTHON_PARAMS; // HACK: PYTHON_PARAMS is a template marker that is replaced by actual params.\n"
    )
    assert script.count("PYTHON_PARAMS") == 2
    assert script.count(marker) == 1
    assert len(re.findall(r"^requirejs\(\['jquery', 'd3'\], function ?\(\$, d3\) \{$", script, re.MULTILINE)) == 1
    assert script.index("requirejs([") < script.index(marker)
    after = script[script.index("requirejs([") :]
    assert "http" not in after
    assert not re.findall(r"\b(eval|Function|fetch|XMLHttpRequest|import)\(", after)
    ids = set(re.findall(r"\} #(\w+)", after))
    assert ids <= {"layer", "filter", "vis"}
    assert {"layer", "vis"} <= ids if name == "head_view" else "vis" in ids
    assert "onclick" not in after
    handlers = re.findall(r"\.on\(\"(?:click|mouseover)\", (.*)", after)
    assert "function (d, index) {" in handlers or "function (d, i) {" in handlers, "D3 5 passes (datum, index)"


@pytest.mark.parametrize("page", ["<p>nothing</p>", "requirejs([", 'requirejs([ const params = {"a": 1};\n</script>'])
def test_another_bertviz_is_refused_by_name(page):
    with pytest.raises(RuntimeError, match=r"BertViz [\d.]+ does not write .* install bertviz==1\.4\.1"):
        fragment(page, "head_view", "", [])


def test_importing_the_views_imports_neither_torch_nor_bertviz():
    program = (
        "import sys, interp.report.views; print(sorted({'torch', 'bertviz', 'IPython', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
