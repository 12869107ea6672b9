"""Signatures: who vouches for a run? An SSH key signs its manifest, which holds the hash of every file.

The signature is OpenSSH's own (SSHSIG, PROTOCOL.sshsig of OpenSSH), so either tool checks what the other signed:

    interp run --sign ~/.ssh/id_ed25519                        interp verify RUN --key id_ed25519.pub
    ssh-keygen -Y sign -n t5-interp -f KEY RUN/manifest.json   ssh-keygen -Y verify -n t5-interp ... < RUN/manifest.json

Keys are Ed25519. The arithmetic is that of the `cryptography` package, which comes with the extra `sign`.
"""

import base64
import hashlib
import struct
from pathlib import Path

from interp.errors import InputError
from interp.input_files import read_regular

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
except ImportError as error:
    raise InputError(
        "Signatures need the package `cryptography`; install it with `pip install 't5-interp[sign]'`."
    ) from error

_HEAD = b"SSHSIG" + struct.pack(">I", 1)
_KIND, _NAMESPACE, _HASH = b"ssh-ed25519", b"t5-interp", b"sha512"
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_MOST_BYTES = 2**16


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file that `ssh-keygen` wrote.

    Raises:
        InputError: if it cannot be read, has a passphrase or is of another kind.
    """
    content = _read(path)
    try:
        key = load_ssh_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{str(path)!r} is no SSH key that can be used here ({error}); give one without a passphrase, or sign the run "
            "afterwards with `ssh-keygen -Y sign -n t5-interp -f KEY RUN/manifest.json`."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{str(path)!r} is no Ed25519 key; make one with `ssh-keygen -t ed25519`.")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The key in a file such as `id_ed25519.pub`.

    Raises:
        InputError: if it cannot be read or is of another kind.
    """
    content = _read(path).strip()
    try:
        key = load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{str(path)!r} is no public SSH key ({error}); give the file that ends in .pub.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{str(path)!r} is no Ed25519 key; runs are signed with those.")
    return key


def signature_of(content: bytes, key: Ed25519PrivateKey) -> bytes:
    """The signature of some content, as a file."""
    signed = _string(_KIND) + _string(key.sign(_signed_data(content, _HASH)))
    blob = _HEAD + b"".join(map(_string, (_public(key.public_key()), _NAMESPACE, b"", _HASH, signed)))
    lines = base64.b64encode(blob)
    return b"\n".join([_BEGIN, *(lines[start : start + 70] for start in range(0, len(lines), 70)), _END, b""])


def is_signed(content: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    """Whether a signature file is that of some content by a key."""
    try:
        lines = signature.strip().splitlines()
        blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
        if (lines[0], lines[-1]) != (_BEGIN, _END) or not blob.startswith(_HEAD):
            return False
        public, namespace, _, algorithm, signed = _strings(blob[len(_HEAD) :], 5)
        kind, value = _strings(signed, 2)
        if (public, namespace, kind) != (_public(key), _NAMESPACE, _KIND) or algorithm not in (b"sha512", b"sha256"):
            return False
        key.verify(value, _signed_data(content, algorithm))
    except (ValueError, IndexError, struct.error, InvalidSignature):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return read_regular(path.expanduser(), _MOST_BYTES)
    except OSError as error:
        raise InputError(
            f"The key {str(path)!r} cannot be read ({error.strerror}); give the file that `ssh-keygen` wrote."
        ) from error


def _public(key: Ed25519PublicKey) -> bytes:
    return _string(_KIND) + _string(key.public_bytes_raw())


def _signed_data(content: bytes, algorithm: bytes) -> bytes:
    digest = hashlib.new(algorithm.decode(), content).digest()
    return b"SSHSIG" + b"".join(map(_string, (_NAMESPACE, b"", algorithm, digest)))


def _string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _strings(blob: bytes, count: int) -> list[bytes]:
    """So many strings, each after its length, and nothing else."""
    found = []
    for _ in range(count):
        (length,) = struct.unpack(">I", blob[:4])
        if length > len(blob) - 4:
            raise ValueError("a string is cut short")
        found.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if blob:
        raise ValueError("more than was announced")
    return found
