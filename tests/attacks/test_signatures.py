"""Signatures: of the key and the manifest, or none; and OpenSSH's own tool signs and checks the same."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.config import make_config
from analyses.runs.manifest import MANIFEST, SIGNATURE
from analyses.runs.runner import run, signer_of
from interp.errors import InputError
from tests.support.runs import write_run


def write_key(path: Path, key=None) -> Path:
    key = key or Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me\n"
    )
    return path


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A run with its signature; the keys `me` and `other` are beside it."""
    write_key(tmp_path / "other")
    folder, key = write_run(tmp_path / "run"), write_key(tmp_path / "me")
    for name, content in signer_of(key)((folder / MANIFEST).read_bytes()).items():
        (folder / name).write_bytes(content)
    return folder


def verify(folder: Path, key: str | None) -> tuple[int, str, str]:
    words = [] if key is None else ["--key", str(folder.parent / key)]
    result = CliRunner().invoke(app, ["verify", str(folder), *words])
    return result.exit_code, result.stdout, result.stderr


def test_a_signed_run_verifies_with_its_key_and_without(signed: Path) -> None:
    code, out, _ = verify(signed, "me.pub")
    assert (code, out.splitlines()[-1].split(" with ")[0]) == (0, "Signed")
    code, out, _ = verify(signed, None)
    assert (code, "signature was not checked" in out) == (0, True)
    code, out, _ = verify(signed, "other.pub")
    assert (code, out.splitlines()[-1].split(" with ")[0]) == (1, "Not signed")


def armored(blob: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(blob) + b"\n-----END SSH SIGNATURE-----\n"


def blob_of(signature: Path) -> bytes:
    return base64.b64decode(b"".join(signature.read_bytes().splitlines()[1:-1]))


def flipped(blob: bytes) -> bytes:
    """The same but for a bit of the last byte, which is zero in one signature of sixteen."""
    return blob[:-1] + bytes([blob[-1] ^ 1])


FORGED: dict[str, Callable[[Path], object]] = {
    "none": lambda run: (run / SIGNATURE).unlink(),
    "empty": lambda run: (run / SIGNATURE).write_bytes(b""),
    "no signature": lambda run: (run / SIGNATURE).write_bytes(b"yes\nyes\nyes"),
    "a bit of the signature": lambda run: (run / SIGNATURE).write_bytes(armored(flipped(blob_of(run / SIGNATURE)))),
    "cut short": lambda run: (run / SIGNATURE).write_bytes(armored(blob_of(run / SIGNATURE)[:-9])),
    "only its head": lambda run: (run / SIGNATURE).write_bytes(armored(b"SSHSIG\0\0\0\1")),
    "more behind it": lambda run: (run / SIGNATURE).write_bytes(armored(blob_of(run / SIGNATURE) + b"\0\0\0\0")),
    "another purpose": lambda run: (run / SIGNATURE).write_bytes(
        armored(blob_of(run / SIGNATURE).replace(b"t5-interp", b"git-commi"))
    ),
    "a weaker hash": lambda run: (run / SIGNATURE).write_bytes(
        armored(blob_of(run / SIGNATURE).replace(b"\0\0\0\6sha512", b"\0\0\0\3md5"))
    ),
    "another manifest, sealed anew": lambda run: write_run(run, command="interp run --seed 1"),
}


@pytest.mark.parametrize("case", FORGED)
def test_what_the_key_did_not_sign_is_not_signed(case: str, signed: Path) -> None:
    FORGED[case](signed)
    code, out, _ = verify(signed, "me.pub")
    assert code == 1
    assert out.splitlines()[-1].startswith("Not signed with the key")


def test_a_signed_run_that_was_changed_is_changed(signed: Path) -> None:
    (signed / "index.html").write_bytes(b"other")
    code, out, _ = verify(signed, "me.pub")
    assert code == 1
    assert out.startswith("Changed: index.html.\nSigned")


@pytest.mark.parametrize("key", ["nothing.pub", "me", "run", "elliptic.pub"])
def test_a_public_key_that_cannot_be_used_is_trouble(key: str, signed: Path) -> None:
    write_key(signed.parent / "elliptic", generate_private_key(SECP256R1()))
    code, out, err = verify(signed, key)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_a_key_that_cannot_sign_is_refused_before_the_work(tmp_path: Path) -> None:
    write_key(tmp_path / "me")
    write_key(tmp_path / "elliptic", generate_private_key(SECP256R1()))
    (tmp_path / "text").write_text("no key")
    for name in ("nothing", "elliptic", "text", "me.pub"):
        with pytest.raises(InputError):
            run(make_config(), tmp_path / "run", False, lambda *_: pytest.fail("work was begun"), tmp_path / name)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_openssh_checks_our_signatures_and_we_check_its(signed: Path) -> None:
    home = signed.parent
    (home / "signers").write_text(f"me {(home / 'me.pub').read_text()}")
    words = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-n",
        "t5-interp",
        "-f",
        "signers",
        "-I",
        "me",
        "-s",
        "run/manifest.json.sig",
    ]
    with (signed / MANIFEST).open("rb") as manifest:
        subprocess.run(words, stdin=manifest, cwd=home, check=True, capture_output=True)
    (signed / SIGNATURE).unlink()
    words = ["ssh-keygen", "-Y", "sign", "-n", "t5-interp", "-f", "me", "run/manifest.json"]
    subprocess.run(words, cwd=home, check=True, capture_output=True)
    assert verify(signed, "me.pub")[0] == 0
    assert verify(signed, "other.pub")[0] == 1
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", "locked"], cwd=home, check=True)
    with pytest.raises(InputError, match="without a passphrase"):
        signer_of(home / "locked")
