"""The page to explore as one file: markup by a template, one style, scripts by their hashes, data as text that is never run."""

from markupsafe import Markup

from interp.report.escaping import TEMPLATES, fill
from interp.report.explorer.contents import Explorer
from interp.report.explorer.packing import MOST_BYTES, packed_index, packed_prompt
from interp.report.policy import script_policy


def explorer_page(explorer: Explorer, title: str, home: str = "", most_bytes: int = MOST_BYTES) -> bytes:
    """The page as HTML.

    Args:
        explorer: the contents.
        title: heading of the page.
        home: address of the report beside the page; empty where there is none.
        most_bytes: prompts beyond so many bytes are left out, and the page says how many.

    Raises:
        ValueError: without prompts, or if not even the first fits.
    """
    packed: list[str] = []
    room = most_bytes
    for prompt in explorer.prompts:
        text = packed_prompt(prompt)
        if len(text) > room:
            break
        packed.append(text)
        room -= len(text)
    if not packed:
        raise ValueError(
            f"A page to explore needs a prompt of at most {most_bytes} bytes; it got {len(explorer.prompts)}."
        )
    scripts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("drawing.js", "explorer.js")]
    html = fill(
        "explorer.html.jinja",
        title=title,
        home=home,
        note=explorer.note,
        total=len(explorer.prompts),
        # Our own files, and base 64, hold no character that HTML would read.
        style=Markup(
            "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "explorer.css"))
        ),
        libraries=list(map(Markup, scripts)),
        index=Markup(packed_index(explorer, tuple(prompt.title for prompt in explorer.prompts[: len(packed)]))),
        packed=list(map(Markup, packed)),
        policy=script_policy(scripts),
    )
    return html.encode("utf-8", errors="replace")
