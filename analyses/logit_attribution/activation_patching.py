"""Activation patching on bundled minimal pairs: which heads carry the difference between two nearly equal sentences.

Of the bundled pairs that flip this model's answer, some of every kind are taken. Every head's z is moved from the clean into the
corrupted run (denoising: does it suffice?) and from the corrupted into the clean run (noising: is it needed?); the control moves
the clean z of another pair. Beside the exact effects stand their two approximations by gradients (`attribution_patching`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from analyses.core.contract import Arrays
from analyses.logit_attribution.settings import AttributionSettings
from interp.axes import ATTENTION_KINDS
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.activation_patching import Site, patch_sites, sites
from interp.patching.attribution_patching import AT_CORRUPTED, INTEGRATED, attribution_patch
from interp.patching.minimal_pairs import PromptPair, candidate_pairs, pair_batch, verify_pairs
from interp.statistics import Interval, bootstrap_ratio

FEWEST_PAIRS = 5
"""With fewer pairs that flip there is nothing to resample."""


def patch(model: HookedEncoderDecoder, settings: AttributionSettings, asked: bool = True) -> Arrays:
    """Patch every site on some of the bundled pairs that flip the answer.

    Args:
        model: the model.
        settings: how many pairs, and which sites.
        asked: whether the prompts are translations as the pairs are; if not, there are no candidates.

    Returns:
        `patching.flips` and `patching.used` [candidate]; if at least `FEWEST_PAIRS` flip, `patching.sites` [site], labels,
        `patching.heads` [site 3], the head whose z a site is (kind, layer, head; -1 for other sites), and in logits
        `patching.denominator` [pair] and, [pair site], `patching.denoise`, `.noise`, `.control`, `.gradient`, `.integrated`.
        Nothing for models without text, or if the settings ask for none.
    """
    if not settings.patching_pairs or model.tokenizer is None:
        return {}
    candidates = candidate_pairs(model.cfg) if asked else ()
    found = verify_pairs(model, candidates)
    chosen = spread(found.flipping, settings.patching_pairs)
    arrays: dict[str, np.ndarray] = {
        "patching.flips": np.array([pair in found.flipping for pair in candidates]),
        "patching.used": np.array([pair in chosen for pair in candidates]),
    }
    if len(chosen) < FEWEST_PAIRS:
        return arrays
    pairs = pair_batch(model, chosen)
    where: list[Site] = [site for family in settings.patching_sites for site in sites(model, pairs, family)]
    with torch.no_grad():
        denoised = patch_sites(model, pairs, where)
        effects = {
            "denoise": denoised.numerator,
            "noise": patch_sites(model, pairs, where, "noise").numerator,
            "control": patch_sites(model, pairs, where, donor_shift=1).numerator,
        }
    effects["gradient"] = attribution_patch(model, pairs, where, AT_CORRUPTED)
    effects["integrated"] = attribution_patch(model, pairs, where, INTEGRATED)
    arrays["patching.sites"] = np.array([site.label for site in where])
    arrays["patching.heads"] = np.array([_place(site) for site in where])
    arrays["patching.denominator"] = (denoised.clean - denoised.corrupted).float().cpu().numpy()
    for name, numerator in effects.items():
        arrays[f"patching.{name}"] = numerator.float().cpu().numpy()
    return arrays


def _place(site: Site) -> tuple[int, int, int]:
    head = site.head if site.part == "z" else None
    return (-1, -1, -1) if head is None else (ATTENTION_KINDS.index(head.kind), head.layer, head.head)


def spread(pairs: Sequence[PromptPair], count: int) -> tuple[PromptPair, ...]:
    """The first pairs of every kind in turn, until there are enough."""
    by_kind: dict[str, list[PromptPair]] = {}
    for pair in pairs:
        by_kind.setdefault(pair.kind, []).append(pair)
    places = sorted((place, kind) for kind, some in by_kind.items() for place in range(len(some)))
    taken = {by_kind[kind][place] for place, kind in places[:count]}
    return tuple(pair for pair in pairs if pair in taken)


@dataclass(frozen=True, slots=True, eq=False)
class Patching:
    """Effects of patching every site, normalized: ratios of means over pairs.

    Attributes:
        candidates: all bundled pairs.
        flips: which of them flip the answer.
        used: which were patched.
        sites: labels of the sites.
        heads: the head whose z a site is, None for other sites.
        lead: m_clean - m_corrupted of every pair used, in logits.
        denoise: share of the lead that the site restores.
        noise: share of the lead that is lost without it.
        control: as `denoise`, with the clean activation of another pair.
        gradient: attribution patching in place of `denoise`.
        integrated: its integrated variant.
        correlation: correlation over sites of the exact effect with `gradient` and with `integrated`; [2 3] point, low,
            high over resamples of pairs.
    """

    candidates: tuple[PromptPair, ...]
    flips: tuple[bool, ...]
    used: tuple[bool, ...]
    sites: tuple[str, ...]
    heads: tuple[HeadId | None, ...]
    lead: Float[np.ndarray, " pair"]
    denoise: Interval
    noise: Interval
    control: Interval
    gradient: Interval
    integrated: Interval
    correlation: Float[np.ndarray, "approximation bounds"]


@dataclass(frozen=True, slots=True)
class NoPatching:
    """Too few bundled pairs flip the answer.

    Attributes:
        candidates: how many pairs were tried; none where the prompts are no translations.
        flipping: how many flip.
    """

    candidates: int
    flipping: int


def patching(arrays: Arrays, seed: int, cfg: ModelConfig) -> Patching | NoPatching | None:
    """From effects per pair to ratios with intervals; None if nothing was patched by choice."""
    if "patching.flips" not in arrays:
        return None
    flips = arrays["patching.flips"]
    if "patching.sites" not in arrays:
        return NoPatching(len(flips), int(flips.sum()))
    lead = arrays["patching.denominator"]

    def ratio(name: str) -> Interval:
        numerator = arrays[f"patching.{name}"]
        return bootstrap_ratio(numerator, np.broadcast_to(lead[:, None], numerator.shape).copy(), seed)

    correlations = [_correlation(arrays["patching.denoise"], arrays[f"patching.{name}"], seed) for name in _FAST]
    return Patching(
        candidates=candidate_pairs(cfg),
        flips=tuple(map(bool, flips)),
        used=tuple(map(bool, arrays["patching.used"])),
        sites=tuple(map(str, arrays["patching.sites"])),
        heads=tuple(
            None if kind < 0 else HeadId(ATTENTION_KINDS[kind], int(layer), int(head))
            for kind, layer, head in arrays["patching.heads"]
        ),
        lead=lead,
        **{name: ratio(name) for name in ("denoise", "noise", "control", *_FAST)},
        correlation=np.stack(correlations),
    )


_FAST = ("gradient", "integrated")


def _correlation(exact: np.ndarray, fast: np.ndarray, seed: int) -> Float[np.ndarray, " bounds"]:
    """Correlation over sites of two effects summed over pairs, with its interval over resamples of pairs."""
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(len(exact), np.full(len(exact), 1 / len(exact)), size=1000)
    draws = np.concatenate([np.ones((1, len(exact))), weights])
    values = [np.nan_to_num(numerator).astype(np.float64) for numerator in (exact, fast)]
    one, other = (draws @ numerator for numerator in values)
    one, other = one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    found = (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return np.array([found[0], *np.nanquantile(found[1:], [0.025, 0.975])])
