"""A trace of a run in which the truth is planted: the step is found, and the folder is a run's like any other."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.core import twin_observations
from analyses.runs import make_config, read_manifest, verify_run
from analyses.trace import find_run, gathering, moment_reader, trace_in_memory
from analyses.trace.present.heads import heads_section
from analyses.trace.present.training import training_section
from analyses.trace.snapshots import HEADS
from interp.hooks.names import HeadId
from interp.prompts import parse_prompts
from interp.report.second_process import second_process
from tests.support.traces import GOLD, PROMPTS, TRACES, planted_run

STEPS = (0, 8, 16, 32, 64, 128, 256, 512)
TURN, BIRTH = 64, 8
HEAD = HeadId("encoder", 0, 2)
QUICK = [
    "--twins",
    "2",
    "--limit",
    "12",
    "--set",
    "head_specialization.resamples=500",
    "--set",
    "head_specialization.samples=6",
]


def trace(*arguments: object):
    return CliRunner().invoke(app, ["trace", *map(str, arguments), "--quiet"])


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    return planted_run(tmp_path_factory.mktemp("planted") / "planted", STEPS, TURN, BIRTH)


@pytest.fixture(scope="module")
def traced(planted, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("traced") / "trace"
    done = trace(planted, "--prompts", PROMPTS, "--analyses", HEADS, *QUICK, "--out", out)
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.slow
def test_the_step_at_which_a_head_changes_its_role_is_found(traced):
    frame = pd.read_csv(traced / "tables" / "trace-heads.csv")
    own = frame[frame["head"] == str(HEAD)].set_index("role")
    assert set(own.index) == {"previous token", "next token"}
    previous, following = own.loc["previous token"], own.loc["next token"]
    assert (previous["born at step"], previous["lost at step"]) == (BIRTH, TURN)
    assert following["born at step"] == TURN
    assert np.isnan(following["lost at step"])
    assert (following["changes before step"], following["earliest"], following["latest"]) == (TURN, TURN, TURN)
    assert following["p adjusted"] < 0.05
    assert following["jump"] > 0.6
    # Heads beside it read the same at every step; only those above it read what it writes.
    beside = frame[frame["head"].isin(["EL0H0", "EL0H1", "EL0H3"])]
    assert len(beside) == 3
    assert beside["changes before step"].isna().all()


@pytest.mark.slow
def test_the_folder_is_verified_compared_and_said_to_be_a_trace(traced, tmp_path):
    assert verify_run(traced).whole
    manifest = read_manifest(traced)
    assert set(manifest.moments) == {"planted"}
    assert set(manifest.moments["planted"]) == {f"step-{step}" for step in STEPS}
    done = CliRunner().invoke(app, ["verify", str(traced)])
    assert done.exit_code == 0
    copy = shutil.copytree(traced, tmp_path / "copy")
    assert CliRunner().invoke(app, ["diff", str(traced), str(copy)]).exit_code == 0
    (copy / "tables" / "trace-heads.csv").write_text("head\n")
    assert CliRunner().invoke(app, ["verify", str(copy)]).exit_code != 0
    again = CliRunner().invoke(app, ["rerun", str(traced), "--out", str(tmp_path / "again")])
    assert again.exit_code == 2
    assert "is a trace" in again.stderr


@pytest.mark.slow
def test_a_trace_goes_on_from_its_shards_to_the_same_bytes(planted, traced, tmp_path, monkeypatch):
    monkeypatch.setattr(
        gathering, "worker_for", lambda model, size: None
    )  # what another process writes is not seen here
    calls: list[int] = []
    real = moment_reader.observe

    def dies_at_the_sixth(*given, **named):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(moment_reader, "observe", dies_at_the_sixth)
    out = tmp_path / "again"
    arguments = (planted, "--prompts", PROMPTS, "--analyses", HEADS, *QUICK, "--out", out)
    assert trace(*arguments).exit_code == 130
    kept = sorted((tmp_path / ".again.partial" / "shards").glob("*.safetensors"))
    assert any(f"run-0-step-{STEPS[-1]}" in path.name for path in kept)
    times = {path: path.stat().st_mtime_ns for path in kept}
    from analyses.runs.run_folder import Staging

    written: list[str] = []
    monkeypatch.setattr(moment_reader, "observe", real)
    keep = Staging.__setitem__
    monkeypatch.setattr(
        Staging, "__setitem__", lambda self, name, arrays: (written.append(self.part + name), keep(self, name, arrays))
    )
    assert trace(*arguments).exit_code == 0
    assert not {f"{name}.safetensors" for name in written} & {path.name for path in times}
    assert read_manifest(out).digest == read_manifest(traced).digest


@pytest.mark.slow
@pytest.mark.skipif(second_process() is None, reason="needs two cores; run on a machine that has them")
def test_two_processes_see_what_one_sees_even_if_one_is_killed(planted, monkeypatch):
    prompts = parse_prompts(PROMPTS.read_bytes(), "jsonl", "prompts.jsonl")
    settings = {HEADS: {"resamples": 500, "samples": 6}}
    config = make_config(analyses=HEADS, batch_size=16, twins=2, settings=settings)
    run = find_run([str(planted)])
    asked = []
    real = gathering.worker_for

    def watched_worker(model, size):
        asked.append(real(model, size))
        return asked[-1]

    def kill(what, done, total):
        if what == "observing the moments of all runs" and done == 2:
            for process in asked[-1]._processes.values():
                os.kill(process.pid, signal.SIGKILL)

    for module in (gathering, twin_observations):
        monkeypatch.setattr(module, "worker_for", watched_worker)
    both, killed = trace_in_memory(run, prompts, config), trace_in_memory(run, prompts, config, progress=kill)
    assert len(asked) == 4
    assert None not in asked
    for module in (gathering, twin_observations):
        monkeypatch.setattr(module, "worker_for", lambda model, size: None)
    alone = trace_in_memory(run, prompts, config)
    for other in (both, killed):
        for one, two in zip(alone.trace.runs[0].snapshots, other.trace.runs[0].snapshots, strict=True):
            assert repr((one.step, one.labels)) == repr((two.step, two.labels))  # NaN is no NaN
            for name, values in one.numbers.items():
                np.testing.assert_array_equal(values, two.numbers[name], err_msg=name)
        for step, found in alone.moments["planted"].items():
            np.testing.assert_array_equal(
                found.of("watch").prompts["loss"], other.moments["planted"][step].of("watch").prompts["loss"]
            )


@pytest.mark.slow
def test_what_the_shipped_runs_show(tmp_path):
    """Alignment comes with training and not on shuffled pairs; the decoder's input does not change."""
    prompts = parse_prompts(PROMPTS.read_bytes(), "jsonl", "prompts.jsonl")
    from analyses.head_specialization.measure.links import links_by_source

    links = links_by_source(prompts.prompts, GOLD.read_text(encoding="utf-8"))
    settings = {HEADS: {"links": links, "resamples": 500, "samples": 6}}
    config = make_config(analyses=HEADS, batch_size=64, twins=2, settings=settings)
    steps = (0, 182, 922)
    runs = [
        find_run([str(TRACES / name / f"step-{step}") for step in steps]) for name in ("seed-0", "seed-1", "shuffled")
    ]
    found = trace_in_memory(runs[0], prompts, config, runs[1:2], runs[2:]).trace
    main, other, control = found.runs
    assert (main.part, other.part, control.part) == ("main", "seed", "control")
    losses = [one.numbers["loss"].mean() for one in main.snapshots]
    assert losses == sorted(losses, reverse=True)
    assert main.snapshots[-1].numbers["whole"].mean() > 0.95 > 0.2 > control.snapshots[-1].numbers["whole"].mean()
    best = [run.snapshots[-1].mean("aligned").point.max() for run in found.runs]
    assert min(best[:2]) > best[2] + 0.2
    assert main.snapshots[0].mean("aligned").point.max() < 0.3
    assert "alignment at the output" in main.roles_at(-1).values()
    seeds = next(one for one in found.beside if one.part == "seed")
    assert seeds.agreements[-1].matched["cross"] < seeds.agreements[-1].unmatched["cross"]
    last = main.snapshots[-1]
    fewer = replace(last, labels=tuple(label for label in last.labels if label.head != last.labels[0].head))
    near = replace(main, name="a head fewer", part="control", snapshots=(*main.snapshots[:-1], fewer))
    assert len(near.roles_at(-1)) == len(main.roles_at(-1)) - 1
    headline = heads_section(replace(found, runs=(main, near))).headline
    assert headline is not None
    assert headline.sureness == "within the controls", (
        "one more model may well have as many as the larger of 0 and this"
    )


def test_a_moment_of_another_tokenizer_or_shape_is_refused_before_the_work(tmp_path):
    run = planted_run(tmp_path / "run", (0, 1, 2), 2)
    place = run / "step-1" / "tokenizer.json"
    content = json.loads(place.read_text(encoding="utf-8"))
    content["model"]["vocab"][5][1] -= 1.0
    place.write_text(json.dumps(content), encoding="utf-8")
    done = trace(run, "--prompts", PROMPTS, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "Step 1 of 'run' has another tokenizer than the last step of 'run'" in done.stderr
    assert not (tmp_path / "out").exists()
    shutil.copy(run / "step-0" / "tokenizer.json", place)
    shape = run / "step-0" / "config.json"
    shape.write_text(shape.read_text(encoding="utf-8").replace('"d_ff": 80', '"d_ff": 81'), encoding="utf-8")
    assert "has another shape (config.json)" in trace(run, "--prompts", PROMPTS, "--out", tmp_path / "out").stderr
    (run / "step-0" / "model.safetensors").unlink()
    empty = trace(run, "--prompts", PROMPTS, "--out", tmp_path / "out").stderr
    assert "'step-0' has no weights" in empty.splitlines()[0]


def test_runs_of_one_name_and_other_analyses_are_refused(tmp_path):
    one = TRACES / "seed-0"
    twice = trace(one, "--seed-run", one, "--prompts", PROMPTS, "--out", tmp_path / "out")
    assert twice.exit_code == 2
    assert "2 runs are called 'seed-0'" in twice.stderr
    empty = trace(tmp_path, "--prompts", PROMPTS, "--out", tmp_path / "out")
    assert empty.exit_code == 2
    assert "0 checkpoints called step-N" in empty.stderr


@pytest.mark.slow
def test_targets_that_the_last_moment_wrote_prove_nothing_of_its_quality(planted: Path) -> None:
    lines = [json.loads(line)["source"] for line in PROMPTS.read_text(encoding="utf-8").splitlines()[:6]]
    prompts = parse_prompts("\n".join(lines).encode(), "txt", "prompts.txt")
    config = make_config(analyses=HEADS, twins=2, settings={HEADS: {"resamples": 500, "samples": 6}})
    section = training_section(trace_in_memory(find_run([str(planted)]), prompts, config).trace)
    assert "says nothing" in section.findings[1]
    assert section.headline is not None
    assert "mistake" not in section.headline.sentence
