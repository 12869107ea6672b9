"""What the command line reads of files that a user named, and where it may write one."""

import subprocess
import sys
import tempfile
from pathlib import Path

from analyses.commands.messages import read_text
from analyses.head_specialization.measure.parses import read_conllu


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "gold.txt").write_text("0-0 1-1\n", encoding="utf-8-sig")
    assert read_text(tmp_path / "gold.txt", "gold file") == "0-0 1-1\n"
    row = "1\tDogs\tdog\tNOUN\tNNS\t_\t0\troot\t_\t_\n\n"
    (tmp_path / "marked.conllu").write_text(row, encoding="utf-8-sig")
    (tmp_path / "plain.conllu").write_text(row, encoding="utf-8")
    assert read_conllu(tmp_path / "marked.conllu") == read_conllu(tmp_path / "plain.conllu")


ASK_AS_NOBODY = """
import os, sys
from pathlib import Path
from analyses.commands.messages import check_output
from analyses.runs.run_place import check_outside_runs  # while its file may be read
from interp.errors import InputError
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    check_output(Path(sys.argv[1]) / "page.html", ".html", overwrite=False)
except InputError as error:
    print(error)
"""


def test_a_file_in_a_folder_that_may_not_be_written_is_refused_before_the_work() -> None:
    # Root may write everywhere, so the question is asked by a user who may not; pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name:
        said = []
        for mode in (0o555, 0o777):
            Path(name).chmod(mode)
            words = [sys.executable, "-c", ASK_AS_NOBODY, name]
            said.append(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        Path(name).chmod(0o755)
    assert said == [f"Cannot write to {name!r}; give --out in a folder that you may write to.\n", ""]
