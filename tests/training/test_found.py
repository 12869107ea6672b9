"""What a run found stands in the card of the model that it was made of, once, and of no other model."""

import hashlib
import json
from pathlib import Path

import pytest

from analyses.runs.manifest import ModelRecord
from interp.errors import InputError
from tests.support.runs import CONTENT, write_run
from training.found import HEADING, tell

WEIGHTS = b"weights"
RESULTS = {
    "first": {
        "question": "Which is it?",
        "headline": {"sentence": "It is 0.5.", "sureness": "beyond all controls", "figure": "a"},
        "highlights": ["It is 0.5 [0.4, 0.6].", "Another is 2."],
    },
    "second": {
        "question": "And where?",
        "headline": {"sentence": "Nowhere in 3 layers.", "sureness": "within the controls", "figure": "b"},
        "highlights": ["Layer 1 has 0.1."],
    },
    "explorer": {"question": "Left out.", "headline": {}, "highlights": []},
}


def made(folder: Path, results: dict[str, object] = RESULTS, weights: bytes = WEIGHTS) -> Path:
    record = ModelRecord(
        name="mine", revision=None, files={"model.safetensors": hashlib.sha256(weights).hexdigest()}, family="t5",
        dtype="float32", device="cpu", attention="interp", logit_scale=1.0, tied_embeddings=True,
    )  # fmt: skip
    content = {**CONTENT, "results.json": json.dumps(results).encode()}
    return write_run(folder, content, model=record, config={"analyses": ["first", "second"]}, command="interp run")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "MODEL_CARD.md").write_text("# Card\n\nText.\n\n## Weaknesses\n\nMany.\n", encoding="utf-8")
    return folder


def test_sentences_of_every_section_stand_before_the_weaknesses(card: Path, tmp_path: Path) -> None:
    tell(made(tmp_path / "run"), card)
    text = (card / "MODEL_CARD.md").read_text(encoding="utf-8")
    told = text[text.index(HEADING) : text.index("## Weaknesses")]
    assert "`interp run` on 1 prompts of 1 sentences, 2 untrained twins" in told
    lines = told.splitlines()
    assert [line for line in lines if line.lstrip().startswith("- ")] == [
        "- Which is it?",
        "  - It is 0.5 [0.4, 0.6] (beyond all controls).",
        "  - Another is 2.",
        "- And where?",
        "  - Nowhere in 3 layers (within the controls).",
        "  - Layer 1 has 0.1.",
    ]
    listed = (card / "sha256.txt").read_text(encoding="utf-8")
    assert f"{hashlib.sha256(text.encode()).hexdigest()}  MODEL_CARD.md" in listed


def test_a_later_run_takes_the_place_of_an_earlier_one(card: Path, tmp_path: Path) -> None:
    tell(made(tmp_path / "run"), card)
    once = (card / "MODEL_CARD.md").read_text(encoding="utf-8")
    tell(made(tmp_path / "again"), card)
    assert (card / "MODEL_CARD.md").read_text(encoding="utf-8") == once
    first = {**RESULTS["first"], "highlights": ["It is 0.5 [0.3, 0.7]."]}
    tell(made(tmp_path / "other", {"first": first}), card)
    text = (card / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text.count(HEADING) == 1
    assert "[0.3, 0.7]" in text
    assert "[0.4, 0.6]" not in text
    assert text.startswith("# Card\n\nText.\n")
    assert text.endswith("\n## Weaknesses\n\nMany.\n")


def test_other_weights_and_a_folder_without_a_card_are_refused(card: Path, tmp_path: Path) -> None:
    before = (card / "MODEL_CARD.md").read_bytes()
    with pytest.raises(InputError, match="is of the weights"):
        tell(made(tmp_path / "run", weights=b"others"), card)
    assert (card / "MODEL_CARD.md").read_bytes() == before
    (card / "MODEL_CARD.md").unlink()
    with pytest.raises(InputError, match="There is no card"):
        tell(made(tmp_path / "again"), card)


def test_a_run_that_someone_edited_is_refused(card: Path, tmp_path: Path) -> None:
    before, run = (card / "MODEL_CARD.md").read_bytes(), made(tmp_path / "run")
    results = (run / "results.json").read_text(encoding="utf-8")
    (run / "results.json").write_text(results.replace("Another is 2.", "Another is 9."), encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.json"):
        tell(run, card)
    assert (card / "MODEL_CARD.md").read_bytes() == before
