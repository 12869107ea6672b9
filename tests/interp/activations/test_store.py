"""A store holds exactly what a forward pass leaves, row by row, and says of every row what it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors import safe_open
from torch.utils.data import DataLoader

from interp.activations import ActivationStore, verify_activations, write_activations
from interp.errors import InputError
from interp.hooks.steps import of_source
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import PromptStream
from interp.text.batch import Batch
from interp.text.words import CATEGORIES, NO_WORD
from tests.support.stores import HOOKS, SOURCES, TARGETS, make_store, write_corpus_file


@pytest.fixture(scope="module")
def store(tiny_byt5: HookedEncoderDecoder, tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    return make_store(tiny_byt5, tmp_path_factory.mktemp("store"))


def batches(model: HookedEncoderDecoder) -> list[Batch]:
    return [model.batch(list(SOURCES[start : start + 3]), list(TARGETS[start : start + 3])) for start in (0, 3, 6)]


def by_hand(model: HookedEncoderDecoder, hook: str, special: bool = False) -> torch.Tensor:
    """The rows of a hook point, from whole passes with a cache."""
    rows = []
    for batch in batches(model):
        _, cache = model.run_with_cache(batch, hook)
        texts = batch.source_texts if of_source(hook) else batch.target_texts
        for number, text in enumerate(texts):
            for place in range(len(text.ids)):
                if special or text.word_of_token[place] != NO_WORD:
                    rows.append(cache[hook][number, place].flatten())  # noqa: PERF401 - nested
    return torch.stack(rows)


@pytest.mark.parametrize("hook", HOOKS)
def test_rows_are_those_of_a_whole_pass(store: ActivationStore, tiny_byt5: HookedEncoderDecoder, hook: str) -> None:
    assert torch.equal(store.read(hook), by_hand(tiny_byt5, hook))
    assert store.width(hook) == (20 if "attn" in hook else 24)


def test_the_index_says_what_the_rows_are(store: ActivationStore, tiny_byt5: HookedEncoderDecoder) -> None:
    expected = []
    for first, batch in zip((0, 3, 6), batches(tiny_byt5), strict=True):
        for number, text in enumerate(batch.target_texts):
            for place, word in enumerate(text.word_of_token):
                if word != NO_WORD:
                    reads = int(batch.decoder_input_ids[number, place])
                    category = CATEGORIES[text.category_of_token[place]]
                    facts = (text.ids[place], text.pieces[place], reads, text.words[word], word, category)
                    expected.append(("target", first + number, f"p{first + number}", place, *facts))
    index = store.index("target")
    assert list(index.itertuples(index=False, name=None)) == expected
    assert len(store.index("source", ["token"])) == store.n_rows("source") == len(store.read(HOOKS[0]))


def test_shards_have_fixed_rows_and_others_can_read_them(store: ActivationStore) -> None:
    record = store.manifest.sides["source"]
    assert record.shards == -(-record.rows // 10) > 2
    for shard in range(record.shards):
        with safe_open(store.folder / HOOKS[0] / f"{shard:05d}.safetensors", framework="pt") as file:
            rows, notes = file.get_tensor("activations"), file.metadata()
        assert len(rows) == (10 if shard < record.shards - 1 else record.rows - 10 * shard)
        assert torch.equal(rows, store.read(HOOKS[0], 10 * shard, 10 * shard + 10))
        assert (notes["hook"], notes["first_row"]) == (HOOKS[0], str(10 * shard))
    part = parquet.read_table(store.folder / "index" / "source-00001.parquet")
    assert part.num_rows == 10
    assert part.schema.metadata[b"recipe"].decode() == store.manifest.recipe.digest()


def test_rows_by_number_come_in_the_order_asked_for(store: ActivationStore) -> None:
    whole = store.read(HOOKS[0])
    numbers = [25, 3, 3, 11, 0, len(whole) - 1]
    assert torch.equal(store.take(HOOKS[0], numbers), whole[numbers])
    assert store.take(HOOKS[0], []).shape == (0, 24)
    with pytest.raises(InputError, match="numbered from 0"):
        store.take(HOOKS[0], [len(whole)])


def test_special_and_padded_tokens_are_kept_when_asked_for(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    special = make_store(tiny_byt5, tmp_path, keep=("special",))
    assert torch.equal(special.read(HOOKS[0]), by_hand(tiny_byt5, HOOKS[0], special=True))
    assert (special.index("source")["category"] == "eos").sum() == len(SOURCES)
    every = make_store(tiny_byt5, tmp_path, keep=("special", "forced", "padding"), hooks=HOOKS[0])
    grids = [tiny_byt5.run_with_cache(batch, HOOKS[0])[1][HOOKS[0]].flatten(0, 1) for batch in batches(tiny_byt5)]
    assert torch.equal(every.read(HOOKS[0]), torch.cat(grids))
    assert "pad" in set(every.index("source")["category"])


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "int8"])
def test_smaller_types_are_off_by_their_rounding(
    store: ActivationStore, tiny_byt5: HookedEncoderDecoder, tmp_path: Path, kind: str
) -> None:
    small = make_store(tiny_byt5, tmp_path, stored_as=kind)
    for hook in HOOKS:
        exact, read = store.read(hook), small.read(hook)
        if kind == "int8":
            scale = exact.abs().amax(1, keepdim=True) / 127
            assert read.dtype == torch.float32
            assert ((read - exact).abs() <= scale * 0.5001).all()
            assert ((read - exact).abs() > scale * 0.3).any()
        else:
            assert torch.equal(read, exact.to(getattr(torch, kind)))
    assert not verify_activations(small.folder)


def test_without_targets_the_source_needs_none_and_the_target_is_generated(
    tiny_byt5: HookedEncoderDecoder, store: ActivationStore, tmp_path: Path
) -> None:
    corpus = PromptStream(write_corpus_file(tmp_path / "c.jsonl", with_targets=False))
    source = ActivationStore(write_activations(tiny_byt5, corpus, tmp_path, HOOKS[0], batch_size=3))
    assert source.manifest.target_origin == "not needed"
    assert torch.equal(source.read(HOOKS[0]), store.read(HOOKS[0]))
    corpus = PromptStream(tmp_path / "c.jsonl", limit=2)
    keep = ("special", "forced")
    written = ActivationStore(write_activations(tiny_byt5, corpus, tmp_path, HOOKS[3], batch_size=2, keep=keep))
    assert written.manifest.target_origin == "generated"
    expected = tiny_byt5.batch(list(SOURCES[:2]))
    tokens = [token for text in expected.target_texts for token in text.ids]
    assert written.index("target")["token"].tolist() == tokens


def test_the_folder_is_named_by_what_decides_the_numbers(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    one = make_store(tiny_byt5, tmp_path).folder
    assert make_store(tiny_byt5, tmp_path).folder == one
    changes = (
        {"batch_size": 2},
        {"hooks": HOOKS[1:]},
        {"stored_as": "bfloat16"},
        {"keep": ("special",)},
        {"rows_per_shard": 9},
    )
    names = {make_store(tiny_byt5, tmp_path, **change).folder for change in changes}
    assert len(names | {one}) == len(changes) + 1
    with pytest.raises(InputError, match="holds 6 stores; give one"):
        ActivationStore(tmp_path / "stores")
    head = tiny_byt5.module("unembed.hook_out").weight
    assert isinstance(head, torch.Tensor)
    kept = head[0, 0].item()
    with torch.no_grad():
        head[0, 0] += 1e-3
    try:
        assert make_store(tiny_byt5, tmp_path).folder not in names | {one}
    finally:
        with torch.no_grad():
            head[0, 0] = kept


def test_damage_is_told(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    folder = make_store(tiny_byt5, tmp_path).folder
    assert not verify_activations(folder)
    shard = folder / HOOKS[0] / "00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    (folder / "index" / "target-00000.parquet").unlink()
    (folder / "more.txt").write_text("x")
    assert verify_activations(folder) == (
        "Missing: index/target-00000.parquet.",
        "Added: more.txt.",
        f"Changed: {HOOKS[0]}/00001.safetensors.",
    )
    text = (folder / "manifest.json").read_text()
    for old, new in (
        ('"target_origin": "given"', '"target_origin": "generated"'),
        (f'"model": "{json.loads(text)["model"]}"', '"model": "another"'),
        ('"shards": ', '"shards":  '),
        ('"batch_size": 3', '"batch_size": 4'),
    ):
        assert text.count(old)
        (folder / "manifest.json").write_text(text.replace(old, new))
        assert any("The manifest itself was changed" in said for said in verify_activations(folder)), old
    (folder / "manifest.json").write_text(text)
    (folder / "empty").mkdir()
    assert "Added: empty/, more.txt." in verify_activations(folder)
    (folder / "manifest.json").write_text(text.replace('"batch_size": 3', '"batch_size": 4'))
    assert "its recipe gives" in verify_activations(folder)[-1]
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is none of a store"):
        ActivationStore(folder)


def test_every_batch_is_seen_once_in_an_order_of_the_seed(store: ActivationStore) -> None:
    hook, count = HOOKS[0], store.n_rows("source")
    whole = store.read(hook)

    def order(seed: int | None, **choices: object) -> list[int]:
        found = []
        for numbers, rows in store.batches(16, seed, hook, numbered=True, **choices):  # type: ignore[arg-type]
            assert torch.equal(rows, whole[torch.from_numpy(numbers)])
            found += numbers.tolist()
        return found

    assert order(None) == list(range(count))
    assert order(0) == order(0) != order(1)
    assert sorted(order(0)) == list(range(count))
    assert order(None, rows=[30, 4, 5]) == [4, 5, 30]
    assert sorted(order(3, rows=range(7, 40))) == list(range(7, 40))
    assert sorted(order(0, pool=16)) == list(range(count))
    sizes = [len(rows) for rows in store.batches(16, 0, hook)]
    assert sizes == [16] * (count // 16) + [count % 16]
    pairs = next(iter(store.batches(8, 0, [HOOKS[1], HOOKS[3]])))
    assert {name: tuple(rows.shape) for name, rows in pairs.items()} == {HOOKS[1]: (8, 20), HOOKS[3]: (8, 24)}
    with pytest.raises(InputError, match="both sides"):
        store.batches(8, 0)


def test_workers_share_the_rows(store: ActivationStore) -> None:
    batches = store.batches(8, 0, HOOKS[0], numbered=True)
    loader = DataLoader(batches, batch_size=None, num_workers=2, multiprocessing_context="fork")
    seen = np.concatenate([np.asarray(numbers) for numbers, _ in loader])
    assert sorted(seen.tolist()) == list(range(store.n_rows("source")))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"hooks": "decoder.*.attn.hook_pattern"}, "no vector for every token"),
        ({"hooks": "encoder.9.*"}, "No hook point"),
        ({"rows_per_shard": 0}, "rows of a shard"),
        ({"layout": "arrow", "stored_as": "int8"}, "float32 or float16, not int8"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path, choices: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_store(tiny_byt5, tmp_path, **choices)
    assert not (tmp_path / "stores").exists()


def test_a_text_that_is_too_long_is_told_before_anything_is_run(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path
) -> None:
    rows = [{"source": "a"}, {"id": "far", "source": "b" * 2000}]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"source of prompt far has 2001 tokens"):
        write_activations(tiny_byt5, PromptStream(tmp_path / "c.jsonl"), tmp_path / "out", HOOKS[0])
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_the_tokenizer_does_not_know_is_refused(bundled: HookedEncoderDecoder, tmp_path: Path) -> None:
    corpus = tmp_path / "c.txt"
    corpus.write_text("translate English to German: محمد\nفاطمة خالد\nA cat\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"does not know \d+% of the pieces of these texts"):
        write_activations(bundled, PromptStream(corpus), tmp_path / "out", HOOKS[0])
    assert not (tmp_path / "out").exists()


def test_numbers_too_large_for_float16_are_refused(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    point = HOOKS[0]
    with (
        tiny_byt5.hooks([(point, lambda value, hook: value * 1e6)]),
        pytest.raises(InputError, match="not finite as float16"),
    ):
        make_store(tiny_byt5, tmp_path, hooks=point, stored_as="float16")


@pytest.mark.parametrize(
    "choices", [{"seed": -1}, {"seed": 0.5}, {"seed": True}, {"size": 1.5}, {"pool": 0}, {"size": True}]
)
def test_batches_of_no_size_or_seed_are_refused(store: ActivationStore, choices: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"1 row or more|A seed is a whole number from 0"):
        store.batches(**{"size": 4, "seed": 0, "hooks": store.hooks[0], **choices})
