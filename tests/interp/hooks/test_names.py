"""Hook names: the grammar, other tools' spellings, filters, and head labels."""

import re
from typing import Any

import pytest

from interp.errors import InputError
from interp.hooks.names import HeadId, canonical_name, get_act_name, matching, resolve
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.array_types import unchecked
from tests.support.models import random_batch

ALIASES = {
    "encoder_blocks.1.attn.hook_q": "encoder.1.attn.hook_q",
    "decoder_blocks.2.self_attn.hook_z": "decoder.2.attn.hook_z",
    "decoder_blocks.0.cross_attn.hook_pattern": "decoder.0.cross_attn.hook_pattern",
    "encoder_blocks.1.hook_resid_mid2": "encoder.1.hook_resid_mid",
    "decoder_blocks.1.hook_resid_mid2": "decoder.1.hook_resid_mid_cross",
    "decoder_blocks.1.hook_resid_mid": "decoder.1.hook_resid_mid",
    "encoder_ln_final.hook_scale": "encoder.ln_final.hook_scale",
    "decoder_ln_final.hook_normalized": "decoder.ln_final.hook_normalized",
    "hook_embed": "encoder.hook_embed",
    "pos_embed.hook_out": "encoder.position_bias",
    "decoder_pos_embed.hook_out": "decoder.position_bias",
}


@pytest.mark.parametrize(("theirs", "ours"), ALIASES.items())
def test_the_spellings_of_transformer_lens_are_rewritten(tiny_t5: HookedEncoderDecoder, theirs: str, ours: str) -> None:
    assert canonical_name(theirs) == ours
    assert ours in tiny_t5.hook_points()


def test_canonical_names_come_back_unchanged(tiny_t5: HookedEncoderDecoder) -> None:
    for name in tiny_t5.hook_points():
        assert canonical_name(name) == name


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (("pattern", 2, "cross_attn"), "decoder.2.cross_attn.hook_pattern"),
        (("pattern", 0, "encoder"), "encoder.0.attn.hook_pattern"),
        (("hook_attn_scores", 1, "decoder"), "decoder.1.attn.hook_attn_scores"),
        (("resid_post", 1, "decoder"), "decoder.1.hook_resid_post"),
        (("pre", 0, "encoder"), "encoder.0.mlp.hook_pre"),
    ],
)
def test_the_tuple_shorthand(key: tuple[str, int, str], name: str) -> None:
    assert get_act_name(*key) == name


def test_a_place_is_never_guessed() -> None:
    with pytest.raises(InputError, match=r"No place is called 'attn'.*'encoder', 'decoder' or 'cross_attn'"):
        get_act_name("pattern", 0, "attn")
    with pytest.raises(InputError, match="Cross-attention has no activation 'resid_mid'"):
        get_act_name("resid_mid", 0, "cross_attn")
    with pytest.raises(InputError, match="No activation is called 'patern'"):
        get_act_name("patern", 0, "encoder")


def test_an_unknown_name_offers_the_nearest(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(KeyError, match=r"decoder\.9\.hook_resid_pre.*Did you mean decoder\.\d\.hook_resid_pre"):
        resolve("decoder.9.hook_resid_pre", tiny_t5.hook_points())
    with pytest.raises(KeyError, match="interp list hooks"):
        resolve("§§§", tiny_t5.hook_points())


def test_filters_select_in_forward_order(tiny_t5: HookedEncoderDecoder) -> None:
    known = tuple(tiny_t5.hook_points())
    assert matching(None, known) == known
    assert matching("decoder.*.cross_attn.hook_pattern", known) == tuple(
        f"decoder.{layer}.cross_attn.hook_pattern" for layer in range(3)
    )
    assert matching("decoder_blocks.1.self_attn.hook_z", known) == ("decoder.1.attn.hook_z",)
    assert matching(re.compile(r"^encoder\.\d\.hook_mlp_out$"), known) == (
        "encoder.0.hook_mlp_out",
        "encoder.1.hook_mlp_out",
    )
    assert matching(lambda name: name.endswith("hook_embed"), known) == ("encoder.hook_embed", "decoder.hook_embed")
    mixed = matching(["unembed.hook_out", "decoder.hook_embed", re.compile("^encoder.hook_embed$")], known)
    assert mixed == ("encoder.hook_embed", "decoder.hook_embed", "unembed.hook_out")


def test_a_filter_that_selects_nothing_is_a_typing_error(tiny_t5: HookedEncoderDecoder) -> None:
    known = tuple(tiny_t5.hook_points())
    for wrong in ("decoder.*.cross_attn.hook_patern", re.compile("cross_atn"), ["unembed.hook_out", "unembd"]):
        with pytest.raises(KeyError, match=r"No hook point"):
            matching(wrong, known)


@pytest.mark.parametrize(
    ("label", "head", "z"),
    [
        ("EL0H3", HeadId("encoder", 0, 3), "encoder.0.attn.hook_z"),
        ("DL2H1", HeadId("decoder", 2, 1), "decoder.2.attn.hook_z"),
        ("XL10H12", HeadId("cross", 10, 12), "decoder.10.cross_attn.hook_z"),
    ],
)
def test_head_labels_round_trip(label: str, head: HeadId, z: str) -> None:
    assert HeadId.parse(label) == head
    assert str(head) == label
    assert head.hook_name("z") == z
    assert head.hook_name("hook_z") == z


@pytest.mark.parametrize("label", ["L0H1", "AL0H1", "EL0", "EL0H1x", "el0h1", ""])
def test_what_is_no_head_label_is_refused(label: str) -> None:
    with pytest.raises(InputError, match="is no head label; write EL0H3"):
        HeadId.parse(label)


@pytest.mark.parametrize(
    "key",
    [
        3,
        None,
        3.5,
        True,
        b"hook",
        (),
        ("pattern",),
        ("pattern", 3),
        ("pattern", 3, "encoder", 1),
        ["a", 1, "encoder"],
        slice(2),
    ],
)
def test_what_names_no_activation_is_a_missing_key(tiny_t5: HookedEncoderDecoder, key: Any) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5), "*hook_pattern")
    with pytest.raises(KeyError, match=r"named by its hook point.*\('pattern', 0, 'cross_attn'\)"):
        cache[key]
    assert key not in cache
    assert cache.get(key) is None


@pytest.mark.parametrize("layer", [1.0, True, "1", None])
def test_a_layer_that_only_equals_a_number_is_refused_and_does_not_stand_for_it_later(layer: Any) -> None:
    with pytest.raises(KeyError, match="whole number, counted from 0"):
        canonical_name(("resid_post", layer, "decoder"))
    assert canonical_name(("resid_post", 1, "decoder")) == "decoder.1.hook_resid_post"


@pytest.mark.parametrize("wrong", [3, [3], lambda name: name.endswith("hook_patern")])
def test_what_chooses_no_hook_point_is_refused(tiny_t5: HookedEncoderDecoder, wrong: Any) -> None:
    batch = random_batch(tiny_t5)
    with unchecked(), pytest.raises(InputError, match=r"chosen by a name|says yes to none"):
        tiny_t5.run_with_cache(batch, wrong)
    with unchecked(), pytest.raises(InputError, match=r"chosen by a name|says yes to none"):
        tiny_t5.run_with_hooks(batch, [(wrong, lambda value, hook: None)])
