"""What a notebook needs: texts for batches, patterns drawn with tokens, names completed, models and caches moved like torch's."""

import base64
import copy
import html
import io
import json
import pickle
import re
import zlib
from typing import Any

import pytest
import torch

from analyses import analyse
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.array_types import unchecked
from tests.support.models import random_batch, tiny

SOURCES = ["translate English to German: The dog is running.", "translate English to French: Yes."]


def unpacked(page: str) -> list[dict[str, Any]]:
    """The heads of what a page to explore holds: what all prompts share, then every prompt."""
    packed = re.findall(r'<script type="application/octet-stream"[^>]*>([^<]*)</script>', page)
    index, *prompts = (zlib.decompress(base64.b64decode(one)) for one in packed)
    return [json.loads(index), *(json.loads(one[4 : 4 + int.from_bytes(one[:4], "little")]) for one in prompts)]


def test_texts_are_taken_where_a_batch_is(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(SOURCES)
    assert torch.equal(bundled(SOURCES), bundled(batch))
    logits, cache = bundled.run_with_cache(SOURCES[0], "decoder.*.cross_attn.hook_pattern")
    assert torch.equal(logits, bundled(bundled.batch(SOURCES[0])))
    assert cache.batch is not None
    assert cache.batch.source_texts[0].text == SOURCES[0]

    def silence(z: torch.Tensor, hook: object) -> torch.Tensor:
        return torch.zeros_like(z)

    edits = [("decoder.3.cross_attn.hook_z", silence)]
    assert torch.equal(bundled.run_with_hooks(SOURCES, edits), bundled.run_with_hooks(batch, edits))


@pytest.mark.slow
def test_a_study_takes_texts(bundled: HookedEncoderDecoder) -> None:
    settings = {"swaps": False, "relevance_prompts": 0}
    one = analyse("cross_attention_focus", bundled, SOURCES, settings=settings)
    two = analyse("cross_attention_focus", bundled, bundled.batch(SOURCES), settings=settings)
    assert one.section.findings == two.section.findings
    assert one._ipython_key_completions_() == list(one.blocks)
    assert len(repr(one)) < 1000


def test_patterns_are_drawn_with_their_tokens(bundled: HookedEncoderDecoder) -> None:
    _, cache = bundled.run_with_cache(SOURCES, "*hook_pattern")
    layer = cache.show("pattern", 3, "cross_attn")._repr_html_()
    assert all(f"XL3H{head}" in layer for head in range(bundled.cfg.n_decoder_heads))
    assert "·dog" in layer
    one = cache.show("XL2H4", prompt=1)._repr_html_()
    assert "XL2H4" in one
    assert "XL2H3" not in one
    assert "·French" in one
    assert cache.show("decoder.2.cross_attn.hook_pattern", head=4, prompt=1)._repr_html_() == one
    assert "EL0H1" in cache.select(0).show("pattern", 0, "encoder", head=1)._repr_html_()  # no tokens: numbers


def explored(display: object) -> str:
    """The page in the frame."""
    frame = display._repr_html_()  # type: ignore[attr-defined]
    found = re.search(r'srcdoc="([^"]*)"', frame)
    assert found is not None
    return html.unescape(found[1])


def test_the_page_to_explore_holds_every_pattern_and_opens_where_it_was_asked(bundled: HookedEncoderDecoder) -> None:
    _, cache = bundled.run_with_cache(SOURCES, "*hook_pattern")
    page = explored(cache.show("DL1H0", prompt=1, interactive=True))
    index, *prompts = unpacked(page)
    assert index["start"] == "#DL1H0&prompt=2"
    assert len(prompts) == len(index["titles"]) == 2
    shapes = {array["name"]: array["shape"] for array in prompts[1]["arrays"]}
    assert shapes["cross"][:2] == [bundled.cfg.n_decoder_layers, bundled.cfg.n_decoder_heads]
    assert set(shapes) == {"encoder", "decoder", "cross"}
    assert "·French" in prompts[1]["source"]
    assert "Not in this cache: what heads write, what the model would say by depth; " in page
    assert explored(cache.select(0).show(interactive=True))  # without a batch positions are numbers


def test_what_is_kept_of_some_layers_can_be_explored(bundled: HookedEncoderDecoder) -> None:
    _, cache = bundled.run_with_cache(SOURCES[0], ["decoder.2.attn.hook_pattern", "decoder.3.attn.hook_pattern"])
    page = explored(cache.show(interactive=True))
    index, prompt = unpacked(page)
    assert index["layers"] == {"decoder": [2, 3]}
    assert index["start"] == "#DL3H0&prompt=1"
    assert [array["name"] for array in prompt["arrays"]] == ["decoder"]
    assert "Not in this cache: encoder self-attention, cross-attention, what heads write" in page
    assert explored(cache.select(0).show("DL2H1", interactive=True))


@pytest.mark.parametrize(
    ("key", "choices", "message"),
    [
        (("z", 3, "cross_attn"), {}, "no attention pattern"),
        (("XL2H9",), {}, "0 to 5"),
        (("XL2H9",), {"interactive": True}, "0 to 5"),
        (("XL2H1",), {"prompt": -3, "interactive": True}, "2 prompts"),
        ((), {}, "which to draw"),
        (("XL2H1",), {"prompt": 2}, "2 prompts"),
        (("XL2H1",), {"prompt": -1}, "2 prompts, counted from 0; got -1"),
        (("XL2H1",), {"prompt": True}, "got True"),
        (("XL2H1",), {"prompt": "0"}, "got '0'"),
        (("XL2H1",), {"prompt": 1.0, "interactive": True}, "got 1.0"),
        (("XL2H1",), {"head": 2}, "names head 1, and head=2 another"),
        (("pattern", 3, "cross_attn"), {"head": -1}, "0 to 5; got -1"),
        (("pattern", 3), {}, "three words"),
        (("pattern", 9, "cross_attn"), {}, "No hook point"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    bundled: HookedEncoderDecoder, key: tuple[str, ...], choices: dict[str, Any], message: str
) -> None:
    _, cache = bundled.run_with_cache(SOURCES, ["decoder.*.cross_attn.hook_pattern", "decoder.3.cross_attn.hook_z"])
    with unchecked(), pytest.raises((InputError, KeyError), match=message):
        cache.show(*key, **choices)


def test_a_model_and_its_cache_are_moved_like_torchs() -> None:
    model = tiny("t5")
    batch = random_batch(model)
    single = model(batch)
    assert model.to(torch.float64) is model
    assert model.dtype == torch.float64
    torch.testing.assert_close(model(batch).float(), single, rtol=1e-3, atol=1e-4)
    assert model.eval().cpu().device.type == "cpu"
    assert sum(one.numel() for one in model.parameters()) == model.hf.num_parameters()
    _, cache = model.run_with_cache(batch)
    assert cache.to(torch.float32)["z", 0, "encoder"].dtype == torch.float32
    assert cache.to("cpu", torch.bfloat16)["z", 0, "encoder"].dtype == torch.bfloat16
    assert cache._ipython_key_completions_() == list(cache)


@pytest.mark.parametrize("family", ["v1.1", "bart", "t5gemma", "switch", "whisper", "byt5"])
def test_a_deep_copy_is_a_model_of_its_own(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model)
    logits, cache = model.run_with_cache(batch)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.hf.parameters():
            weight.mul_(0.5)
    assert torch.equal(model(batch), logits)
    _, changed = other.run_with_cache(batch)
    _, expected = HookedEncoderDecoder(other.hf).run_with_cache(batch)
    assert tuple(changed) == tuple(expected)
    assert all(torch.equal(changed[name], expected[name]) for name in changed)
    assert (other.max_length, other.languages, other.sounds) == (model.max_length, model.languages, model.sounds)
    if model.tokenizer is not None:
        assert torch.equal(other.batch(["ab"], ["c"])["input_ids"], model.batch(["ab"], ["c"])["input_ids"])
    copied, kept = copy.deepcopy(cache), {name: tensor.clone() for name, tensor in cache.items()}
    for tensor in cache.values():
        tensor.zero_()
    assert all(torch.equal(copied[name], kept[name]) for name in kept)


@pytest.mark.parametrize("prompt", [-1, 2, True, 1.0, "0", None, [0]])
def test_a_prompt_is_chosen_by_its_number(tiny_t5: HookedEncoderDecoder, prompt: Any) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5, source_lengths=(5, 4), target_lengths=(3, 2)), "*hook_z")
    with pytest.raises(InputError, match="2 prompts, counted from 0"):
        cache.select(prompt)
    assert cache.select(torch.tensor(1))["z", 0, "encoder"].shape[0] == 1


@pytest.mark.parametrize(
    ("device", "dtype"),
    [("nowhere", None), (None, "float16"), (None, torch.int8), (None, torch.bool), ("cpu", torch.complex64)],
)
def test_activations_are_kept_where_and_as_what_they_can_be(
    tiny_t5: HookedEncoderDecoder, device: Any, dtype: Any
) -> None:
    batch = random_batch(tiny_t5)
    with unchecked(), pytest.raises(InputError, match="Activations are kept"):
        tiny_t5.run_with_cache(batch, device=device, dtype=dtype)
    with unchecked(), pytest.raises(InputError, match="Activations are kept"):
        tiny_t5.run_with_cache(batch)[1].to(device, dtype)


@pytest.mark.parametrize("chosen", [[True], None, torch.ones(3, 19).long(), torch.ones(3, 19)])
def test_a_token_set_is_of_truth_values(tiny_t5: HookedEncoderDecoder, chosen: Any) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5), "encoder.0.hook_resid_pre")
    with unchecked(), pytest.raises(InputError, match="tensor of truth values"):
        cache.at("encoder.0.hook_resid_pre", chosen)


def test_what_is_not_pickled_says_how_it_is_written_and_is_copied_in_memory(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    for write in (pickle.dumps, lambda one: torch.save(one, io.BytesIO())):
        with pytest.raises(InputError, match=r"save_pretrained\(folder\).*interp.load"):
            write(tiny_t5)
        with pytest.raises(InputError, match=r"save_cache\(cache, path\)"):
            write(cache)
    assert copy.copy(tiny_t5).hf is tiny_t5.hf
    assert list(copy.copy(cache)) == list(cache)
