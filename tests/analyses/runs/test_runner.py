"""The whole path on the bundled model: one command, one report, the same bytes twice, and no number that depends on the cut."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from analyses.cli import app
from analyses.core import observing
from analyses.core.registry import DEFAULT
from analyses.runs import runner as runner_module
from analyses.runs.config import make_config
from analyses.runs.diff import compare_runs
from analyses.runs.manifest import LOG
from analyses.runs.runner import run
from analyses.runs.verify import read_manifest, verify_run
from interp import prompts as prompt_sets
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.example import EXAMPLE

pytestmark = pytest.mark.slow

# Runs that are only made to be compared do without circuits, which cost as much as all else.
SMALL = EXAMPLE.model_copy(update={"analyses": DEFAULT, "settings": {}})


@pytest.fixture(autouse=True)
def _unpinned() -> Iterator[None]:
    """The runner asks torch for deterministic algorithms; give the other tests back what they had."""
    yield
    torch.use_deterministic_algorithms(False)


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "run"
    try:
        run(SMALL, folder, overwrite=False, progress=quiet)
    finally:
        torch.use_deterministic_algorithms(False)
    return folder


def command(out: Path) -> list[str]:
    """The command line of `SMALL`."""
    choices = ["--limit", "6", "--twins", "2", "--batch-size", "4", "--out", str(out), "--quiet"]
    return [sys.executable, "-m", "analyses.cli", "run", *choices]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != LOG}


def test_the_same_command_gives_the_same_bytes(first: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "again"
    words = command(again)
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": "7"})
    assert done.stdout.strip() == str(again / "index.html")
    assert done.stderr == ""
    one, two = contents(first), contents(again)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_the_folder_is_what_the_manifest_says(example_run: Path) -> None:
    assert verify_run(example_run).whole
    manifest = read_manifest(example_run)
    assert {"index.html", "results.json", "config.yaml"} <= set(manifest.files)
    assert manifest.prompts.count == 6
    assert manifest.prompts.target_origin == "generated"
    assert manifest.model.files["model.safetensors"]
    assert len(manifest.twin_seeds) == 2


def test_nothing_of_this_machine_is_in_it(example_run: Path) -> None:
    for name, data in contents(example_run).items():
        for word in (str(example_run.parent), os.uname().nodename, str(Path.home()), "/work/"):
            if len(word) > 3:
                assert word.encode() not in data, (name, word)


class Page(HTMLParser):
    """What a report asks of a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "img":
            self.images.append(values)
        if tag == "a":
            self.links.append(values.get("href") or "")
        for name in ("src", "href", "srcset", "data"):
            value = values.get(name) or ""
            if re.match(r"(https?:)?//", value):
                self.outside.append(value)


@pytest.fixture(scope="module")
def page(example_run: Path) -> Page:
    parser = Page()
    parser.feed((example_run / "index.html").read_text(encoding="utf-8"))
    return parser


def test_the_page_stands_alone(page: Page) -> None:
    assert page.outside == []
    assert page.images
    assert all((image["src"] or "").startswith("data:image/") for image in page.images)


def test_every_picture_has_words_and_numbers(page: Page) -> None:
    for image in page.images:
        assert re.search(r"\d", image.get("alt") or ""), image.get("alt")


def test_every_link_leads_somewhere(page: Page, example_run: Path) -> None:
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert (example_run / link.split("#")[0]).is_file(), link


def test_every_analysis_has_its_section_with_limits(example_run: Path, page: Page) -> None:
    results = json.loads((example_run / "results.json").read_text(encoding="utf-8"))
    assert set(EXAMPLE.analyses) <= set(results)
    for name in EXAMPLE.analyses:
        assert f"section-{name.replace('_', '-')}" in page.ids
        assert any(re.search(r"\d", sentence) for sentence in results[name]["findings"])
        assert results[name]["limits"]


# Listings, not measurements: texts, one prompt in full, rounding gaps of exact sums, lists whose summary has its control.
LISTINGS = {
    "circuit-check",
    "circuit-minimality",
    "circuit-nodes",
    "circuit-pairs",
    "circuit-receivers",
    "prompts",
    "role-decision-texts",
    "cross-focus-example-steps",
    "logit-attribution-completeness",
    "logit-attribution-decoder-lens",
    "logit-attribution-pairs",
    "vocabulary-hubs",
    "word-cosines",
}


def test_every_table_carries_a_control(example_run: Path) -> None:
    for path in sorted((example_run / "tables").glob("*.csv")):
        header, *rows = path.read_text(encoding="utf-8").lower().splitlines()
        controlled = re.search(r"twin|untrained|control|another pair|random", header) or any(
            "untrained twin" in row for row in rows
        )
        listing = path.stem in LISTINGS or re.search(r"-prompt-\d+$", path.stem) is not None
        assert bool(controlled) != listing, (path.name, header)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_batch_size_and_threads_change_nothing_beyond_the_stated_tolerance(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_LARGE_MODEL", 0)  # as if the model were one for which two threads are used
    run(SMALL.model_copy(update={"batch_size": 1}), tmp_path / "run", overwrite=False, progress=quiet)
    words = ["diff", str(first), str(tmp_path / "run"), "--tables", "--rtol", "1e-3", "--atol", "1e-4"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.usefixtures("two_threads")
def test_order_of_prompts_shards_and_threads_of_a_small_model_change_no_digit(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "SHARD_PROMPTS", 4)
    lines = [json.dumps({"id": p.id, "source": p.source}) for p in prompt_sets.bundled("translation", 6).prompts]
    (tmp_path / "reversed.jsonl").write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    config = SMALL.model_copy(update={"prompts": str(tmp_path / "reversed.jsonl"), "limit": None})
    other = contents(run(config, tmp_path / "run", overwrite=False, progress=quiet).parent)
    one = contents(first)
    assert other["results.json"] == one["results.json"]
    compared = [name for name in one if name.startswith(("tables/", "figures/")) and name != "tables/prompts.csv"]
    assert len(compared) > 20
    # Pages are numbered, and prompts are listed, as in the file.
    renumbered = {name: re.sub(r"prompt-(\d+)", lambda found: f"prompt-{7 - int(found[1])}", name) for name in compared}
    assert [name for name in compared if other[renumbered[name]] != one[name]] == []
    header, *rows = one["tables/prompts.csv"].splitlines()
    assert other["tables/prompts.csv"].splitlines() == [header, *reversed(rows)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 20))
def test_experiments_get_the_same_batches_whatever_the_batch_size(
    tiny_byt5: HookedEncoderDecoder, n: int, size: int
) -> None:
    texts = [f"text number {index}" for index in range(n)]
    batches = [tiny_byt5.batch(texts[start : start + size], texts[start : start + size]) for start in range(0, n, size)]
    groups = observing.experiment_batches(tiny_byt5, batches)
    assert [text.text for group in groups for text in group.source_texts] == texts
    assert [len(group) for group in groups[:-1]] == [16] * (len(groups) - 1)
    whole = tiny_byt5.batch(texts[:16], texts[:16])
    assert all(torch.equal(groups[0][name], whole[name]) for name in whole)


def stopped(words: list[str], shard: Path, how: signal.Signals) -> tuple[int, str]:
    """Run a command until a shard is there, then send a signal; its exit code and what it said."""
    # Where the tests run in the background, an interrupt is ignored, and a child would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    for _ in range(3000):
        if shard.is_file() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(how)
    _, said = process.communicate()
    return process.returncode, said


def test_a_run_interrupted_and_then_killed_goes_on_and_ends_the_same(first: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "run", command(tmp_path / "run")
    shards = tmp_path / ".run.partial" / "shards"
    code, said = stopped(words, shards / "model-00000-embedding_geometry.sha256", signal.SIGINT)
    assert (code, said) == (130, "Interrupted. The same command goes on where it stopped.\n")
    kept = (shards / "model-00000-embedding_geometry.safetensors").stat().st_mtime_ns
    assert stopped(words, shards / "twin-0-00000-embedding_geometry.sha256", signal.SIGKILL)[0] == -signal.SIGKILL
    assert (shards / "model-00000-embedding_geometry.safetensors").stat().st_mtime_ns == kept
    assert not out.exists()
    run(SMALL, out, overwrite=False, progress=quiet)
    assert contents(out) == contents(first)
    assert not shards.exists()


def test_given_targets_are_used_and_said(tmp_path: Path) -> None:
    config = make_config(prompts="references", limit=4, twins=2, analyses=("logit_attribution",))
    folder = run(config, tmp_path / "run", overwrite=False, progress=quiet).parent
    assert read_manifest(folder).prompts.target_origin == "given"
    assert "given targets" in (folder / "index.html").read_text(encoding="utf-8")


def test_settings_are_checked_before_the_work(tmp_path: Path) -> None:
    config = make_config(settings={"head_specialization": {"no_such_setting": 1}})
    with pytest.raises(InputError, match="no_such_setting"):
        run(config, tmp_path / "run", overwrite=False, progress=quiet)
    assert list(tmp_path.iterdir()) == []


def test_verify_and_diff_see_what_was_changed(first: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name, data in contents(first).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(data)
    runner = CliRunner()
    assert runner.invoke(app, ["verify", str(copy)]).exit_code == 0
    assert runner.invoke(app, ["diff", str(first), str(copy)]).exit_code == 0
    table = next((copy / "tables").glob("*.csv"))
    table.write_bytes(table.read_bytes() + b"0\n")
    (copy / "extra.txt").write_text("x")
    (copy / "results.json").unlink()
    result = runner.invoke(app, ["verify", str(copy)])
    assert result.exit_code == 1
    for word in ("Changed", table.name, "Added: extra.txt", "Missing: results.json"):
        assert word in result.stdout
    manifest = (copy / "manifest.json").read_text(encoding="utf-8")
    (copy / "manifest.json").write_text(manifest.replace('"count": 6', '"count": 600'), encoding="utf-8")
    assert "manifest itself was changed" in runner.invoke(app, ["verify", str(copy)]).stdout
    assert runner.invoke(app, ["verify", str(tmp_path)]).exit_code == 2


def test_diff_names_what_made_the_difference(tmp_path: Path) -> None:
    config = make_config(limit=2, twins=2, analyses=("cross_attention_focus",), pages=0)
    one, other = (
        run(config.model_copy(update={"seed": seed}), tmp_path / str(seed), overwrite=False, progress=quiet).parent
        for seed in (0, 1)
    )
    places = {item.where for item in compare_runs(one, other)}
    assert {"config.seed", "twin_seeds"} <= places
    assert any(place.startswith("tables/") for place in places)
    assert CliRunner().invoke(app, ["diff", str(one), str(other)]).exit_code == 1
