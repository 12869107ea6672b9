"""Verification: is a run's folder still what its manifest says?"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from analyses.runs.manifest import LOG, MANIFEST, Manifest, file_hash
from interp.errors import InputError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What re-hashing a run found.

    Attributes:
        digest: the run's digest.
        changed: files whose content is not what the manifest lists.
        missing: files that the manifest lists and the folder lacks.
        added: files in the folder that the manifest does not list.
        sealed: whether the manifest's own digest is that of its content.
    """

    digest: str
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    sealed: bool

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, lost or added."""
        return self.sealed and not (self.changed or self.missing or self.added)

    def sentences(self) -> tuple[str, ...]:
        """What is wrong, one sentence for each kind; or one that says that nothing is."""
        found = [
            f"{what}: {', '.join(names)}."
            for what, names in (("Changed", self.changed), ("Missing", self.missing), ("Added", self.added))
            if names
        ]
        if not self.sealed:
            found.append(f"The manifest itself was changed: its digest is not {self.digest}.")
        return tuple(found) or (f"Every file is as the manifest says; digest {self.digest}.",)


def read_manifest(run: Path) -> Manifest:
    """The manifest of a run.

    Raises:
        InputError: if the folder has none, or it cannot be read.
    """
    path = run / MANIFEST
    if not path.is_file():
        raise InputError(f"{str(run)!r} has no {MANIFEST}; give the folder that `interp run` wrote.")
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, TypeError) as error:
        raise InputError(
            f"The {MANIFEST} of {str(run)!r} cannot be read; was it edited? Run the analysis again."
        ) from error


def verify_run(run: Path) -> Verdict:
    """Hash every file of a run again and compare with its manifest.

    Raises:
        InputError: if the folder has no readable manifest.
    """
    manifest = read_manifest(run)
    hashes = {
        str(path.relative_to(run)): file_hash(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in (LOG, MANIFEST)
    }
    listed = manifest.files
    return Verdict(
        digest=manifest.digest,
        changed=tuple(name for name in sorted(listed) if name in hashes and hashes[name] != listed[name]),
        missing=tuple(sorted(set(listed) - set(hashes))),
        added=tuple(sorted(set(hashes) - set(listed))),
        sealed=manifest.sealed().digest == manifest.digest,
    )
