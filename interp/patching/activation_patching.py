"""Which activations carry the difference between two prompts? Activation patching, exact and approximated.

With m the logit of the answer less that of the foil, an activation is taken from one run and put into the other:

    denoising   clean activation into the corrupted run     (m_patched - m_corrupted) / (m_clean - m_corrupted)
    noising     corrupted activation into the clean run     (m_clean - m_patched) / (m_clean - m_corrupted)

Denoising asks whether a site suffices to restore the answer, noising whether the answer needs it (Heimersheim and Nanda 2024;
Zhang and Nanda 2024). Over pairs the effect is a ratio of means. Attribution patching replaces the second run by one gradient,
(z_clean - z_corrupted) dm/dz at the corrupted run (Nanda 2023); its integrated variant averages the gradient over embeddings
between corrupted and clean (Hanna et al. 2024). For keys the softmax is taken exactly before the gradient is used, because it
saturates (Kramár et al. 2024).

The recipient is run once, every site goes on from where it acts (`partial_forward`), sites of one hook point side by side as
copies of the batch, and the vocabulary is never scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.hooks.names import attention_kind
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PairBatch
from interp.patching.partial_forward import record_pass
from interp.patching.patching_sites import Site as Site
from interp.patching.patching_sites import activations_needed, patched_outputs
from interp.patching.site_families import SiteFamily
from interp.report.framed import Framed

Direction = Literal["denoise", "noise"]

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
        InputError: if there is no such family, or heads share the keys or values that it is about.
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
    cfg.check_own_keys(attention_kind(_HEAD_SITES[family]), family.rpartition("_")[2])
    names = [_HEAD_SITES[family].format(layer) for layer in range(cfg.layers_of(attention_kind(_HEAD_SITES[family])))]
    return tuple(Site(name, head, "head") for name in names for head in range(cfg.heads_of(attention_kind(name))))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Effects(Framed):
    """What patching sites did, in logits; normalize with `interp.statistics.bootstrap_ratio(numerator, denominator)`.

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

    def to_frame(self) -> pd.DataFrame:
        """One row a site and pair: its effect, and that as a share of clean less corrupted (not a number where there is none)."""
        effects, wholes = (values.detach().cpu().numpy().T for values in (self.numerator, self.denominator))
        return pd.DataFrame({
            "site": np.repeat([str(site) for site in self.sites], effects.shape[1]),
            "pair": np.tile(np.arange(effects.shape[1]), len(self.sites)),
            "effect (logits)": effects.ravel(),
            "share": (effects / wholes).ravel(),
        })


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
    by_name: dict[str, list[int]] = {}
    for number, site in enumerate(chosen):
        by_name.setdefault(site.name, []).append(number)
    needed = sorted({part for name in by_name for part in activations_needed(model, name)})
    batches = (pairs.clean, pairs.corrupted) if direction == "noise" else (pairs.corrupted, pairs.clean)
    recipient, donor = (record_pass(model, batch, needed, pairs.rows) for batch in batches)
    base, aim = (pairs.difference(model, run.outputs) for run in (recipient, donor))
    patched = torch.empty(len(pairs), len(chosen), device=model.device, dtype=base.dtype)
    for name, numbers in by_name.items():
        group = [chosen[number] for number in numbers]
        values = pairs.difference(model, patched_outputs(recipient, group, donor.cache[name].roll(-donor_shift, 0)))
        mask = recipient.batch.source_mask if name.startswith("encoder.") else recipient.batch.target_mask
        for value, site in zip(values, group, strict=True):
            if site.index is not None and site.axis == "pos":
                value[~mask[:, site.index]] = torch.nan
        patched[:, numbers] = values.t()
    numerator = patched - base.unsqueeze(-1)
    if direction == "denoise":
        return Effects(tuple(chosen), clean=aim, corrupted=base, numerator=numerator)
    return Effects(tuple(chosen), clean=base, corrupted=aim, numerator=-numerator)
