"""Texts that a page, a picture or a spreadsheet must show and not obey."""

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
SEPARATORS = "\u2028\u2029\x00\ud800"

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
