"""The words that a file gives of a text must spell it; words of another text would be passed over in silence."""

import json
from pathlib import Path

import pytest

from interp.prompts import PromptError, PromptStream, read_prompts

SPELLED = [
    ({"source": "Don't go.", "source_words": "Don 't go ."}, None),
    ({"source": "Don't go.", "source_words": "Don &apos;t go ."}, None),
    ({"source": "translate English to German: A dog.", "source_words": "A dog ."}, None),
    ({"source": "say: A dog.", "source_words": "A dog.", "prefix": "say: "}, None),
    ({"source": "say: A dog.", "source_words": "A dog."}, "say: "),
    ({"source": ["a", "&amp;", "b"], "target": ["c", "&amp;"]}, None),
    ({"source": "A dog.", "target": "我喜欢", "target_words": "我 喜欢"}, None),
    ({"source": "A dog.", "source_words": "", "target_words": "none"}, None),
]
OTHERS = [
    ({"source": "The dog is running.", "source_words": "The dog"}, None),
    ({"source": "The dog.", "source_words": "The cat ."}, None),
    (
        {"source": "translate English to German: A dog.", "source_words": "translate English to German: A dog ."},
        None,
    ),
    ({"source": "say: A dog.", "source_words": "A dog."}, None),
    ({"source": "say: A dog.", "source_words": "say: A dog."}, "say: "),
    ({"source": "A dog.", "target": "Ein Hund.", "target_words": "Ein Hund"}, None),
]


def written(folder: Path, values: dict[str, object]) -> Path:
    (folder / "p.jsonl").write_text(json.dumps(values), encoding="utf-8")
    return folder / "p.jsonl"


@pytest.mark.parametrize(("values", "prefix"), SPELLED)
def test_words_that_spell_their_text_are_taken(values: dict[str, object], prefix: str | None, tmp_path: Path) -> None:
    path = written(tmp_path, values)
    assert len(read_prompts(path).behind(prefix)) == len(list(PromptStream(path, prefix=prefix))) == 1


@pytest.mark.parametrize(("values", "prefix"), OTHERS)
def test_words_of_another_text_are_refused(values: dict[str, object], prefix: str | None, tmp_path: Path) -> None:
    path = written(tmp_path, values)
    key = "target_words" if "target_words" in values else "source_words"
    for read in (lambda: read_prompts(path).behind(prefix), lambda: list(PromptStream(path, prefix=prefix))):
        with pytest.raises(PromptError, match=f"Prompt 1, '{key}'"):
            read()
