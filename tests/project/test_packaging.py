"""What is shipped: the bundled model whole and unchanged, and a wheel and an sdist that really contain it."""

import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.paths import ROOT

CHECKPOINT = ROOT / "interp" / "checkpoints" / "translator"
BESIDE_CODE = (
    "interp/py.typed",
    "analyses/py.typed",
    "interp/prompts/translation.jsonl",
    "interp/prompts/references.jsonl",
    "interp/prompts/aligned_words.txt",
    "interp/report/templates/style.css",
    "interp/report/vendor/d3.min.js",
    "interp/report/vendor/jquery.slim.min.js",
)


def test_the_bundled_model_is_unchanged() -> None:
    listed = dict(reversed(line.split()) for line in (CHECKPOINT / "sha256.txt").read_text().splitlines())
    assert set(listed) == {path.name for path in CHECKPOINT.iterdir()} - {"sha256.txt"}
    for name, digest in listed.items():
        assert sha256((CHECKPOINT / name).read_bytes()).hexdigest() == digest, name


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_wheel_holds_model_data_and_every_module(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        for path in CHECKPOINT.iterdir():
            assert wheel.read(str(path.relative_to(ROOT))) == path.read_bytes()
    modules = {
        str(path.relative_to(ROOT))
        for package in ("interp", "analyses")
        for path in (ROOT / package).rglob("*.py*")
        if path.suffix in (".py", ".pyi")  # the stubs say what each wing hands on, at run time too
    }
    assert not modules - names
    assert not set(BESIDE_CODE) - names
    assert not [name for name in names if name.startswith(("tests/", "training/", "reports/"))]
    assert any(name.endswith("entry_points.txt") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_sdist_can_be_built_from_and_tested(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    wanted = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CITATION.cff",
        "Makefile",
        "constraints.txt",
        "tests/conftest.py",
        *BESIDE_CODE,
    }
    assert not wanted - names
    assert str((CHECKPOINT / "model.safetensors").relative_to(ROOT)) in names
