"""Rows of a store are chosen by their numbers: what is no number is refused, and what is damaged is said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from interp.activations import ActivationStore
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes import linear_probe
from tests.support.stores import make_store


@pytest.fixture
def store(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> ActivationStore:
    return make_store(tiny_byt5, tmp_path)


TAKERS: dict[str, Callable[[ActivationStore, str, object], object]] = {
    "take": lambda store, hook, rows: store.take(hook, rows),
    "batches": lambda store, hook, rows: store.batches(4, 0, hook, rows),
    "a probe": lambda store, hook, rows: linear_probe(store, hook, ["a"] * len(rows), rows),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_what_is_no_number_of_a_row(store: ActivationStore, taker: str) -> None:
    hook = store.hooks[0]
    count = store.n_rows(store.side(hook))
    mask = np.arange(count) % 2 == 0
    for rows in (mask, mask.tolist(), [1.7], [[0, 1]]):
        with pytest.raises(InputError, match=r"Rows are given as a list of their numbers; got .*flatnonzero"):
            TAKERS[taker](store, hook, rows)
    for rows in ([-1], [count]):
        with pytest.raises(InputError, match="Rows are numbered from 0"):
            TAKERS[taker](store, hook, rows)


def test_rows_below_the_first_and_batches_of_nothing(store: ActivationStore) -> None:
    for start, stop in ((-2, None), (0, -1)):
        with pytest.raises(InputError, match="Rows are counted from 0"):
            store.read(store.hooks[0], start, stop)
    with pytest.raises(InputError, match="one hook point or more"):
        store.batches(4, 0, [])
    assert store.take(store.hooks[0], []).shape[0] == 0


def test_a_damaged_store_says_so(store: ActivationStore) -> None:
    hook = store.hooks[0]
    side = store.side(hook)
    with pytest.raises(InputError, match="no column 'nope'; it has side, prompt"):
        store.index(side, ["nope"])
    index = next((store.folder / "index").glob(f"{side}-*.parquet"))
    index.write_bytes(index.read_bytes()[:50])
    with pytest.raises(InputError, match=r"index of .* cannot be read"):
        store.index(side)
    index.unlink()
    with pytest.raises(InputError, match=r"index of .* cannot be read"):
        store.index(side)
    save_file({"x": torch.zeros(1)}, next((store.folder / hook).glob("*.safetensors")))
    with pytest.raises(InputError, match=r"shard .* cannot be read"):
        store.read(hook)
