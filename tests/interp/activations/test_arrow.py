"""A store written as Arrow is what Hugging Face's datasets read, with the numbers of the other layout."""

import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

from interp.activations import ActivationStore, verify_activations, write_activations
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import PromptStream
from tests.support.stores import HOOKS, make_store, write_corpus_file


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_datasets_read_the_same_numbers(tiny_byt5: HookedEncoderDecoder, tmp_path: Path, kind: str) -> None:
    store = make_store(tiny_byt5, tmp_path, stored_as=kind)
    corpus = PromptStream(tmp_path / "corpus.jsonl")
    folder = write_activations(
        tiny_byt5,
        corpus,
        tmp_path / "stores",
        HOOKS,
        kind,
        "arrow",
        rows_per_shard=10,
        batch_size=3,  # type: ignore[arg-type]
    )
    assert not verify_activations(folder)
    for side in ("source", "target"):
        found = datasets.load_from_disk(str(folder / side)).with_format("numpy")
        hooks = [hook for hook in HOOKS if store.side(hook) == side]
        assert found.column_names == [*hooks, "token_ids"]
        for hook in hooks:
            assert found.features[hook] == datasets.Array2D((1, store.width(hook)), kind)
            rows = found[:][hook]
            assert np.array_equal(rows[:, 0], store.read(hook).float().numpy())  # datasets show float16 as float32
        assert found[:]["token_ids"].ravel().tolist() == store.index(side)["token"].tolist()  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"written as Arrow; open .*load_from_disk"):
        ActivationStore(folder)


def test_without_the_extra_one_sentence_says_so(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = PromptStream(write_corpus_file(tmp_path / "c.jsonl"))
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"needs pyarrow for its index: pip install 't5-interp\[data\]'"):
        write_activations(tiny_byt5, corpus, tmp_path / "out", HOOKS[0])
    assert not (tmp_path / "out").exists()
