"""Which activations carry the difference between two prompts? Activation patching, exact and approximated.

With m the logit of the answer less that of the foil, an activation is taken from one run and put into the other:

    denoising   clean activation into the corrupted run     (m_patched - m_corrupted) / (m_clean - m_corrupted)
    noising     corrupted activation into the clean run     (m_clean - m_patched) / (m_clean - m_corrupted)

Denoising asks whether a site suffices to restore the answer, noising whether the answer needs it (Heimersheim and Nanda 2024;
Zhang and Nanda 2024). Over pairs the effect is a ratio of means. Attribution patching replaces the second run by one gradient,
(z_clean - z_corrupted) dm/dz at the corrupted run (Nanda 2023); its integrated variant averages the gradient over embeddings
between corrupted and clean (Hanna et al. 2024). For keys the softmax is taken exactly before the gradient is used, because it
saturates (Kramár et al. 2024).

Sites share what they can: in T5's family the recipient is run once and every site goes on from the place where it acts
(see `partial_forward`); elsewhere sites of one hook point share passes as copies of the batch, and decoder sites the
recipient's memory. The vocabulary is never scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import attention_kind
from interp.model.hooked_model import HookedEncoderDecoder, Hooks
from interp.patching.head_ablation import TOKENS_AT_ONCE, decoded
from interp.patching.minimal_pairs import PairBatch
from interp.patching.partial_forward import can_replay, replay
from interp.patching.patching_sites import Site as Site
from interp.patching.patching_sites import needed, sweepable, swept
from interp.text.batch import Batch

Direction = Literal["denoise", "noise"]

SiteFamily = Literal[
    "encoder_resid", "decoder_resid", "encoder_z", "decoder_z", "cross_z", "cross_pattern", "cross_k", "cross_v"
]


_HEAD_SITES: dict[str, str] = {
    "encoder_z": "encoder.{}.attn.hook_z",
    "decoder_z": "decoder.{}.attn.hook_z",
    "cross_z": "decoder.{}.cross_attn.hook_z",
    "cross_pattern": "decoder.{}.cross_attn.hook_pattern",
    "cross_k": "decoder.{}.cross_attn.hook_k",
    "cross_v": "decoder.{}.cross_attn.hook_v",
}


def sites(model: HookedEncoderDecoder, pairs: PairBatch, family: SiteFamily) -> tuple[Site, ...]:
    """All sites of one family, layer by layer.

    Args:
        model: the model.
        pairs: the pairs, whose longest source or prefix bounds the positions of residual sites.
        family: `encoder_resid` and `decoder_resid` have a site a layer (stream before it) and position, and one after the last
            layer; the others one a layer and head, all positions together.

    Raises:
        InputError: if there is no such family.
    """
    cfg = model.cfg
    if family in {"encoder_resid", "decoder_resid"}:
        stack: Literal["encoder", "decoder"] = "encoder" if family == "encoder_resid" else "decoder"
        ids = pairs.clean.input_ids if stack == "encoder" else pairs.clean.decoder_input_ids
        names = [f"{stack}.{layer}.hook_resid_pre" for layer in range(cfg.n_layers(stack))]
        names.append(f"{stack}.{cfg.n_layers(stack) - 1}.hook_resid_post")
        return tuple(Site(name, position) for name in names for position in range(ids.shape[1]))
    if family not in _HEAD_SITES:
        allowed = ", ".join(("encoder_resid", "decoder_resid", *_HEAD_SITES))
        raise InputError(f"No family of sites is called {family!r}; there are {allowed}.")
    names = [_HEAD_SITES[family].format(layer) for layer in range(cfg.layers_of(attention_kind(_HEAD_SITES[family])))]
    return tuple(Site(name, head, "head") for name in names for head in range(cfg.heads_of(attention_kind(name))))


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What patching sites did, in logits; normalise with `interp.statistics.bootstrap_ratio(numerator, denominator)`.

    Attributes:
        sites: the sites.
        clean: answer less foil in the clean run.
        corrupted: answer less foil in the corrupted run.
        numerator: for denoising m_patched - m_corrupted, for noising m_clean - m_patched; NaN where a pair has no such position.
    """

    sites: tuple[Site, ...]
    clean: Float[Tensor, " pair"]
    corrupted: Float[Tensor, " pair"]
    numerator: Float[Tensor, "pair site"]

    @property
    def denominator(self) -> Float[Tensor, "pair site"]:
        """m_clean - m_corrupted of every pair, as often as there are sites."""
        return (self.clean - self.corrupted).unsqueeze(-1).expand_as(self.numerator)

    def weak(self, least: float = 0.5) -> tuple[int, ...]:
        """Pairs whose answer the corruption hardly changes, |m_clean - m_corrupted| < least logits; drop or flag them."""
        return tuple((self.clean - self.corrupted).abs().lt(least).nonzero()[:, 0].tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The clean or the corrupted sources, ready to be run with edits.

    Attributes:
        model: the model.
        pairs: the pairs.
        batch: the sources of this side.
        memory: what the encoder makes of them without edits.
    """

    model: HookedEncoderDecoder
    pairs: PairBatch
    batch: Batch
    memory: Float[Tensor, "batch source d_model"]

    def values(self, hooks: Hooks, copies: int) -> Float[Tensor, "copy pair"]:
        """Answer less foil of every copy of the pairs; the encoder runs again only if an edit is in it."""
        in_encoder = [hook for hook in hooks if str(hook[0]).startswith("encoder.")]
        in_decoder = [hook for hook in hooks if not str(hook[0]).startswith("encoder.")]
        memory = self.memory
        if in_encoder:
            with self.model.hooks(in_encoder):
                memory = _encoded(self.model, self.batch, copies)
        normalized = decoded(self.model, self.batch, memory, in_decoder, copies)
        at_row = normalized[:, torch.arange(len(self.pairs), device=normalized.device), self.pairs.rows]
        values: Tensor = (at_row * self.pairs.directions(self.model)).sum(-1)
        constants = self.pairs.constants(self.model)
        return values if constants is None else values + constants

    def copies_at_once(self) -> int:
        """How many copies of the pairs fit into one pass."""
        tokens = self.batch.input_ids.numel() + self.batch.decoder_input_ids.numel()
        return max(TOKENS_AT_ONCE // tokens, 1)


def side(model: HookedEncoderDecoder, pairs: PairBatch, batch: Batch) -> Side:
    """Run the encoder on one side of the pairs."""
    return Side(model, pairs, batch, _encoded(model, batch, 1))


def _encoded(model: HookedEncoderDecoder, batch: Batch, copies: int) -> Tensor:
    ids, mask = batch.input_ids.repeat(copies, 1), batch.attention_mask.repeat(copies, 1)
    memory: Tensor = model.hf.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
    return memory


def patch_sites(
    model: HookedEncoderDecoder,
    pairs: PairBatch,
    chosen: Sequence[Site],
    direction: Direction = "denoise",
    donor_shift: int = 0,
) -> Effects:
    """Patch every site by itself.

    Args:
        model: the model.
        pairs: the pairs.
        chosen: the sites, e.g. from `sites`.
        direction: see the module's docstring.
        donor_shift: take the activation from the pair so many places further on; anything but 0 is a control, in which the
            activation comes from the right kind of run of another sentence.

    Raises:
        InputError: if no site is given.
    """
    if not chosen:
        raise InputError("No sites were given; name at least one, or take a family from `sites`.")
    if can_replay(model) and all(sweepable(site) for site in chosen):
        return _replayed(model, pairs, chosen, direction, donor_shift)
    by_name = _by_name(chosen)
    recipient, donor = _sides(model, pairs, direction)
    _, cache = model.run_with_cache(donor.batch, list(by_name))
    patched = torch.empty(len(pairs), len(chosen), device=model.device)
    for name, numbers in by_name.items():
        values = _swept(recipient, name, [chosen[number] for number in numbers], cache[name].roll(-donor_shift, 0))
        patched[:, numbers] = values.t().to(patched.dtype)
    runs = recipient.values([], 1)[0], donor.values([], 1)[0]
    return _effects(tuple(chosen), *runs, patched, direction)


def _by_name(chosen: Sequence[Site]) -> dict[str, list[int]]:
    by_name: dict[str, list[int]] = {}
    for number, site in enumerate(chosen):
        by_name.setdefault(site.name, []).append(number)
    return by_name


def _replayed(
    model: HookedEncoderDecoder, pairs: PairBatch, chosen: Sequence[Site], direction: Direction, donor_shift: int
) -> Effects:
    """Every site from one run of the recipient on."""
    by_name = _by_name(chosen)
    clean_first = direction == "noise"
    batches = (pairs.clean, pairs.corrupted) if clean_first else (pairs.corrupted, pairs.clean)
    recipient = replay(model, batches[0], pairs.rows, sorted({part for name in by_name for part in needed(name)}))
    donor = replay(model, batches[1], pairs.rows, list(by_name))
    directions = pairs.directions(model)
    patched = torch.empty(len(pairs), len(chosen), device=model.device, dtype=directions.dtype)
    for name, numbers in by_name.items():
        group = [chosen[number] for number in numbers]
        given = donor.cache[name].roll(-donor_shift, 0)
        values = (swept(recipient, name, group, given) * directions).sum(-1)
        patched[:, numbers] = _real(values, name, group, recipient.batch).t()
    base, aim = ((run.value * directions).sum(-1) for run in (recipient, donor))
    return _effects(tuple(chosen), base, aim, patched, direction)


def patch_together(
    model: HookedEncoderDecoder, pairs: PairBatch, names: Sequence[str], direction: Direction = "denoise"
) -> Effects:
    """Patch several whole activations in one run; the effect has a single site, named after all of them."""
    recipient, donor = _sides(model, pairs, direction)
    _, cache = model.run_with_cache(donor.batch, names)
    patched = recipient.values([(name, _whole(cache[name])) for name in names], 1)
    runs = recipient.values([], 1)[0], donor.values([], 1)[0]
    return _effects((Site(" + ".join(names)),), *runs, patched.t(), direction)


def _sides(model: HookedEncoderDecoder, pairs: PairBatch, direction: Direction) -> tuple[Side, Side]:
    """Recipient and donor."""
    clean, corrupted = side(model, pairs, pairs.clean), side(model, pairs, pairs.corrupted)
    return (corrupted, clean) if direction == "denoise" else (clean, corrupted)


def _effects(chosen: tuple[Site, ...], base: Tensor, aim: Tensor, patched: Tensor, direction: Direction) -> Effects:
    """From what the recipient, the donor and the patched recipient say to effects."""
    numerator = patched - base.unsqueeze(-1)
    if direction == "denoise":
        return Effects(chosen, clean=aim, corrupted=base, numerator=numerator)
    return Effects(chosen, clean=base, corrupted=aim, numerator=-numerator)


def _swept(recipient: Side, name: str, group: Sequence[Site], donor: Tensor) -> Float[Tensor, "site pair"]:
    step = recipient.copies_at_once()
    parts = [group[start : start + step] for start in range(0, len(group), step)]
    values = torch.cat([recipient.values([(name, _parts(donor, part))], len(part)) for part in parts])
    return _real(values, name, group, recipient.batch)


def _real(values: Tensor, name: str, group: Sequence[Site], batch: Batch) -> Float[Tensor, "site pair"]:
    """NaN where a pair has no such position."""
    mask = batch.source_mask if name.startswith("encoder.") else batch.target_mask
    for number, site in enumerate(group):
        if site.index is not None and site.axis == "pos":
            values[number, ~mask[:, site.index]] = torch.nan
    return values


def _whole(donor: Tensor) -> HookFunction:
    def patch(tensor: Tensor, hook: HookPoint) -> Tensor:
        return donor

    return patch


def _parts(donor: Tensor, group: Sequence[Site]) -> HookFunction:
    """Copy i of the batch gets part i of the donor."""

    def patch(tensor: Tensor, hook: HookPoint) -> Tensor:
        patched = tensor.clone().unflatten(0, (len(group), -1))
        for copy, site in enumerate(group):
            if site.index is None:
                patched[copy] = donor
            else:
                axis = hook.axes.index(site.axis)
                patched[copy].select(axis, site.index).copy_(donor.select(axis, site.index))
        merged: Tensor = patched.flatten(0, 1)
        return merged

    return patch
