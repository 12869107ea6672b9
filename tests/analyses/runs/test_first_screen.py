"""The bundled run's report as people meet it: few words, one number a sentence, files that open at once."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analyses.core.registry import DEFAULT
from tests.support.example import EXAMPLE

pytestmark = pytest.mark.slow

# A count such as "3 of 72" is one number; names, offsets and intervals in brackets are none.
NUMBER = re.compile(r"(?<![\w.−+-])\d[\d.,]*(?: of \d+)?(?![\w−-])")
HEADER = re.compile(r"<header>(.*?)<p class=\"command-label\"", re.DOTALL)


class Words(HTMLParser):
    """What a reader sees of a piece of markup."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(markup)

    def handle_data(self, data: str) -> None:
        self.found += data.split()


def numbers(sentence: str) -> list[str]:
    return NUMBER.findall(re.sub(r"\[[^\]]*\]", "", sentence))


def test_the_first_screen_has_at_most_120_words_and_20_for_circuits_and_no_p_value(example_run: Path) -> None:
    found = HEADER.search((example_run / "index.html").read_text(encoding="utf-8"))
    assert found is not None
    words = Words(found[1]).found
    assert 40 < len(words) <= 120 + 20 * (len(EXAMPLE.analyses) - len(DEFAULT)), " ".join(words)
    assert not re.search(r"\bp [=<>]", " ".join(words))
    assert found[1].count("<article>") == len(EXAMPLE.analyses)


def test_headlines_and_highlights_are_plain_sentences_with_one_number(example_run: Path) -> None:
    for name, found in json.loads((example_run / "results.json").read_text(encoding="utf-8")).items():
        assert len(found["highlights"]) <= 5, name
        for sentence in (found["headline"]["sentence"], *found["highlights"]):
            assert len(numbers(sentence)) <= 1, sentence
            assert sentence.endswith("."), sentence


def test_pages_are_light(example_run: Path) -> None:
    # 2.5 MB without circuits, whose graphs and tables are on it too.
    assert (example_run / "index.html").stat().st_size <= 3_000_000
    assert (example_run / "explorer.html").stat().st_size <= 6_000_000


def test_tables_on_the_page_have_at_most_eight_columns(example_run: Path) -> None:
    page = (example_run / "index.html").read_text(encoding="utf-8")
    heads = re.findall(r'<details class="block table".*?<thead>(.*?)</thead>', page, re.DOTALL)
    assert len(heads) > 20
    assert max(head.count('<th scope="col"') for head in heads) <= 8
