"""Places: only what a run wrote is removed, no link is followed, and a place that cannot be is refused before the work."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from analyses.runs.config import make_config
from analyses.runs.run_folder import staging
from analyses.runs.run_place import MARK, check_place, hidden_folder
from analyses.runs.runner import run
from interp.errors import InputError
from tests.support.runs import CONTENT, run_files, write_run


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder: bytes of files, targets of links."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
    return found


def publish(final: Path, overwrite: bool = True) -> None:
    with staging(final, "a", overwrite) as store:
        store["s"] = {"x": np.zeros(1)}
        store.publish(run_files(CONTENT | {"index.html": b"new"}), overwrite)


def interrupted(final: Path) -> Path:
    """The hidden folder of a run that was stopped."""
    with suppress(KeyboardInterrupt), staging(final, "a", overwrite=False) as store:
        store["s"] = {"x": np.arange(4.0)}
        raise KeyboardInterrupt
    return hidden_folder(final)


def a_run_with(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda final: (write_run(final) / name).write_bytes(content)


THEIRS: dict[str, Callable[[Path], object]] = {
    "a folder with any manifest.json": lambda final: (final.mkdir(), (final / "manifest.json").write_text("{}")),
    "a folder without a manifest": lambda final: (final.mkdir(), (final / "thesis.tex").write_text("years")),
    "a run with notes beside it": a_run_with("notes.txt", b"mine"),
    "a run with notes in a folder": lambda final: (write_run(final) / "tables" / "notes.txt").write_text("mine"),
    "a run with an empty folder": lambda final: (write_run(final) / "plans").mkdir(),
    "a run with a page that was edited": a_run_with("index.html", b"with my remarks"),
    "a run with a link": lambda final: (write_run(final) / "link").symlink_to("/etc"),
    "a run whose manifest was edited": lambda final: (
        write_run(final),
        (final / "manifest.json").write_bytes((final / "manifest.json").read_bytes().replace(b"mine", b"ours")),
    ),
    "a link to a folder": lambda final: (
        (final.parent / "precious").mkdir(),
        (final.parent / "precious" / "file").write_text("x"),
        final.symlink_to(final.parent / "precious"),
    ),
    "a link to a run": lambda final: final.symlink_to(write_run(final.parent / "other")),
    "a link to nothing": lambda final: final.symlink_to("nothing"),
    "a file": lambda final: final.write_text("x"),
    "a pipe": lambda final: os.mkfifo(final),
    "the hidden name, with a user's file": lambda final: (
        hidden_folder(final).mkdir(),
        (hidden_folder(final) / "draft.txt").write_text("mine"),
    ),
    "the hidden name, empty": lambda final: hidden_folder(final).mkdir(),
    "the hidden name, with folders as ours": lambda final: (
        (hidden_folder(final) / "shards").mkdir(parents=True),
        (hidden_folder(final) / "shards" / "precious").write_text("x"),
    ),
    "the hidden name, a link to a folder": lambda final: (
        (final.parent / "precious").mkdir(),
        (final.parent / "precious" / "lock").write_text("x"),
        hidden_folder(final).symlink_to(final.parent / "precious"),
    ),
    "the hidden name, a link to a marked folder": lambda final: (
        interrupted(final).rename(final.parent / "elsewhere"),
        hidden_folder(final).symlink_to(final.parent / "elsewhere"),
    ),
    "the hidden name, its mark a link": lambda final: (
        hidden_folder(final).mkdir(),
        (final.parent / "victim").write_text("0" * 64),
        (hidden_folder(final) / MARK).symlink_to(final.parent / "victim"),
    ),
    "the hidden name, a file": lambda final: hidden_folder(final).write_text("x"),
    "the hidden folder, with a user's file": lambda final: (interrupted(final) / "notes.txt").write_text("mine"),
}


@pytest.mark.parametrize("overwrite", [False, True], ids=["plain", "overwrite"])
@pytest.mark.parametrize("case", THEIRS)
def test_what_is_not_ours_is_refused_and_stays(case: str, overwrite: bool, tmp_path: Path) -> None:
    final = tmp_path / "run"
    THEIRS[case](final)
    before = {name: content for name, content in tree(tmp_path).items() if "pipe" not in case}
    with pytest.raises(InputError):
        publish(final, overwrite)
    with pytest.raises(InputError):
        run(make_config(), final, overwrite, lambda *_: pytest.fail("work was begun"))
    assert before == {name: content for name, content in tree(tmp_path).items() if "pipe" not in case}


def test_what_overwrite_would_remove_is_listed(tmp_path: Path) -> None:
    final = write_run(tmp_path / "run")
    (final / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"would remove what `interp run` did not write so: notes.txt"):
        check_place(final, overwrite=True)


def test_a_run_with_files_missing_is_replaced(tmp_path: Path) -> None:
    final = write_run(tmp_path / "run")
    (final / "tables" / "a.csv").unlink()
    publish(final)
    assert tree(final)["index.html"] == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_put_there_during_the_work_stays_and_the_work_too(tmp_path: Path) -> None:
    final = write_run(tmp_path / "run")

    def work() -> None:
        with staging(final, "a", overwrite=True) as store:
            store["s"] = {"x": np.zeros(1)}
            (final / "notes.txt").write_text("mine")
            store.publish(run_files(), overwrite=True)

    with pytest.raises(FileExistsError, match="would remove what"):
        work()
    assert (final / "notes.txt").read_text() == "mine"
    (final / "notes.txt").unlink()
    with staging(final, "a", overwrite=True) as store:
        assert "s" in store


DAMAGED: dict[str, Callable[[Path], object]] = {
    "the lock a folder": lambda hidden: ((hidden / "lock").unlink(missing_ok=True), (hidden / "lock").mkdir()),
    "the identity a folder": lambda hidden: ((hidden / "identity.txt").unlink(), (hidden / "identity.txt").mkdir()),
    "the shards a file": lambda hidden: (shutil.rmtree(hidden / "shards"), (hidden / "shards").write_text("x")),
    "the mark cut short": lambda hidden: (hidden / MARK).write_text("0"),
    "a pipe for a shard": lambda hidden: os.mkfifo(hidden / "shards" / "t.safetensors"),
    "a link for the lock": lambda hidden: (
        (hidden.parent / "victim").write_text("precious"),
        (hidden / "lock").unlink(missing_ok=True),
        (hidden / "lock").symlink_to(hidden.parent / "victim"),
    ),
    "a link for the shards": lambda hidden: (
        shutil.rmtree(hidden / "shards"),
        (hidden.parent / "victims").mkdir(),
        (hidden.parent / "victims" / "s.safetensors").write_text("precious"),
        (hidden / "shards").symlink_to(hidden.parent / "victims"),
    ),
    "a link for a half-written file": lambda hidden: (
        (hidden.parent / "victim").write_text("precious"),
        (hidden / "identity.txt.part").symlink_to(hidden.parent / "victim"),
    ),
    "a link among the content": lambda hidden: (
        (hidden / "content").mkdir(),
        (hidden.parent / "victims").mkdir(),
        (hidden.parent / "victims" / "file").write_text("precious"),
        (hidden / "content" / "tables").symlink_to(hidden.parent / "victims"),
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_hidden_folder_is_made_anew_when_asked(case: str, tmp_path: Path) -> None:
    final = tmp_path / "run"
    hidden = interrupted(final)
    DAMAGED[case](hidden)
    others = {name: content for name, content in tree(tmp_path).items() if "victim" in name.split("/")[0]}
    with pytest.raises(InputError, match=r"start anew with --overwrite"):
        publish(final, overwrite=False)
    publish(final, overwrite=True)
    assert tree(final)["index.html"] == b"new"
    assert not hidden.exists()
    left = {name: content for name, content in tree(tmp_path).items() if "victim" in name.split("/")[0]}
    assert left == others


def test_a_run_in_a_damaged_hidden_folder_is_brought_back_first(tmp_path: Path) -> None:
    final = tmp_path / "run"
    hidden = interrupted(final)
    write_run(hidden / "replaced", CONTENT | {"index.html": b"old"})
    (hidden / MARK).write_text("0")
    with pytest.raises(KeyboardInterrupt), staging(final, "a", overwrite=True):
        raise KeyboardInterrupt
    assert tree(final)["index.html"] == b"old"


CODES = {
    "bytes and plain hash": lambda shard, code: (
        shard.write_bytes(shard.read_bytes()[:-8] + bytes(8)),
        hashed(shard, code),
    ),
    "bytes only": lambda shard, code: shard.write_bytes(shard.read_bytes()[:-8] + bytes(8)),
    "the code only": lambda shard, code: code.write_text("0" * 64),
    "the code empty": lambda shard, code: code.write_text(""),
    "the code gone": lambda shard, code: code.unlink(),
    "another shard under this name": lambda shard, code: (
        shard.write_bytes(shard.with_name("t.safetensors").read_bytes()),
        code.write_bytes(code.with_name("t.sha256").read_bytes()),
    ),
    "a link to equal bytes": lambda shard, code: (shard.rename(shard.with_name("u")), shard.symlink_to("u")),
}


def hashed(shard: Path, code: Path) -> None:
    from interp.input_files import file_hash

    code.write_text(file_hash(shard))


@pytest.mark.parametrize("case", CODES)
def test_a_shard_that_was_edited_is_computed_again(case: str, tmp_path: Path) -> None:
    with staging(tmp_path / "run", "a", overwrite=False) as store:
        store["s"] = {"x": np.arange(4.0)}
        store["t"] = {"x": np.ones(4)}
        shards = hidden_folder(tmp_path / "run") / "shards"
        CODES[case](shards / "s.safetensors", shards / "s.sha256")
        assert "s" not in store
        with pytest.raises(KeyError):
            store["s"]
        assert "t" in store


def test_shards_of_another_run_are_not_believed_with_their_identity(tmp_path: Path) -> None:
    one, two = (interrupted(tmp_path / name) for name in ("one", "two"))
    shutil.rmtree(two / "shards")
    shutil.copytree(one / "shards", two / "shards")
    with staging(tmp_path / "two", "a", overwrite=False) as store:
        assert "s" not in store


IMPOSSIBLE = ["", ".", "..", "x" * 300, "a/../..", "/proc/run", "/dev/null/run", "/dev/null", "nul\0l", "y" * 248]


@pytest.mark.parametrize("out", IMPOSSIBLE, ids=lambda out: repr(out[:12]))
def test_a_place_that_cannot_be_is_refused_before_the_work(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(InputError) as caught:
            run(make_config(limit=1), Path(out), overwrite, lambda *_: pytest.fail("work was begun"))
        assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == []


def test_a_kill_before_the_last_step_of_clearing_up_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder loses its name before its mark, so whatever is left of it has another name."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path / "run")
    assert not hidden_folder(tmp_path / "run").exists()
    publish(tmp_path / "run", overwrite=True)
    assert tree(tmp_path / "run")["index.html"] == b"new"
