"""Texts that a page, a picture or a spreadsheet must show and not obey, and what obeying them looks like."""

import re
from html.parser import HTMLParser

SCRIPT = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"
TEMPLATE = "{{7*7}}{% raw %}"
OVERRIDE = "\u202eabc\u202c"
ARABIC = "مرحبا"
NO_WIDTH = "a\u200bb\ufeff"
LONG = "x" * 10_000
FORMULA = '=HYPERLINK("http://example.org")'
MARKERS = "const params = }; // HACK: PYTHON_PARAMS requirejs(["
COMMENT = "<!-- --> ]]> <![CDATA["
SEPARATORS = "\u2028\u2029\x00\ud800\u2066\u2067"

TEXTS = (
    SCRIPT,
    IMAGE,
    TEMPLATE,
    OVERRIDE,
    ARABIC,
    NO_WIDTH,
    LONG,
    FORMULA,
    MARKERS,
    COMMENT,
    SEPARATORS,
    "'\"&amp;",
    "$x_2$",
)

OBEYED = re.compile("[\u200b\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029\x00\ud800-\udfff]")


class _Elements(HTMLParser):
    """What in a piece of markup came from a text and not from us."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False
        self.feed(str(markup))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        values = dict(attrs)
        self.found += [f"{tag} {name}" for name in values if name.startswith("on")]
        if tag == "img" and not (values.get("src") or "").startswith("data:"):
            self.found.append("img from elsewhere")
        if tag == "iframe":
            self.found += intruders(values["srcdoc"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment {data!r}")

    def handle_data(self, data: str) -> None:
        if self._script and data.startswith("alert"):
            self.found.append("a script")


def intruders(markup: str) -> list[str]:
    """Everything in a page or fragment that a hostile text would have put there."""
    return [*_Elements(markup).found, *(f"U+{ord(found):04X}" for found in OBEYED.findall(markup))]
