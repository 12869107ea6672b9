"""Which checkpoints are a run's moments: folders sorted as numbers, lists, revisions in the hub's cache; all else is refused."""

import shutil

import pytest

from analyses.trace.moments import find_run
from interp.errors import InputError
from tests.support.traces import TRACES


def test_a_folder_is_sorted_by_numbers_of_steps():
    run = find_run([str(TRACES / "seed-0")])
    assert run.name == "seed-0"
    assert list(run.steps) == sorted(run.steps)
    assert len(run.steps) == 12
    assert run.steps[0] == 0
    assert [moment.checkpoint.name for moment in run.moments] == [f"step-{step}" for step in run.steps]


def test_a_list_of_folders_is_a_run_in_any_order():
    names = [str(TRACES / "seed-1" / f"step-{step}") for step in (410, 0, 54)]
    run = find_run(names)
    assert (run.name, run.steps) == ("seed-1", (0, 54, 410))


def test_checkpoints_of_the_trainer_are_moments(tmp_path):
    for step in (0, 54, 922):
        shutil.copytree(TRACES / "seed-0" / f"step-{step}", tmp_path / f"checkpoint-{step}")
    assert find_run([str(tmp_path)]).steps == (0, 54, 922)


def test_revisions_of_the_local_cache_are_moments(tmp_path, monkeypatch):
    repository = tmp_path / "models--toy--trace"
    (repository / "refs").mkdir(parents=True)
    for step in (0, 36, 922):
        commit = f"{step:040x}"
        shutil.copytree(TRACES / "seed-0" / f"step-{step}", repository / "snapshots" / commit)
        (repository / "refs" / f"step{step}").write_text(commit)
    (repository / "refs" / "main").write_text(f"{922:040x}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    run = find_run(["toy/trace"])
    assert (run.name, run.steps) == ("toy/trace", (0, 36, 922))
    assert [moment.checkpoint.revision for moment in run.moments] == [f"{step:040x}" for step in (0, 36, 922)]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["/no/such/folder"], "no folder '/no/such/folder'"),
        (["nobody/nothing"], "0 checkpoints called step-N or checkpoint-N"),
        ([str(TRACES)], "0 checkpoints called step-N"),
        ([str(TRACES / "seed-0"), str(TRACES / "seed-1")], "no folder called step-N"),
        ([str(TRACES / "seed-0" / f"step-{step}") for step in (0, 16, 16)], "step 16 twice"),
        ([str(TRACES / "seed-0" / f"step-{step}") for step in (0, 16)], "has 2 checkpoints"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence(names, said):
    with pytest.raises(InputError, match=said):
        find_run(names)
