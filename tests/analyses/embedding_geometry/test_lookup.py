"""Words looked up, and groups read from files."""

import json
from pathlib import Path

import numpy as np
import pytest

from analyses.embedding_geometry.group_file import read_groups
from analyses.embedding_geometry.lookup import look_up
from analyses.embedding_geometry.measure.static_words import static_words
from analyses.embedding_geometry.settings import GeometrySettings
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.vocabulary import Vocabulary

pytestmark = pytest.mark.slow


def test_words_are_looked_up_with_neighbors_and_cosines(bundled: HookedEncoderDecoder) -> None:
    found = look_up(bundled, ["chair", "table", "shelf"], n_neighbors=4)
    assert found.words["vector"].tolist() == ["one piece", "one piece", "mean of pieces"]
    assert found.words["pieces"].tolist() == ["▁chair", "▁table", "▁she lf"]
    assert len(found.neighbors) == 12
    assert "▁chairs" in found.neighbors["piece"][:4].tolist()
    assert (found.neighbors.groupby("word")["cosine"].apply(lambda c: c.is_monotonic_decreasing)).all()
    np.testing.assert_allclose(np.diag(found.cosines), 1)
    assert found.cosines.loc["chair", "table"] == found.cosines.loc["table", "chair"]


def test_a_lookup_shows_itself_in_a_notebook(bundled: HookedEncoderDecoder) -> None:
    html = look_up(bundled, ["chair", "goat"], "output", "centered", 3)._repr_html_()
    assert "Words in output embedding, centered" in html
    assert html.count("<table") == 3
    assert "Nearest pieces" in html


@pytest.mark.parametrize("space", ["input", "output"])
@pytest.mark.parametrize("correction", ["raw", "centered", "all but the top"])
def test_looking_up_agrees_with_the_analysis(bundled: HookedEncoderDecoder, space: str, correction: str) -> None:
    settings = GeometrySettings(groups={"a": ("chair", "shelf"), "b": ("dog", "table")}, n_neighbors=3)
    arrays = static_words(bundled, settings, Vocabulary.of(bundled.tokenizer, bundled.cfg.d_vocab))
    found = look_up(bundled, settings.words, space, correction, 3)  # type: ignore[arg-type]
    place = ["input", "output"].index(space), ["raw", "centered", "all but the top"].index(correction)
    assert found.neighbors["piece"].tolist() == arrays["neighbor_pieces"][place].ravel().tolist()
    np.testing.assert_allclose(found.neighbors["cosine"], arrays["neighbor_cosines"][place].ravel())


@pytest.mark.parametrize(("words", "got"), [([], "none"), (["chair", "chair"], "chair, chair")])
def test_no_words_or_the_same_twice_are_refused(bundled: HookedEncoderDecoder, words: list[str], got: str) -> None:
    with pytest.raises(InputError, match=f"one or more different words, such as chair table goat; got {got}"):
        look_up(bundled, words)


@pytest.mark.parametrize("name", ["words.json", "words.yaml", "words.yml"])
def test_groups_are_read_from_json_and_yaml(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    groups = {"colors": ["red", "green"], "tools": ["hammer", "saw"]}
    text = json.dumps(groups) if name.endswith("json") else "colors: [red, green]\ntools:\n  - hammer\n  - saw\n"
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert read_groups(path) == {name: tuple(words) for name, words in groups.items()}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("words.txt", "a", r"ends in \.json, \.yaml or \.yml; got"),
        ("words.json", '{"a":\n ["b",]}', "Line 2 of .* is no JSON"),
        ("words.yaml", "a: [b\nc: d", "Line 2 of .* is no YAML"),
        ("words.json", '["a", "b"]', "does not hold a mapping from group names"),
        ("words.yaml", "a: chair\nb: [dog, cat]", "does not hold a mapping from group names"),
        ("words.yaml", "a: [yes, b]\nb: [c, d]", "the group 'a' holds True, which is no text; put quotes"),
        ("words.json", '{"a": ["b", "c"]}', "at least two groups of at least two words; got a 2"),
        ("words.json", '{"a": ["b", "c"], "d": ["b", "e"]}', "b occurs more than once"),
    ],
)
def test_files_without_usable_groups_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_groups(path)


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no word file"):
        read_groups(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as UTF-8 text"):
        read_groups(tmp_path / "binary.json")
