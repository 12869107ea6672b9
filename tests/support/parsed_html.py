"""Markup read back."""

from html.parser import HTMLParser


class Parsed(HTMLParser):
    """Tags and texts of a fragment."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(str(markup))
        assert not {"script", "img", "iframe", "link"} & set(self.tags)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"title", "style", "scope", "class"}
        assert "url(" not in (dict(attrs).get("style") or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
