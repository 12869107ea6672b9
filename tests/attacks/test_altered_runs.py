"""Altered runs: what was changed after a run is seen by `verify` and believed by neither `diff` nor `rerun`."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.diff import compare_runs
from analyses.runs.manifest import LOG, MANIFEST, canonical_json
from analyses.runs.verify import open_run, verify_run
from interp.errors import InputError
from tests.support.runs import CONTENT, write_run


def called(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def edit_manifest(run: Path, change: Callable[[dict], object]) -> None:
    content = json.loads((run / MANIFEST).read_bytes())
    change(content)
    (run / MANIFEST).write_text(json.dumps(content))


def edit_in_place(run: Path, old: str, new: str) -> None:
    text = (run / MANIFEST).read_bytes().decode()
    assert old in text
    (run / MANIFEST).write_bytes(text.replace(old, new).encode())


def flip_a_byte(run: Path) -> None:
    data = bytearray((run / "tables/a.csv").read_bytes())
    data[-2] ^= 1
    (run / "tables/a.csv").write_bytes(data)


def append_a_script(run: Path) -> None:
    with (run / "index.html").open("ab") as page:
        page.write(b"<script>alert(1)</script>")


def replaced_by_a_link(run: Path) -> None:
    shutil.copy(run / "tables/a.csv", run.parent / "same.csv")
    (run / "tables/a.csv").unlink()
    (run / "tables/a.csv").symlink_to(run.parent / "same.csv")


def folder_replaced_by_a_link(run: Path) -> None:
    (run / "tables").rename(run.parent / "tables")
    (run / "tables").symlink_to(run.parent / "tables")


ALTERED: dict[str, Callable[[Path], object]] = {
    "a byte of a table": flip_a_byte,
    "a table emptied": lambda run: (run / "tables/a.csv").write_bytes(b""),
    "a table deleted": lambda run: (run / "tables/a.csv").unlink(),
    "a script appended to the page": append_a_script,
    "a file added": lambda run: (run / "tables/b.csv").write_bytes(b"1"),
    "a file added whose name is not UTF-8": lambda run: Path(os.fsdecode(bytes(run) + b"/\xff.csv")).write_bytes(b"1"),
    "a file added whose name turns the terminal's line": lambda run: (run / "\x1b[2J\u202e.csv").write_bytes(b"1"),
    "an empty folder added": lambda run: (run / "more").mkdir(),
    "a hidden file added": lambda run: (run / ".hidden").write_bytes(b"1"),
    "a nested manifest added": lambda run: (run / "tables" / MANIFEST).write_bytes(b"{}"),
    "a nested log added": lambda run: (run / "tables" / LOG).write_bytes(b"{}"),
    "a pipe added": lambda run: os.mkfifo(run / "tables" / "pipe.csv"),
    "a table replaced by a pipe": lambda run: ((run / "tables/a.csv").unlink(), os.mkfifo(run / "tables/a.csv")),
    "a table replaced by a link to equal bytes": replaced_by_a_link,
    "a folder replaced by a link": folder_replaced_by_a_link,
    "a link out of the run": lambda run: (run / "passwd").symlink_to("/etc/passwd"),
    "a link into the run": lambda run: (run / "again.csv").symlink_to("tables/a.csv"),
    "a link that leads nowhere": lambda run: (run / "nowhere").symlink_to("nothing"),
    "a link in a circle": lambda run: (run / "loop").symlink_to("."),
    "the log replaced by a link": lambda run: ((run / LOG).unlink(), (run / LOG).symlink_to("/etc/passwd")),
    "the prompts' count in the manifest": lambda run: edit_manifest(run, lambda m: m["prompts"].update(count=9)),
    "the hash in the manifest": lambda run: edit_manifest(run, lambda m: m["files"].update({"tables/a.csv": "1" * 64})),
    "the code's origin in the manifest": lambda run: edit_manifest(run, lambda m: m["origin"].update(commit="1" * 40)),
    "the seal in the manifest": lambda run: edit_manifest(run, lambda m: m.update(seal="1" * 64)),
    "a number of the manifest as a text": lambda run: edit_in_place(run, '"count": 1', '"count": "1"'),
    "a fact of the manifest as a number": lambda run: edit_in_place(
        run, '"tied_embeddings": true', '"tied_embeddings": 1'
    ),
    "the manifest's ends of lines": lambda run: edit_in_place(run, "\n", "\r\n"),
    "the digest in the manifest": lambda run: edit_manifest(run, lambda m: m.update(digest="1" * 64)),
}


@pytest.mark.parametrize("case", ALTERED)
def test_what_was_altered_is_seen_and_not_believed(case: str, tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other")
    assert called("verify", run)[0] == 0
    ALTERED[case](run)
    code, out, _ = called("verify", run)
    assert code == 1
    assert out.isprintable() or all(line.isprintable() for line in out.splitlines())
    for words in (("diff", run, other), ("diff", other, run, "--tables", "--rtol", "1"), ("rerun", run)):
        code, out, err = called(*words)
        assert (code, out) == (2, ""), (words, err)
        assert "is not what its manifest says" in err
        assert len(err.splitlines()) == 1


def rewritten(change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda run: edit_manifest(run, change)


def duplicate(run: Path) -> None:
    text = (run / MANIFEST).read_text()
    (run / MANIFEST).write_text(text.replace("{", '{"digest": "0",', 1))


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda run: (run / MANIFEST).write_text("{"),
    "a list": lambda run: (run / MANIFEST).write_text("[]"),
    "a number": lambda run: (run / MANIFEST).write_text("1"),
    "not UTF-8": lambda run: (run / MANIFEST).write_bytes(b"\xff"),
    "nested 100,000 deep": lambda run: (run / MANIFEST).write_text("[" * 100_000),
    "a key twice": duplicate,
    "not a number": lambda run: (run / MANIFEST).write_text('{"a": NaN}'),
    "an unknown key": rewritten(lambda m: m.update(note="x")),
    "an unknown key within": rewritten(lambda m: m["model"].update(note="x")),
    "another schema version": rewritten(lambda m: m.update(schema_version=2)),
    "no schema of ours": rewritten(lambda m: m.pop("files")),
    "a hash that is none": rewritten(lambda m: m["files"].update({"tables/a.csv": "x"})),
    "a path up and out": rewritten(lambda m: m["files"].update({"tables/../../../etc/passwd": "0" * 64})),
    "an absolute path": rewritten(lambda m: m["files"].update({"/etc/passwd": "0" * 64})),
    "a path of Windows": rewritten(lambda m: m["files"].update({"..\\x": "0" * 64})),
    "a drive of Windows": rewritten(lambda m: m["files"].update({"C:x": "0" * 64})),
    "a path that is not plain": rewritten(lambda m: m["files"].update({"tables//./a.csv": "0" * 64})),
    "an empty path": rewritten(lambda m: m["files"].update({"": "0" * 64})),
    "an escape in a path": rewritten(lambda m: m["files"].update({"\x1b[2J": "0" * 64})),
    "a link": lambda run: ((run / MANIFEST).rename(run.parent / "m"), (run / MANIFEST).symlink_to(run.parent / "m")),
    "a pipe": lambda run: ((run / MANIFEST).unlink(), os.mkfifo(run / MANIFEST)),
    "a device": lambda run: ((run / MANIFEST).unlink(), (run / MANIFEST).symlink_to("/dev/zero")),
    "a folder": lambda run: ((run / MANIFEST).unlink(), (run / MANIFEST).mkdir()),
    "missing": lambda run: (run / MANIFEST).unlink(),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_manifest_that_cannot_be_one_is_trouble(case: str, tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other")
    UNREADABLE[case](run)
    for words in (("verify", run), ("diff", other, run), ("rerun", run)):
        code, out, err = called(*words)
        assert (code, out) == (2, ""), err
        assert len(err.splitlines()) == 1
        assert err.strip().isprintable()


@pytest.mark.parametrize("table", [b"", b"\xff\xfe\x00", b'a,b\n1,2\n3,4,5\n"', b"\x00" * 9], ids=repr)
def test_a_table_that_cannot_be_read_is_trouble_and_no_difference(table: bytes, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", CONTENT | {"tables/a.csv": table})
    other = write_run(tmp_path / "other")
    assert verify_run(run).whole
    code, out, err = called("diff", run, other)
    assert (code, out) == (2, "")
    assert "tables/a.csv" in err


def test_a_file_that_changes_after_it_was_verified_is_not_read(tmp_path: Path) -> None:
    run = open_run(write_run(tmp_path / "run"))
    flip_a_byte(run.folder)
    with pytest.raises(InputError, match="is not what the manifest lists"):
        run.read("tables/a.csv")
    with pytest.raises(InputError):
        run.read("../other")


def test_runs_that_are_whole_are_compared(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert compare_runs(run, write_run(tmp_path / "same")) == ()
    assert called("diff", run, tmp_path / "same")[0] == 0
    other = write_run(tmp_path / "other", CONTENT | {"tables/a.csv": CONTENT["tables/a.csv"].replace(b"0.5", b"0.75")})
    assert called("diff", run, other)[:2] == (1, "tables/a.csv: value: 1 of 2 cells differ, largest gap 0.25\n")
    assert called("diff", run, other, "--rtol", "1")[0] == 0


def test_the_digest_does_not_hang_on_the_codes_origin(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", origin=None)
    digests = {json.loads((run / MANIFEST).read_bytes())["digest"] for run in (one, two)}
    assert len(digests) == 1
    assert called("diff", one, two)[0] == 0
    assert called("verify", two)[0] == 0


def test_what_reads_the_same_in_other_bytes_is_another_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for old, new in ((b"0.5", b"0.50"), (b"\n", b"\r\n"), (b"value", b'"value"')):
        other = write_run(tmp_path / "other", CONTENT | {"tables/a.csv": CONTENT["tables/a.csv"].replace(old, new)})
        assert called("diff", run, other)[:2] == (1, "tables/a.csv: other bytes, though every cell reads the same\n")
        assert called("diff", run, other, "--rtol", "1e-9")[0] == 0
    other = write_run(tmp_path / "other", command="interp run --seed 0")
    assert called("diff", run, other)[:2] == (1, "command: 'interp run' against 'interp run --seed 0'\n")


@pytest.mark.parametrize(
    ("table", "said"),
    {
        b"head,share\nXL0H0,0.5\nXL0H1,0.25\n": "other columns: value only in the first; share only in the second",
        b"value,head\n0.5,XL0H0\n0.25,XL0H1\n": "the same columns in another order",
        b"head,value\nXL0H0,0.5\n": "2 rows against 1",
    }.items(),
)
def test_tables_of_another_shape_are_told_apart_by_what_is_other(table: bytes, said: str, tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other", CONTENT | {"tables/a.csv": table})
    assert called("diff", run, other)[:2] == (1, f"tables/a.csv: {said}\n")


def test_a_manifest_without_its_origin_is_said_to_have_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert len(called("verify", run)[1].splitlines()) == 1
    content = json.loads((run / MANIFEST).read_bytes())
    (run / MANIFEST).write_bytes(
        canonical_json({key: content[key] for key in content if key not in ("origin", "seal")})
    )
    code, out, _ = called("verify", run)
    assert code == 0
    assert "neither origin nor seal" in out
