"""Where the code of a run came from: a hash of its source, the commit where there is one, and all that was installed.

Two runs may differ in this and agree in every byte of their results, so none of it is part of a run's digest. The hash of the
source decides whether shards of an interrupted run are used again: code that was edited in between computes them anew.
"""

import json
import subprocess
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_PACKAGES = ("interp", "analyses")
_ROOT = Path(__file__).parents[2]
_SOURCE = (".py", ".html", ".js", ".css", ".jsonl")


class Origin(BaseModel):
    """Where the code of a run came from.

    Attributes:
        commit: of the repository or of the installed version, where it is known.
        changed: whether the package's files were not those of the commit; None where there is no commit to ask.
        source: sha256 of this package's source.
        environment: every installed distribution -> its version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str | None
    changed: bool | None
    source: str
    environment: dict[str, str]


@cache
def origin() -> Origin:
    """The origin of the code that is running."""
    commit, changed = _checkout() or (_installed_commit(), None)
    return Origin(commit=commit, changed=changed, source=source_hash(), environment=_environment())


@cache
def source_hash() -> str:
    """SHA-256 over this package's source by path: code, templates, scripts and bundled texts."""
    files = [
        path
        for name in _PACKAGES
        for path in sorted((_ROOT / name).rglob("*"))
        if path.suffix in _SOURCE and path.is_file()
    ]
    lines = (f"{path.relative_to(_ROOT).as_posix()} {sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    return sha256("".join(lines).encode()).hexdigest()


def _environment() -> dict[str, str]:
    found = {one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]}
    return {name: found[name] for name in sorted(found, key=str.casefold)}


def _checkout() -> tuple[str, bool] | None:
    """Commit and whether files differ from it, where the package stands in a checkout of its own and git is there."""
    if not (_ROOT / ".git").exists():
        return None
    try:
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--", *_PACKAGES))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    asked = ["git", "-C", str(_ROOT), *words]
    done = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _installed_commit() -> str | None:
    """The commit that pip noted when it installed from a repository (PEP 610)."""
    try:
        noted = distribution("t5-interp").read_text("direct_url.json")
        commit = json.loads(noted or "{}").get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, ValueError, AttributeError):
        return None
    return commit if isinstance(commit, str) else None
