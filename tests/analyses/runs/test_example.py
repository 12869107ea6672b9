"""The example run that is committed is what `make example` makes today."""

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.diff import compare_runs
from analyses.runs.verify import read_manifest, verify_run
from tests.support.example import EXAMPLE
from tests.support.paths import ROOT
from tests.support.skips import ELSEWHERE

COMMITTED = ROOT / "reports" / "example"
MOST_BYTES = 12_000_000


def test_it_is_whole_small_and_holds_nothing_else() -> None:
    assert verify_run(COMMITTED).whole, "run `make example` and commit reports/example"
    present = {path.relative_to(COMMITTED).as_posix() for path in COMMITTED.rglob("*") if path.is_file()}
    assert present - {"run.log.json"} == {*read_manifest(COMMITTED).files, "manifest.json"}
    assert sum((COMMITTED / name).stat().st_size for name in present) < MOST_BYTES


def test_make_example_asks_for_it() -> None:
    manifest = read_manifest(COMMITTED)
    assert manifest.config == EXAMPLE.portable()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = re.search(
        r"^example:.*\n\t@\$\(BIN\)/(interp run .*) --out reports/example --overwrite$", makefile, re.MULTILINE
    )
    assert asked is not None
    done = CliRunner().invoke(app, [*asked[1].split()[1:], "--dry-run"])
    assert done.exit_code == 0, done.output
    assert done.output == EXAMPLE.to_yaml(as_given=True)


@pytest.mark.slow
def test_running_it_again_gives_the_same(example_run: Path) -> None:
    differences = compare_runs(COMMITTED, example_run, rtol=1e-3, atol=1e-4)
    unlike = [item for item in differences if not item.where.startswith("versions")]
    assert not unlike, "run `make example`, look at what changed, and commit reports/example"


@pytest.mark.slow
def test_equal_numbers_under_equal_versions_make_equal_bytes(example_run: Path) -> None:
    """Where versions and platform are those of the committed run, every byte must be the same."""
    one, two = read_manifest(COMMITTED), read_manifest(example_run)
    other = [f"{name} {v} (here {two.versions[name]})" for name, v in one.versions.items() if two.versions[name] != v]
    if other:
        pytest.skip(f"{ELSEWHERE}: {'; '.join(other)}")
    unlike = [name for name in one.files if one.files[name] != two.files.get(name)]
    numbers = [name for name in unlike if name.endswith(".csv")]
    if numbers:
        # Tables agree within the tolerance (the test above), so the processor adds up in another order.
        capability = torch.backends.cpu.get_cpu_capability()
        pytest.skip(f"{ELSEWHERE}: this processor ({capability}) rounds {', '.join(numbers)} otherwise")
    assert not unlike, "run `make example`, look at what changed, and commit reports/example"
