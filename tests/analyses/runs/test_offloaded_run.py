"""A whole run with weights on the disk has the tables of the run from memory; one in a narrow type says what that costs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import interp
from analyses.core.precision import gap_frame
from analyses.core.registry import ANALYSES, get
from analyses.runs.config import RunConfig, make_config
from analyses.runs.diff import compare_runs
from analyses.runs.runner import run
from interp.model.placement import Placement
from tests.support.models import tiny

pytestmark = pytest.mark.slow

SENTENCES = ("The cat sleeps.", "A dog runs in the garden.", "We drink cold water.", "The old man reads a book.")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint and prompts."""
    folder = tmp_path_factory.mktemp("offloaded")
    model = tiny("byt5")
    assert model.tokenizer is not None
    model.hf.save_pretrained(folder / "model")
    model.tokenizer.save_pretrained(folder / "model")
    (folder / "prompts.jsonl").write_text(
        "".join(f'{{"source": "{text}", "target": "Ja, {text}"}}\n' for text in SENTENCES)
    )
    return folder


def made(home: Path, out: Path, placement: Placement | None = None, **choices: object) -> Path:
    config: RunConfig = make_config(
        model=str(home / "model"), prompts=str(home / "prompts.jsonl"), twins=2, batch_size=2, pages=1, **choices
    )
    page = run(config, out, overwrite=False, progress=lambda *_: None, placement=placement)
    torch.use_deterministic_algorithms(False)
    return page.parent


def test_a_run_with_offloaded_weights_has_the_tables_of_the_run_from_memory(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra `large`: pip install -e '.[large]'")
    weights = sum(parameter.nbytes for parameter in tiny("byt5").hf.parameters())
    placement = Placement("auto", {"cpu": f"{weights * 6 // 10_000}KB"}, tmp_path / "weights")
    spread = made(home, tmp_path / "spread", placement)
    assert {"disk", "cpu"} == set(interp.load(home / "model", **placement.host_arguments()).hf.hf_device_map.values())
    plain = made(home, tmp_path / "plain")
    assert compare_runs(plain, spread, 1e-6, 1e-9, "tables") == ()
    names = [sorted(path.name for path in (run / "tables").iterdir()) for run in (plain, spread)]
    assert names[0] == names[1]
    assert len(names[0]) > 20


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_narrow_type_stands_with_its_gap_beside_the_numbers_of_every_section(
    home: Path, tmp_path: Path, dtype: str
) -> None:
    narrow = made(home, tmp_path / "narrow", dtype=dtype, analyses=("cross_attention_focus", "embedding_geometry"))
    for name in ("cross-attention-focus", "embedding-geometry"):
        frame = pd.read_csv(narrow / "tables" / f"{name}-precision.csv")
        assert (frame["gap"] <= frame["largest gap"] * (1 + 1e-9)).all()
        assert 0 < frame["gap / size"].median() < 0.1
        assert f"The model ran in {dtype}: on 2 prompts" in (narrow / "index.html").read_text(encoding="utf-8")


def test_float32_needs_no_such_table(home: Path, tmp_path: Path) -> None:
    exact = made(home, tmp_path / "exact", analyses=("cross_attention_focus",))
    assert not list((exact / "tables").glob("*precision*"))
    assert "The model ran in" not in (exact / "index.html").read_text(encoding="utf-8")


def test_gaps_are_root_mean_squares_over_what_both_define() -> None:
    own = {"a": np.array([[1.0, np.nan], [3.0, 8.0]]), "sentence": np.zeros((2, 32), np.uint8)}
    exact = {"a": np.array([[2.0, 5.0], [3.0, np.nan]]), "sentence": np.zeros((2, 32), np.uint8)}
    frame = gap_frame(get(next(iter(ANALYSES))), own, exact)
    assert frame["number"].tolist() == ["a"]
    assert frame["gap"].item() == pytest.approx(np.sqrt(0.5))
    assert frame["largest gap"].item() == 1
    assert frame["gap / size"].item() == pytest.approx(np.sqrt(0.5) / np.sqrt(6.5))
