"""Fixtures that several test files share; builders with arguments are in `tests/support/models.py`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import tests.support.array_types  # noqa: F401  Arrays are checked in what is imported from here on.

# isort: split
import interp
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from tests.support.example import EXAMPLE
from tests.support.models import FAMILIES, random_batch, tiny
from tests.support.skips import pytest_runtest_makereport as pytest_runtest_makereport

# Tiny tensors gain nothing from a second thread, and threads that wait for each other are slow on a busy machine. Commands that
# tests start get as many threads as the tests themselves, because sums split over threads differ in their last bits.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

FIRST = ("test_runner", "test_compare_models", "test_engines", "test_accessibility", "test_rerun", "test_docs")
"""The longest files come first, so that no process of `make test` begins one when the other has nothing left to do; files that
look at the example come late enough not to wait for the process that makes it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(autouse=True)
def _fixed_random_state() -> Iterator[None]:
    """Every test starts from the same global random state and leaves none behind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def tiny_t5() -> HookedEncoderDecoder:
    """A tied, ungated T5 with 2 encoder and 3 decoder layers, 5 heads of 4, d_model 24, vocabulary 61."""
    return tiny("t5")


@pytest.fixture(scope="session")
def tiny_byt5() -> HookedEncoderDecoder:
    """A gated, untied T5 over bytes, with its tokenizer: for tests that need texts and no real language."""
    return tiny("byt5")


@pytest.fixture(scope="session", params=FAMILIES)
def tiny_model(request: pytest.FixtureRequest) -> HookedEncoderDecoder:
    """Each tiny model in turn."""
    return tiny(request.param)


@pytest.fixture(scope="session")
def tiny_batch(tiny_t5: HookedEncoderDecoder) -> Batch:
    """Three prompts of different lengths for `tiny_t5`, padded on both sides, long enough for different bias buckets."""
    return random_batch(tiny_t5)


@pytest.fixture(scope="session")
def bundled() -> HookedEncoderDecoder:
    """The checkpoint that ships with the package, on the processor."""
    return interp.load(device="cpu")


@pytest.fixture(scope="session")
def example_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of `EXAMPLE`, made once for all tests that only look at it, in whichever process they are."""
    from analyses.runs.runner import run

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all processes
    page = folder / "example" / "index.html"
    with FileLock(folder / "example.lock"):
        try:
            # A run is renamed when it is whole, so what is there is whole.
            if not page.is_file():
                run(EXAMPLE, page.parent, overwrite=False, progress=lambda *_: None)
        finally:
            # The runner asks torch for deterministic algorithms; give the other tests back what they had.
            torch.use_deterministic_algorithms(False)
    return page.parent
