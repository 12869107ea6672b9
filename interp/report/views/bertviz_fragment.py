"""How is a page that BertViz wrote made offline, inert and reproducible?

BertViz 1.4.1 returns a script address, a `<div>` with a random identifier, and one script that asks an AMD loader for D3
and jQuery and holds the parameters as JSON, once in code and once more in a remark. Only the function that draws and
one copy of the parameters are kept. Every character of the parameters that HTML could read is escaped (as in OWASP,
"Cross Site Scripting Prevention", rule for JSON in a page), and the identifier is a hash of them.
"""

import hashlib
import importlib.metadata
import json
import re
from typing import Any

import numpy as np
from markupsafe import Markup

from interp.report.escaping import fill

_START = "const params = "
_AFTER = "; // HACK: "
_REMARK = " is a template marker"
_CALL = "requirejs(["
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def fragment(page: str, view: str, name: str, sentences: list[str]) -> Markup:
    """BertViz's script and parameters, taken out of its page and put together again.

    Args:
        page: what BertViz returned for one kind of attention.
        view: `head_view` or `model_view`.
        name: tells two views of the same numbers on one page apart.
        sentences: what the reader should know; empty ones are left out.

    Returns:
        The fragment: sentences, an empty root element, and the script that fills it through `requirejs`.

    Raises:
        RuntimeError: if the installed BertViz writes its page differently.
    """
    before, params, after = _split(page)
    for attention in params["attention"]:
        attention["attn"] = _round(attention["attn"])
    params["root_div_id"] = ""
    digest = hashlib.sha256((view + name + json.dumps(params, sort_keys=True)).encode("utf-8")).hexdigest()
    root = params["root_div_id"] = f"bertviz-{digest[:16]}"
    payload = json.dumps(params, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    payload = "".join(_ESCAPES.get(character, character) for character in payload)
    origin = f"/* {view}.js of BertViz {importlib.metadata.version('bertviz')} by Jesse Vig, Apache License 2.0 */"
    # BertViz's own script, and parameters that hold no character which HTML would read.
    script = Markup(f"\n{origin}\n{before}{payload}{after}")
    return fill(
        "bertviz.html.jinja", sentences=sentences, root=root, script=script, choice_of_layer=view == "head_view"
    )


def _split(page: str) -> tuple[str, dict[str, Any], str]:
    """Cut BertViz's page into the script before its parameters, the parameters, and the script after them.

    The parameters stand in the script twice, the second time in a remark, which is dropped. They are read with a
    JSON decoder and not by a pattern, because tokens may contain anything that a pattern could look for.
    """
    start = page.find(_CALL)
    begin = page.find(_START, start) + len(_START)
    if start < 0 or begin < len(_START) + start:
        raise RuntimeError(_changed(_START))
    params, end = json.JSONDecoder().raw_decode(page, begin)
    text = page[begin:end]
    remark = f"{_AFTER}{text}{_REMARK}"
    if not page.startswith(remark, end):
        raise RuntimeError(_changed(_AFTER))
    rest = page[page.index("\n", end + len(remark)) : page.rindex("</script>")]
    return page[start:begin], params, _quiet(";" + rest)


def _quiet(script: str) -> str:
    """The script without its messages to the console."""
    return re.sub(r"^\s*console\.log\([^\n]*\);?$\n", "", script, flags=re.MULTILINE)


def _changed(marker: str) -> str:
    version = importlib.metadata.version("bertviz")
    return (
        f"BertViz {version} does not write {marker!r} where BertViz 1.4.1 does, so its view cannot be made safe; "
        "install bertviz==1.4.1."
    )


def _round(attention: list[Any]) -> list[Any]:
    """Three decimals, and whole numbers without a fraction: what a line's opacity can show, in a third of the bytes."""
    rounded = np.array(attention, dtype=np.float64).round(3)
    numbers = rounded.astype(object)
    numbers[rounded == 0] = 0
    numbers[rounded == 1] = 1
    whole: list[Any] = numbers.tolist()
    return whole
