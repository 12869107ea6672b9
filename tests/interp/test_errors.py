"""What a file's fault is called in a sentence that names the file itself."""

from pathlib import Path

import pytest

from interp.errors import reason


def test_a_reason_does_not_name_the_file_again(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere") as missing:
        (tmp_path / "nowhere").read_text()
    assert reason(missing.value) == "No such file or directory"
    with pytest.raises(UnicodeDecodeError) as coded:
        b"ab\xff".decode("utf-8")
    assert reason(coded.value) == "byte 2 is no UTF-8"
    assert reason(ValueError("of its own")) == "of its own"
