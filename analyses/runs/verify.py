"""Verification: is a run's folder still what its manifest says? And the one way in which the files of a run are read.

`open_run` gives a run whose every file was hashed; each file is hashed once more when it is read, so nothing is believed that the
manifest does not say. What a hash cannot show, and a signature can, is in docs/trust.md.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from analyses.runs.manifest import LOG, MANIFEST, SIGNATURE, ComparisonManifest, Manifest, TraceManifest
from interp.errors import InputError
from interp.folder_contents import contents_of, listed, parents_of
from interp.input_files import MOST_BYTES, file_hash, parse_json, read_regular

_MOST_BYTES_READ = 2**30

AnyManifest = Manifest | ComparisonManifest | TraceManifest


@dataclass(frozen=True, slots=True)
class Verdict:
    """What re-hashing a run found.

    Attributes:
        digest: the run's digest.
        changed: files whose content is not what the manifest lists.
        missing: files that the manifest lists and the folder lacks.
        added: files and folders that the manifest does not list.
        foreign: what is no file of its own: links, pipes, devices.
        sealed: whether the manifest is, byte for byte, what was written when its digest and seal were made of its content.
        origin: whether the manifest says where its code came from, and so has a seal.
        signature: whether a signature lies beside the manifest; whose it is and whether it holds is not looked at.
    """

    digest: str
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    foreign: tuple[str, ...]
    sealed: bool
    origin: bool
    signature: bool

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, lost or added."""
        return self.sealed and not (self.changed or self.missing or self.added or self.foreign)

    def sentences(self) -> tuple[str, ...]:
        """What is wrong, one sentence for each kind; or that nothing is, and what cannot be told."""
        kinds = {
            "Changed": self.changed,
            "Missing": self.missing,
            "Added": self.added,
            "Links, pipes or devices": self.foreign,
        }
        found = [f"{what}: {listed(names, 50)}." for what, names in kinds.items() if names]
        if not self.sealed:
            found.append(
                f"The manifest itself was changed: its digest is not {self.digest}, its seal is another, or its bytes are."
            )
        if self.sealed and not self.origin:
            found.append(
                "The manifest has neither origin nor seal: it was made before they were kept, or they were taken out, so nothing "
                "says which code made the run."
            )
        return tuple(
            found if not self.whole else (f"Every file is as the manifest says; digest {self.digest}.", *found)
        )


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run that was found whole.

    Attributes:
        folder: of the run.
        manifest: its manifest.
    """

    folder: Path
    manifest: AnyManifest

    def read(self, name: str) -> bytes:
        """The bytes of a file that the manifest lists.

        Raises:
            InputError: if it is not, or no longer, what the manifest says.
        """
        wanted = self.manifest.files.get(name)
        try:
            content = read_regular(self.folder / name, _MOST_BYTES_READ, follow_links=False) if wanted else b""
        except OSError as error:
            raise InputError(f"{name} of {str(self.folder)!r} cannot be read ({error.strerror}).") from error
        if sha256(content).hexdigest() != wanted:
            raise InputError(
                f"{name} of {str(self.folder)!r} is not what the manifest lists; `interp verify` says more."
            )
        return content


def read_manifest(run: Path) -> AnyManifest:
    """The manifest of a run, of two runs side by side, or of a trace.

    Raises:
        InputError: if the folder has none, or it cannot be read.
    """
    path = run / MANIFEST
    if not path.is_file():
        raise InputError(f"{str(run)!r} has no {MANIFEST}; give the folder that `interp run` wrote.")
    try:
        content = parse_json(read_regular(path, MOST_BYTES, follow_links=False))
        kind = ComparisonManifest if "runs" in content else TraceManifest if "moments" in content else Manifest
        return kind(**content)
    except (OSError, ValueError, ValidationError, TypeError) as error:
        raise InputError(
            f"The {MANIFEST} of {str(run)!r} cannot be read; was it edited? Run the analysis again."
        ) from error


def verify_run(run: Path) -> Verdict:
    """Hash every file of a run again and compare with its manifest.

    Raises:
        InputError: if the folder has no readable manifest, or cannot be read.
    """
    return _checked(run, read_manifest(run))


def open_run(run: Path) -> OpenedRun:
    """A run that is whole, to be read.

    Raises:
        InputError: if it is not what its manifest says; the message names what is not.
    """
    manifest = read_manifest(run)
    verdict = _checked(run, manifest)
    if not verdict.whole:
        raise InputError(
            f"{str(run)!r} is not what its manifest says. {' '.join(verdict.sentences())} Use a copy that is whole."
        )
    return OpenedRun(run, manifest)


def is_signed_by(run: Path, key: Path) -> bool:
    """Whether the manifest of a run carries a signature of a public key.

    Args:
        run: its folder.
        key: file of the key, such as `id_ed25519.pub`.

    Raises:
        InputError: if the key or the manifest cannot be read, or the extra `sign` is not installed.
    """
    from analyses.runs.signing import is_signed, read_public_key

    public = read_public_key(key)
    try:
        content, signature = (read_regular(run / name, follow_links=False) for name in (MANIFEST, SIGNATURE))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(f"{error.filename or str(run)!r} cannot be read ({error.strerror}).") from error
    return is_signed(content, signature, public)


def _checked(run: Path, manifest: AnyManifest) -> Verdict:
    try:
        there = contents_of(run)
        # By its bytes: "8" for 8, or a null that is left out, gives the same content.
        sealed = read_regular(run / MANIFEST, MOST_BYTES, follow_links=False) == manifest.sealed().to_json()
        names = there.files - {MANIFEST, LOG, SIGNATURE}
        both = sorted(names & set(manifest.files))
        changed = tuple(name for name in both if file_hash(run / name, follow_links=False) != manifest.files[name])
    except OSError as error:
        raise InputError(f"{str(run)!r} cannot be read ({error.strerror}: {error.filename}).") from error
    expected = frozenset(manifest.files)
    return Verdict(
        digest=manifest.digest,
        changed=changed,
        missing=tuple(sorted(expected - names)),
        added=tuple(sorted((names - expected) | (there.folders - parents_of(expected)))),
        foreign=tuple(sorted(there.others)),
        sealed=sealed,
        origin=manifest.origin is not None,
        signature=SIGNATURE in there.files,
    )
