"""What may a page load and run? Nothing from outside; scripts by their hash."""

import base64
import hashlib


def script_policy(scripts: list[str]) -> str:
    """The Content-Security-Policy of a page: nothing from outside, and these scripts by their hashes.

    Args:
        scripts: the text of every script of the page.
    """
    sources = [f"'sha256-{_digest(script)}'" for script in scripts]
    allowed = " ".join(dict.fromkeys(sources)) or "'none'"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
