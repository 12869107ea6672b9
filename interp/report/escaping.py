"""Where does text become HTML? Here, and nowhere else.

Every page, card, view and notebook display is a Jinja template. All that a template prints passes two gates, which no template
can leave out: characters that would be obeyed rather than seen (direction, zero width, control) are spelled out, then those of
HTML are escaped. Only `Markup` passes as it is, and nothing outside `interp.report` makes any.
"""

import functools
from pathlib import Path

import jinja2
from markupsafe import Markup

from interp.report.palette import HUES
from interp.report.visible_text import visible

TEMPLATES = Path(__file__).parent / "templates"


def fill(template: str, **content: object) -> Markup:
    """A template with its content, every text of which was made harmless.

    Args:
        template: name of a file in `templates/`.
        content: what the template prints; text unless it is `Markup`.
    """
    return Markup(_environment().get_template(template).render(content))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_seen,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    # Without Jinja's other filters: some of them (`safe`, `e`, `join`) make markup of text that passed no gate.
    environment.filters = {
        "kind": lambda part: type(part).__name__,
        "color": HUES.__getitem__,
        "length": len,
        "upper": str.upper,
        "json": environment.filters["tojson"],  # for scripts, which hold numbers and identifiers only
    }
    return environment


def _seen(value: object) -> object:
    return value if isinstance(value, Markup | int | float) else visible(str(value))
