"""A lens begins as the untrained one, learns towards the model, and is the model behind the last layer."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from interp.activations import ActivationStore, write_activations
from interp.attribution.lenses import decode, encoder_outputs, lens_hooks, read_out, streams
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes import (
    compare_decoder_lens,
    compare_tuned_lens,
    fit_decoder_lens,
    fit_tuned_lens,
    load_lens,
    save_lens,
)
from interp.probes.layer_maps import new_maps
from interp.probes.lens_fitting import divergence
from interp.prompts import PromptStream
from tests.support.models import tiny

WHOLE = ("special", "forced")


@pytest.fixture(scope="module")
def store(bundled: HookedEncoderDecoder, tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    hooks = [*lens_hooks(bundled, "encoder"), *lens_hooks(bundled, "decoder")]
    folder = tmp_path_factory.mktemp("lenses")
    return ActivationStore(write_activations(bundled, PromptStream("references"), folder, hooks, keep=WHOLE))


@pytest.fixture(scope="module")
def rows(store: ActivationStore) -> tuple[np.ndarray, np.ndarray]:
    """Target rows of the first 16 prompts, which learn, and of the others, which judge; a sentence is in one half."""
    first = store.index("target", ["prompt"])["prompt"].to_numpy() < 16
    return np.flatnonzero(first), np.flatnonzero(~first)


@pytest.mark.slow
def test_a_tuned_lens_is_nearer_to_the_model_on_prompts_it_has_not_seen(
    bundled: HookedEncoderDecoder, store: ActivationStore, rows: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    lens = fit_tuned_lens(bundled, store, rows[0], epochs=6, batch=64)
    found = compare_tuned_lens(bundled, store, lens, rows[1])
    assert (found.saved.low[:3] > 0).all()
    assert found.to_frame().shape == (4, 10)
    save_lens(lens, tmp_path / "lens.safetensors")
    again = compare_tuned_lens(bundled, store, load_lens(tmp_path / "lens.safetensors", bundled), rows[1])
    assert np.array_equal(again.learned.point, found.learned.point)
    other = tiny("byt5")
    with pytest.raises(InputError, match="learned for other weights"):
        load_lens(tmp_path / "lens.safetensors", other)
    with pytest.raises(InputError, match="other weights than this model's"):
        fit_tuned_lens(tiny("byt5", num_layers=4, num_decoder_layers=4), store)


@pytest.mark.slow
def test_a_learned_decoder_lens_is_nearer_to_the_model_on_prompts_it_has_not_seen(
    bundled: HookedEncoderDecoder, store: ActivationStore, tmp_path: Path
) -> None:
    lens = fit_decoder_lens(bundled, store, np.arange(16), epochs=5, batch=8)
    found = compare_decoder_lens(bundled, store, lens, np.arange(16, 24))
    assert (found.saved.point[:2] > 0).all()
    assert found.saved.low[0] > 0
    save_lens(lens, tmp_path / "lens.safetensors")
    again = load_lens(tmp_path / "lens.safetensors", bundled)
    assert again.kind == "decoder lens"
    with pytest.raises(InputError, match="This is a decoder lens"):
        compare_tuned_lens(bundled, store, again)
    assert all(torch.equal(one, two) for one, two in zip(again.parameters(), lens.parameters(), strict=True))


@pytest.mark.slow
def test_untrained_lenses_are_those_of_the_library(bundled: HookedEncoderDecoder, store: ActivationStore) -> None:
    """KL by the store's rows is the KL of the lenses as they are computed from a cache of one pass."""
    prompts = list(PromptStream("references", limit=16))
    batch = bundled.batch([one.source for one in prompts], [str(one.target) for one in prompts])
    logits, cache = bundled.run_with_cache(batch, [*lens_hooks(bundled, "encoder"), *lens_hooks(bundled, "decoder")])
    mask = batch.target_mask
    numbers = np.arange(16)
    target_rows = np.flatnonzero(np.isin(store.index("target", ["prompt"])["prompt"], numbers))
    assert len(target_rows) == int(mask.sum())
    nothing = compare_tuned_lens(bundled, store, new_maps(bundled, "tuned lens"), target_rows)
    assert np.array_equal(nothing.learned.point, nothing.untrained.point)
    for depth, stream in enumerate(list(streams(bundled, cache, "decoder"))[:-1]):
        kl = divergence(logits, read_out(bundled, stream))
        by_prompt = ((kl * mask).sum(1) / mask.sum(1)).mean()
        assert nothing.untrained.point[depth] == pytest.approx(by_prompt.item(), rel=1e-4)
    nothing = compare_decoder_lens(bundled, store, new_maps(bundled, "decoder lens"), numbers)
    for depth, memory in enumerate(list(encoder_outputs(bundled, cache))[:-1]):
        kl = divergence(logits, decode(bundled, batch, memory))
        by_prompt = ((kl * mask).sum(1) / mask.sum(1)).mean()
        assert nothing.untrained.point[depth] == pytest.approx(by_prompt.item(), rel=1e-3)


def test_a_lens_changes_nothing_at_first_nor_behind_the_last_layer(tiny_t5: HookedEncoderDecoder) -> None:
    lens, stream = new_maps(tiny_t5, "tuned lens"), torch.randn(4, 24)
    assert len(lens.maps) == 3
    assert all(torch.equal(lens(stream, depth), stream) for depth in range(4))
    with torch.no_grad():
        lens.maps[0].bias += 1
    assert torch.equal(lens(stream, 0), stream + 1)
    assert lens(stream, 3) is stream


def test_a_lens_of_other_weights_is_compared_with_nothing(
    bundled: HookedEncoderDecoder, store: ActivationStore, tmp_path: Path
) -> None:
    """Of the same shape it would give numbers, which were those of no lens of this model."""
    host = copy.deepcopy(bundled.hf)
    next(host.parameters()).data[0, 0] += 1
    other = new_maps(HookedEncoderDecoder(host, bundled.tokenizer), "tuned lens")
    with pytest.raises(InputError, match="The lens was learned for other weights"):
        compare_tuned_lens(bundled, store, other)
    with pytest.raises(InputError, match="cannot be written"):
        save_lens(other, tmp_path / "nowhere" / "lens.safetensors")


@pytest.mark.parametrize("of", ["tuned", "decoder"])
def test_without_rows_there_is_no_lens_and_no_comparison(
    bundled: HookedEncoderDecoder, store: ActivationStore, of: str
) -> None:
    fit, compare = {"tuned": (fit_tuned_lens, compare_tuned_lens), "decoder": (fit_decoder_lens, compare_decoder_lens)}[
        of
    ]
    lens = new_maps(bundled, "tuned lens" if of == "tuned" else "decoder lens")
    for use in (lambda none: fit(bundled, store, none), lambda none: compare(bundled, store, lens, none)):
        with pytest.raises(InputError, match="no rows"):
            use(np.zeros(0, dtype=np.int64))


def test_what_a_store_lacks_is_said(bundled: HookedEncoderDecoder, tmp_path: Path) -> None:
    hooks = [*lens_hooks(bundled, "encoder"), "decoder.3.hook_resid_post"]
    corpus = PromptStream("references", limit=2)
    part = ActivationStore(write_activations(bundled, corpus, tmp_path, hooks))
    with pytest.raises(InputError, match=r"lacks decoder.0.hook_resid_pre"):
        fit_tuned_lens(bundled, part)
    with pytest.raises(InputError, match="--keep special --keep forced"):
        fit_decoder_lens(bundled, part)
    (tmp_path / "x.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be read"):
        load_lens(tmp_path / "x.safetensors", bundled)
