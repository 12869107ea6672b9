"""Analyses of other packages: a real distribution, installed into a folder of its own and found on the path."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from analyses.cli import app
from analyses.core import registry as _registry
from analyses.runs.config import make_config
from analyses.runs.inputs import choose_analyses
from analyses.runs.manifest import plug_in_records
from interp.errors import InputError

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "{version}"
[project.entry-points."interp.analyses"]
{entries}
[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""

SHARPNESS = '''
"""How sharp is cross-attention? The largest weight of every row, mean over rows, layers and heads."""

import numpy as np
import pandas as pd

from analyses import Analysis, Settings
from interp.report import Section, Table
from interp.statistics import bootstrap_mean


class SharpnessSettings(Settings):
    power: float = 1.0
    fail: bool = False


def observe(run):
    if run.settings.fail:
        raise RuntimeError("asked to fail")
    rows = run.batch.decoder_attention_mask.bool()
    patterns = [run.cache["pattern", layer, "cross_attn"] for layer in range(run.model.cfg.n_decoder_layers)]
    largest = sum(one.amax(-1).mean(1) for one in patterns) / len(patterns)
    weights = rows.to(largest.dtype)
    return {"sharpness": ((largest * weights).sum(1) / weights.sum(1)).cpu().numpy() ** run.settings.power}


def summarize(evidence):
    interval = bootstrap_mean(evidence.model.prompts["sharpness"].astype(np.float64), evidence.seed)
    twins = [float(twin.prompts["sharpness"].mean()) for twin in evidence.twins]
    return float(interval.point), float(interval.low), float(interval.high), float(np.mean(twins))


def present(result):
    point, low, high, twins = result
    frame = pd.DataFrame([{"sharpness": point, "low": low, "high": high, "untrained": twins}])
    return Section(
        name="sharpness",
        title="Sharpness",
        question="How sharp is cross-attention?",
        findings=(f"The largest weight is {point:.2f} on average, {twins:.2f} in untrained twins.",),
        blocks=(Table("sharpness", "Mean of the largest weights.", frame),),
        limits=("A sharp pattern is not an important one.",),
    )


ANALYSIS = Analysis(
    name="sharpness",
    title="Sharpness",
    question="How sharp is cross-attention?",
    hooks=("decoder.*.cross_attn.hook_pattern",),
    observe=observe,
    summarize=summarize,
    present=present,
    settings=SharpnessSettings,
)
'''
BROKEN = "raise OSError('the measuring device is unplugged')\n"
ODD = "from analyses import Analysis\nNOTHING = 3\n"


def install(folder: Path, name: str, version: str, entries: dict[str, str], modules: dict[str, str]) -> None:
    """Build a distribution and install it into `folder/site`, as pip does it for anybody's package."""
    package = name.replace("-", "_")
    source = folder / name
    (source / package).mkdir(parents=True)
    (source / package / "__init__.py").write_text("")
    for module, text in modules.items():
        (source / package / f"{module}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    lines = "\n".join(f'{entry} = "{package}.{place}"' for entry, place in entries.items())
    (source / "pyproject.toml").write_text(PROJECT.format(name=name, version=version, package=package, entries=lines))
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    words = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder / "site"), str(source)]
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two installed distributions: one that works, one with three ways of not working."""
    folder = tmp_path_factory.mktemp("plug-ins")
    install(folder, "sharp-tools", "1.2.3", {"sharpness": "sharpness:ANALYSIS"}, {"sharpness": SHARPNESS})
    entries = {
        "broken": "broken:ANALYSIS",
        "missing": "nowhere:ANALYSIS",
        "odd": "odd:NOTHING",
        "head_specialization": "odd:NOTHING",
    }
    install(folder, "dull-tools", "0.1", entries, {"broken": BROKEN, "odd": ODD})
    return folder / "site"


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(site))
    _registry.plug_ins.cache_clear()
    yield site
    _registry.plug_ins.cache_clear()


def command(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    # The runner asks torch for deterministic algorithms; give the other tests back what they had.
    torch.use_deterministic_algorithms(False)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


pytestmark = pytest.mark.slow


def test_without_plug_ins_there_are_ours() -> None:
    assert _registry.names() == tuple(_registry.ANALYSES)
    assert _registry.loadable() == (tuple(_registry.ANALYSES), ())


def test_a_plug_in_is_found_by_name_and_comes_after_ours(installed: Path) -> None:
    assert _registry.names() == (*_registry.ANALYSES, "broken", "missing", "odd", "sharpness")
    assert _registry.get("sharpness").question == "How sharp is cross-attention?"
    config = make_config(analyses="sharpness, logit_attribution", settings={"sharpness": {"power": 2}})
    assert config.analyses == ("logit_attribution", "sharpness")
    assert [item.analysis.name for item in choose_analyses(config)] == ["logit_attribution", "sharpness"]
    with pytest.raises(InputError, match="did you mean 'sharpness'"):
        make_config(analyses="sharpnes")
    with pytest.raises(InputError, match=r"no setting of sharpness 'powr' \(did you mean 'power'"):
        choose_analyses(make_config(analyses="sharpness", settings={"sharpness": {"powr": 2}}))


def test_a_name_of_ours_stays_ours(installed: Path) -> None:
    assert "head_specialization" not in _registry.plug_ins()
    assert _registry.get("head_specialization").name == "head_specialization"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "cannot be loaded: OSError: the measuring device is unplugged"),
        ("missing", "cannot be loaded: ModuleNotFoundError"),
        ("odd", "dull_tools.odd:NOTHING is of type int, not an Analysis"),
    ],
)
def test_a_broken_plug_in_is_named_with_its_distribution(installed: Path, name: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"The plug-in '{name}' of dull-tools 0.1 .*{reason}"):
        _registry.get(name)


def test_the_record_follows_the_source_and_not_only_the_version(site: Path, installed: Path) -> None:
    before = plug_in_records(("logit_attribution", "sharpness"))
    assert list(before) == ["sharpness"]
    assert (before["sharpness"].distribution, before["sharpness"].version) == ("sharp-tools", "1.2.3")
    module = site / "sharp_tools" / "sharpness.py"
    text = module.read_text(encoding="utf-8")
    try:
        module.write_text(text + "# edited\n", encoding="utf-8")
        assert plug_in_records(("sharpness",)) != before
    finally:
        module.write_text(text, encoding="utf-8")


def test_the_list_names_what_is_offered_and_imports_none_of_it(installed: Path) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("sharp_tools", "dull_tools")]:
        del sys.modules[name]
    code, out, err = command("list", "analyses")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [*_registry.ANALYSES, "broken", "missing", "odd", "sharpness"]
    assert lines[-1].endswith("(sharp-tools 1.2.3)")
    code, out, err = command("list", "settings")
    assert (code, err) == (0, "")
    assert "sharpness" not in out
    assert "broken" not in out
    assert not {"sharp_tools", "dull_tools"} & set(sys.modules)


def test_the_settings_of_a_plug_in_are_listed_when_it_is_named(installed: Path) -> None:
    assert command("list", "settings", "sharpness.*")[1].startswith("sharpness.power")
    code, _, err = command("list", "settings", "broken.*")
    assert code == 2
    assert err.startswith("Error: The plug-in 'broken' of dull-tools 0.1 cannot be loaded")


def test_a_plug_in_runs_and_is_in_report_and_manifest(installed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, _, err = command("run", "--limit", "3", "--twins", "2", "--analyses", "sharpness", "--out", str(run))
    assert code == 0, err
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["config"]["analyses"] == ["sharpness"]
    assert manifest["command"] == "interp run --analyses sharpness --limit 3 --twins 2"
    record = manifest["plugins"]["sharpness"]
    assert (record["distribution"], record["version"], len(record["sha256"])) == ("sharp-tools", "1.2.3", 64)
    page = (run / "index.html").read_text(encoding="utf-8")
    assert "How sharp is cross-attention?" in page
    assert "of sharp-tools 1.2.3" in page
    assert "sharpness,low,high,untrained" in (run / "tables" / "sharpness.csv").read_text(encoding="utf-8")


def test_all_leaves_out_what_cannot_be_loaded_and_says_so(installed: Path) -> None:
    code, out, err = command("run", "--dry-run", "--analyses", "all")
    assert code == 0
    assert "- sharpness" in out
    assert "broken" not in out
    assert len(err.splitlines()) == 3
    assert all(line.endswith("It is left out.") for line in err.splitlines())


def test_asking_for_a_broken_one_is_one_sentence_and_leaves_nothing(installed: Path, tmp_path: Path) -> None:
    code, out, err = command("run", "--analyses", "logit_attribution,broken", "--out", str(tmp_path / "run"))
    assert (code, out) == (2, "")
    assert err.startswith("Error: The plug-in 'broken' of dull-tools 0.1 cannot be loaded")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_names_the_plug_in(installed: Path, tmp_path: Path) -> None:
    file, run = tmp_path / "run.yaml", tmp_path / "run"
    file.write_text("analyses: sharpness\nlimit: 2\ntwins: 2\nsettings: {sharpness: {fail: true}}\n")
    code, out, err = command("run", "-c", str(file), "--out", str(run))
    assert (code, out) == (1, "")
    assert "RuntimeError: asked to fail (in the analysis 'sharpness' of sharp-tools 1.2.3)" in err
    assert len(err.splitlines()) == 2  # how long it takes is said before
    assert not run.exists()
