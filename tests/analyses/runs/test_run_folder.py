"""The run's folder: whole or not there, resumed only by the same run, never another's."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from analyses.commands.messages import check_output
from analyses.runs.run_folder import staging
from analyses.runs.run_place import check_place, hidden_folder
from interp.errors import InputError
from tests.support.runs import run_files, write_run

FILES = run_files()


def interrupt(final: Path, identity: str, shard: dict[str, np.ndarray], error: type[BaseException]) -> None:
    """Begin a run, write one shard, and end by an exception."""
    with staging(final, identity, overwrite=False) as store:
        store["s"] = shard
        raise error("no")


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    final = tmp_path / "run"
    with staging(final, "a", overwrite=False) as store:
        store["model-00000"] = {"x": np.arange(3.0)}
        assert not final.exists()
        store.publish(FILES, overwrite=False)
    assert {str(p.relative_to(final)) for p in final.rglob("*") if p.is_file()} == set(FILES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_errors_of_the_input_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        interrupt(tmp_path / "deep" / "run", "a", {"x": np.zeros(1)}, InputError)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_finds_its_shards(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "run", "a", {"x": np.arange(4.0)}, KeyboardInterrupt)
    with staging(tmp_path / "run", "a", overwrite=False) as store:
        np.testing.assert_array_equal(store["s"]["x"], np.arange(4.0))
        assert "other" not in store


def test_another_run_does_not_find_them(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "run", "a", {"x": np.arange(4.0)}, KeyboardInterrupt)
    with staging(tmp_path / "run", "b", overwrite=False) as store:
        assert "s" not in store


def test_a_damaged_shard_is_computed_again(tmp_path: Path) -> None:
    with staging(tmp_path / "run", "a", overwrite=False) as store:
        store["s"] = {"x": np.arange(64.0)}
        path = next(hidden_folder(tmp_path / "run").rglob("s.safetensors"))
        path.write_bytes(path.read_bytes()[:-40])
        assert "s" not in store
        assert not path.exists()


def test_a_run_is_replaced_only_when_asked(tmp_path: Path) -> None:
    final = tmp_path / "run"
    for content, overwrite in ((b"one", False), (b"two", True)):
        with staging(final, "a", overwrite) as store:
            store.publish(run_files({"index.html": content}), overwrite)
    assert (final / "index.html").read_bytes() == b"two"
    with pytest.raises(InputError, match=r"already exists; give --overwrite"):
        check_place(final, overwrite=False)


def test_what_is_no_run_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="was not written by `interp run`"):
        check_place(tmp_path, overwrite=True)


def test_a_place_within_a_run_is_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for place in (run / "new", run / "figures" / "deep" / "new"):
        with pytest.raises(InputError, match="a run that would no longer be what its manifest says"):
            check_place(place, overwrite=True)
    with pytest.raises(InputError, match="a run that would no longer be what its manifest says"):
        check_output(run / "index.html", ".html", overwrite=True)
    check_place(tmp_path / "run2", overwrite=False)


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        check_place(tmp_path / "file", overwrite=True)
    with pytest.raises(InputError, match="Cannot write to"):
        check_place(tmp_path / "file" / "run", overwrite=True)


def test_an_empty_folder_is_a_place(tmp_path: Path) -> None:
    final = tmp_path / "run"
    final.mkdir()
    with staging(final, "a", overwrite=False) as store:
        store.publish(FILES, overwrite=False)
    assert (final / "index.html").is_file()


def _hold(final: Path, entered: object, leave: object) -> None:
    with staging(final, "a", overwrite=False):
        entered.set()  # type: ignore[attr-defined]
        leave.wait(30)  # type: ignore[attr-defined]


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "run", entered, leave))
    other.start()
    try:
        assert entered.wait(60)
        with pytest.raises(InputError, match="Another run is being written"), staging(tmp_path / "run", "a", False):
            pass
        # The refusal must not disturb the run that is under way.
        assert hidden_folder(tmp_path / "run").is_dir()
    finally:
        leave.set()
        other.join(30)


def test_a_shard_with_other_bytes_of_the_same_length_is_computed_again(tmp_path: Path) -> None:
    with staging(tmp_path / "run", "a", overwrite=False) as store:
        store["s"] = {"x": np.arange(64.0)}
        path = next(hidden_folder(tmp_path / "run").rglob("s.safetensors"))
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
        assert "s" not in store
        assert not path.exists()
