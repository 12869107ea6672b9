"""`interp activations` writes a store and prints its folder; `interp verify` checks it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyses.cli import app
from interp.activations import ActivationStore

runner = CliRunner()


@pytest.mark.slow
def test_a_store_is_written_found_again_and_verified(tmp_path: Path) -> None:
    words = [
        "activations",
        "references",
        "--limit",
        "3",
        "--hooks",
        "encoder.0.hook_resid_post",
        "--hooks",
        "decoder.*.mlp.hook_post",
    ]
    words += ["--out", str(tmp_path), "--store-dtype", "bfloat16", "--keep", "special", "--quiet"]
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.stderr
    folder = Path(done.stdout.strip())
    store = ActivationStore(folder)
    assert len(store.hooks) == 5
    assert "eos" in set(store.index("target")["category"])
    assert store.manifest.target_origin == "given"
    assert runner.invoke(app, words).stdout == done.stdout
    whole = runner.invoke(app, ["verify", str(folder)])
    assert (whole.exit_code, whole.stdout) == (0, "Every file is as the manifest says.\n")
    (folder / "index" / "source-00000.parquet").write_bytes(b"x")
    changed = runner.invoke(app, ["verify", str(folder)])
    assert (changed.exit_code, changed.stdout) == (1, "Changed: index/source-00000.parquet.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.txt", "--hooks", "x"], "none.txt cannot be read"),
        (["references", "--hooks", "x", "--keep", "pads"], "no tokens called 'pads'"),
        (["references", "--hooks", "x", "--target-column", "t"], "name that of the sources too"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], message: str, tmp_path: Path) -> None:
    done = runner.invoke(app, ["activations", *words, "--out", str(tmp_path / "out")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
