"""Hook names: the grammar, the aliases of other tools, and head labels.

Canonical names are those users of TransformerLens know, with the stack in front (`axes` gives the shapes):

    encoder.{l}.attn.hook_q|k|v|z                  [batch pos head d_head]
    encoder.{l}.attn.hook_attn_scores|pattern      [batch head query key]
    encoder.{l}.attn.hook_result                   [batch pos head d_model]
    decoder.{l}.attn.*   decoder.{l}.cross_attn.*  as above; cross-attention queries are target, keys are source positions
    {stack}.{l}.hook_resid_pre|resid_mid|resid_post, decoder.{l}.hook_resid_mid_cross   [batch pos d_model]
    {stack}.{l}.hook_attn_out|mlp_out, decoder.{l}.hook_cross_attn_out                  [batch pos d_model]
    {stack}.{l}.ln1|ln2|ln3.hook_scale [batch pos one] | hook_normalized [batch pos d_model]
    {stack}.{l}.mlp.hook_pre|pre_linear|post       [batch pos d_mlp]
    {stack}.{l}.mlp.hook_expert_weights [batch pos expert] | hook_expert_indices [batch pos one] (Switch, layers with experts)
    {stack}.hook_embed [batch pos d_model]         {stack}.position_bias [one head query key] (T5; UMT5: in every layer)
    {stack}.hook_pos_embed [batch or one, pos d_model], {stack}.ln_embed.hook_scale|hook_normalized (BART's relatives)
    {stack}.ln_final.hook_scale|hook_normalized    unembed.hook_out [batch pos vocab]

T5Gemma has ln1_post, ln2_post, ln3_post (on what a sublayer writes, before it is added), attn.hook_attn_scores_uncapped, and
keys and values by group of heads. In a decoder layer `resid_mid` follows self-attention, `resid_mid_cross` cross-attention; in
T5Gemma 2 both attentions are one (`hooks.merged_attention`), which `resid_mid` follows, and write `attn_out` together.
"""

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

from interp.errors import InputError, is_whole, nearest

if TYPE_CHECKING:
    from interp.axes import AttentionKind

NamesFilter = str | re.Pattern[str] | Sequence[str | re.Pattern[str]] | Callable[[str], bool] | None
"""Which hook points: None for all, a name or glob, a compiled regular expression, several of them, or a predicate."""

ActivationKey = str | tuple[str, int, str]
"""A hook name, or the shorthand (activation, layer, place) such as ("pattern", 0, "cross_attn")."""

Place = Literal["encoder", "decoder", "cross_attn"]

_ATTENTION_LEAVES = ("q", "k", "v", "z", "attn_scores_uncapped", "attn_scores", "pattern", "result")
_MLP_LEAVES = ("pre", "pre_linear", "post", "expert_weights", "expert_indices")
_LAYER_LEAVES = ("resid_pre", "resid_mid", "resid_mid_cross", "resid_post", "attn_out", "cross_attn_out", "mlp_out")

# TransformerLens 4 spellings and those of older notebooks, rewritten to ours in this order.
_ALIASES = (
    (r"^(encoder|decoder)_blocks\.", r"\1."),
    (r"^(encoder|decoder)\.(\d+)\.self_attn\.", r"\1.\2.attn."),
    (r"^encoder\.(\d+)\.hook_resid_mid2$", r"encoder.\1.hook_resid_mid"),
    (r"^decoder\.(\d+)\.hook_resid_mid2$", r"decoder.\1.hook_resid_mid_cross"),
    (r"^(encoder|decoder)_ln_final\.", r"\1.ln_final."),
    (r"^hook_embed$", "encoder.hook_embed"),
    (r"^decoder_hook_embed$", "decoder.hook_embed"),
    (r"^pos_embed\.hook_out$", "encoder.position_bias"),
    (r"^decoder_pos_embed\.hook_out$", "decoder.position_bias"),
)


class HookNameError(InputError, KeyError):
    """A name that no hook point has: bad input for the command line, a missing key for a program."""

    def __str__(self) -> str:
        return str(self.args[0])


def canonical_name(key: ActivationKey) -> str:
    """The hook name behind a key, in our spelling; canonical and unknown names come back unchanged.

    Args:
        key: a name in any known spelling, such as TransformerLens 4's `decoder_blocks.2.self_attn.hook_z` for
            `decoder.2.attn.hook_z`, or the shorthand tuple of `get_act_name`.

    Raises:
        HookNameError: if it is neither a name nor such a tuple.
    """
    if isinstance(key, str):
        return _respelled(key)
    if not isinstance(key, tuple) or len(key) != 3:
        raise HookNameError(
            f"An activation is named by its hook point, or by three words as in ('pattern', 0, 'cross_attn'); got {key!r:.80}."
        )
    return get_act_name(*key)


@lru_cache(1 << 14)
def _respelled(name: str) -> str:
    for pattern, replacement in _ALIASES:
        name = re.sub(pattern, replacement, name)
    return name


def get_act_name(name: str, layer: int, place: str) -> str:
    """The full hook name of an activation: `decoder.2.cross_attn.hook_pattern` for `("pattern", 2, "cross_attn")`.

    Args:
        name: a short activation name: `pattern`, `z`, `resid_post`, `mlp_out`, `pre`.
        layer: layer of the stack, from 0.
        place: `encoder`, `decoder` or, for attention activations only, `cross_attn` (the decoder's cross-attention).

    Raises:
        HookNameError: if the place or the activation is unknown, or the two do not go together.
    """
    if not is_whole(layer):
        raise HookNameError(f"A layer is a whole number, counted from 0; got {layer!r:.80}.")
    if place not in get_args(Place):
        raise HookNameError(
            f"No place is called {place!r} in an encoder-decoder; give 'encoder', 'decoder' or 'cross_attn'."
        )
    short = str(name).removeprefix("hook_")
    if short in _ATTENTION_LEAVES:
        return (
            f"decoder.{layer}.cross_attn.hook_{short}"
            if place == "cross_attn"
            else f"{place}.{layer}.attn.hook_{short}"
        )
    if place == "cross_attn":
        raise HookNameError(f"Cross-attention has no activation {short!r}; it has {', '.join(_ATTENTION_LEAVES)}.")
    if short in _MLP_LEAVES:
        return f"{place}.{layer}.mlp.hook_{short}"
    if short in _LAYER_LEAVES:
        return f"{place}.{layer}.hook_{short}"
    allowed = _ATTENTION_LEAVES + _MLP_LEAVES + _LAYER_LEAVES
    raise HookNameError(f"No activation is called {name!r}; known are {', '.join(allowed)}.")


def resolve(key: ActivationKey, known: Iterable[str]) -> str:
    """The canonical name behind a key, checked against the names that exist.

    Args:
        key: a name in any spelling, or the shorthand tuple of `get_act_name`.
        known: the names to look in.

    Raises:
        HookNameError: if there is no such name; the message offers the nearest ones.
    """
    name, names = canonical_name(key), known if isinstance(known, Collection) else tuple(known)
    if name in names:
        return name
    near = nearest(name, tuple(names), most=3)
    hint = f" Did you mean {', '.join(near)}?" if near else " `interp list hooks` prints every name."
    raise HookNameError(f"No hook point {name!r} here.{hint}")


def matching(names_filter: NamesFilter, known: Sequence[str]) -> tuple[str, ...]:
    """The known names that a filter selects, in the order of `known`.

    Args:
        names_filter: see `NamesFilter`. Globs use `*`, `?` and `[...]` (`"decoder.*.cross_attn.hook_pattern"`).
        known: all names, in forward order.

    Raises:
        HookNameError: if a name, glob, expression or predicate selects nothing, so that a typing error is never an empty cache.
        InputError: if it is no filter.
    """
    if names_filter is None:
        return tuple(known)
    if isinstance(names_filter, str):
        pattern = canonical_name(names_filter)
        if pattern in known:
            return (pattern,)
        chosen = tuple(name for name in known if fnmatch.fnmatchcase(name, pattern))
        return chosen or (resolve(pattern, known),)
    if isinstance(names_filter, re.Pattern):
        chosen = tuple(name for name in known if names_filter.search(name))
        if not chosen:
            raise HookNameError(f"No hook point matches the regular expression {names_filter.pattern!r}.")
        return chosen
    if callable(names_filter):
        chosen = tuple(name for name in known if names_filter(name))
        if not chosen:
            raise HookNameError(
                "The function that chooses hook points says yes to none; `interp list hooks` prints their names."
            )
        return chosen
    if not isinstance(names_filter, Iterable):
        raise InputError(
            "Hook points are chosen by a name, a glob, a regular expression, a function or a list of these; got "
            f"{names_filter!r:.80}."
        )
    wanted = {name for part in names_filter for name in matching(part, known)}
    return tuple(name for name in known if name in wanted)


_AXES_OF_LEAF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("q", "k", "v", "z"), ("batch", "pos", "head", "d_head")),
    **dict.fromkeys(("attn_scores_uncapped", "attn_scores", "pattern"), ("batch", "head", "query", "key")),
    **dict.fromkeys(_MLP_LEAVES, ("batch", "pos", "d_mlp")),
    "expert_weights": ("batch", "pos", "expert"),
    "expert_indices": ("batch", "pos", "one"),
    "result": ("batch", "pos", "head", "d_model"),
    "scale": ("batch", "pos", "one"),
    "out": ("batch", "pos", "vocab"),
    "position_bias": ("one", "head", "query", "key"),
}


def axes_of(name: str) -> tuple[str, ...]:
    """The axis names of the tensor at a hook point; words are those of `interp.axes`.

    Args:
        name: the point's canonical name.
    """
    return _AXES_OF_LEAF.get(name.rpartition(".")[2].removeprefix("hook_"), ("batch", "pos", "d_model"))


def attention_path(kind: "AttentionKind", layer: int) -> str:
    """The name of an attention block: `encoder.0.attn`, `decoder.0.attn` or `decoder.0.cross_attn`.

    Args:
        kind: the kind of attention.
        layer: layer of its stack, from 0.
    """
    return f"decoder.{layer}.cross_attn" if kind == "cross" else f"{kind}.{layer}.attn"


def attention_kind(name: str) -> "AttentionKind":
    """The kind of attention that a hook name is about: the reverse of `attention_path`.

    Args:
        name: a canonical name, or the stem of several.
    """
    if ".cross_attn" in name:
        return "cross"
    return "encoder" if name.startswith("encoder") else "decoder"


_HEAD_LABEL = re.compile(r"^([EDX])L(\d+)H(\d+)$")
_KIND_OF_LETTER: "dict[str, AttentionKind]" = {"E": "encoder", "D": "decoder", "X": "cross"}
_LETTER_OF_KIND = {kind: letter for letter, kind in _KIND_OF_LETTER.items()}


def _near_labels(label: str) -> tuple[str, ...]:
    """Labels that a misspelt one may stand for: `xl2h1`, `X2.1`, `cross 2 1`; all three kinds for `L2H1` or `2.1`."""
    match = re.fullmatch(r"([a-z]*?)[\s_.:,-]*l?[\s_.:,-]*(\d+)[\s_.:,-]*h?[\s_.:,-]*(\d+)", label.strip().casefold())
    if match is None or (match[1] and match[1][0] not in "edxc"):
        return ()
    letters = {"": "EDX", "c": "X"}.get(match[1][:1], match[1][:1].upper())
    return tuple(f"{letter}L{int(match[2])}H{int(match[3])}" for letter in letters)


@dataclass(frozen=True, slots=True, order=True)
class HeadId:
    """One attention head; its label is `EL0H3` (encoder), `DL2H1` (decoder self) or `XL2H1` (cross)."""

    kind: "AttentionKind"
    layer: int
    head: int

    def __str__(self) -> str:
        return f"{_LETTER_OF_KIND[self.kind]}L{self.layer}H{self.head}"

    @classmethod
    def parse(cls, label: str) -> "HeadId":
        """The head of a label.

        Args:
            label: for example `XL2H1`.

        Raises:
            InputError: if the text is no head label.
        """
        match = _HEAD_LABEL.match(label) if isinstance(label, str) else None
        if match is None:
            near = _near_labels(str(label))
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise InputError(
                f"{label!r} is no head label; write EL0H3 (encoder), DL2H1 (decoder) or XL2H1 (cross).{hint}"
            )
        letter, layer, head = match.groups()
        return cls(_KIND_OF_LETTER[letter], int(layer), int(head))

    def hook_name(self, activation: str) -> str:
        """The hook point that holds an activation of this head.

        Args:
            activation: for example `z`, for `decoder.2.cross_attn.hook_z`.
        """
        return f"{attention_path(self.kind, self.layer)}.hook_{activation.removeprefix('hook_')}"
