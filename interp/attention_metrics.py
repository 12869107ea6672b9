"""What number describes one row of an attention pattern?

Pure functions of tensors. A pattern holds, for every query, weights a(k) over keys. A mask says which keys are legal for which
query; weights at illegal keys are ignored. Every function returns one value per query row, unless its name says otherwise, and
NaN where it is undefined, which `masked_mean` skips. In shapes, `leading` is any number of axes; a mask may broadcast them.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# A hundred times what float32 rounds.
_ROUNDING = 1e-5


class Distances(NamedTuple):
    """Attention distances in tokens, each [*leading query]; `uniform` is what an even spread over legal keys gives."""

    absolute: Tensor
    signed: Tensor
    uniform: Tensor


class Strongest(NamedTuple):
    """Strongest legal key of each row: its index (-1: no legal key), its weight, and whether others tie with it."""

    key: Tensor
    weight: Tensor
    tied: Tensor


class Restricted(NamedTuple):
    """A pattern within a span, rows summing to 1 [*leading query key], and the mass it had there [*leading query]."""

    pattern: Tensor
    retained: Tensor


def legal_keys(
    query_mask: Bool[Tensor, "*leading query"], key_mask: Bool[Tensor, "*leading key"], *, causal: bool = False
) -> Bool[Tensor, "*leading query key"]:
    """Which keys each query may attend to: real query, real key and, if causal, no key after the query.

    Args:
        query_mask: real queries.
        key_mask: real keys.
        causal: whether keys after the query are illegal.
    """
    legal = query_mask[..., :, None] & key_mask[..., None, :]
    return legal.tril() if causal else legal


def restrict(
    pattern: Float[Tensor, "*leading query key"],
    mask: Bool[Tensor, "*#leading query key"],
    minimum: float = 0.05,
) -> Restricted:
    """Pattern within a span, renormalized: a(k) / ρ with ρ = Σ a over the span, to be reported beside all that it gives.

    Args:
        pattern: attention weights.
        mask: keys of the span.
        minimum: a row that keeps less mass is NaN, because what it does inside the span is noise on almost nothing.
    """
    inside = _legal(pattern, mask)
    retained = _defined(inside.sum(-1), mask)
    scale = torch.where((retained >= minimum) & (retained > 0), retained, torch.nan)
    return Restricted(inside / scale[..., None], retained)


def entropy(
    pattern: Float[Tensor, "*leading query key"],
    mask: Bool[Tensor, "*#leading query key"],
    *,
    normalized: bool = True,
) -> Float[Tensor, "*leading query"]:
    """Entropy -Σ a ln a over legal keys, with 0 ln 0 = 0 (Clark et al. 2019, without their smoothing).

    Args:
        pattern: attention weights; each row sums to 1 over its legal keys.
        mask: legal keys.
        normalized: divide by ln n, n legal keys: 0 for all weight on one key, 1 for an even spread, NaN for n < 2;
            otherwise in nats, from 0 to ln n.
    """
    nats = torch.special.entr(_legal(pattern, mask)).sum(-1)
    if not normalized:
        return _defined(nats, mask)
    return _defined(nats / _count(pattern, mask).log(), mask, at_least=2)


def jensen_shannon(
    p: Float[Tensor, "*leading query key"],
    q: Float[Tensor, "*leading query key"],
    mask: Bool[Tensor, "*#leading query key"],
) -> Float[Tensor, "*leading query"]:
    """Jensen-Shannon divergence ½ KL(p‖m) + ½ KL(q‖m), m = (p+q)/2, in nats: 0 if equal, ln 2 if they share no key (Lin 1991).

    Args:
        p: attention weights.
        q: others over the same keys.
        mask: legal keys.
    """
    p, q = _legal(p, mask), _legal(q, mask)
    middle = (p + q) / 2
    terms = torch.zeros_like(middle)
    for weights in (p, q):
        # Where both weights vanish (or their mean underflows) the term is 0 ln 1.
        ratio = torch.where(middle > 0, weights / middle, 1.0)
        terms = terms + torch.special.xlogy(weights, ratio) / 2
    # Every key's term is at least 0 in exact arithmetic.
    return _defined(terms.sum(-1).clamp(0.0, math.log(2.0)), mask)


def attention_distance(
    pattern: Float[Tensor, "*leading query key"], mask: Bool[Tensor, "*#leading query key"]
) -> Distances:
    """Mean distance from query to key in tokens (Vig and Belinkov 2019); for self-attention, where positions are comparable.

    absolute = Σ a |k-q|; signed = Σ a (k-q), negative towards the start; uniform = mean |k-q| over legal keys, the
    baseline that takes the length of the text out of a comparison.

    Args:
        pattern: attention weights.
        mask: legal keys.
    """
    queries, keys = (torch.arange(n, device=pattern.device, dtype=pattern.dtype) for n in pattern.shape[-2:])
    offsets = keys[None, :] - queries[:, None]
    weights = _legal(pattern, mask)
    even = _legal(offsets.abs().expand_as(pattern), mask).sum(-1) / _count(pattern, mask)
    sums = ((weights * offsets.abs()).sum(-1), (weights * offsets).sum(-1), even)
    return Distances(*(_defined(values, mask) for values in sums))


def strongest_key(pattern: Float[Tensor, "*leading query key"], mask: Bool[Tensor, "*#leading query key"]) -> Strongest:
    """Legal key with the largest weight, which is the confidence of Voita et al. 2019; the lowest index among ties.

    Weights that differ by rounding alone are tied, so that the key is the same on every machine.

    Args:
        pattern: attention weights.
        mask: legal keys.
    """
    legal, n_keys = mask.expand_as(pattern), pattern.shape[-1]
    weights = pattern.masked_fill(~legal, -torch.inf)
    largest = weights.amax(-1, keepdim=True)
    winners = legal & (weights >= largest * (1 - _ROUNDING))
    # torch.argmax on booleans promises no order among ties; the smallest index among the winners does.
    first = torch.arange(n_keys, device=pattern.device).expand_as(pattern).masked_fill(~winners, n_keys).amin(-1)
    key = torch.where(first < n_keys, first, -1)
    return Strongest(key, _defined(largest.squeeze(-1), mask), winners.sum(-1) > 1)


def offset_mass(
    pattern: Float[Tensor, "*leading query key"],
    offset: int,
    mask: Bool[Tensor, "*#leading query key"],
) -> Float[Tensor, "*leading query"]:
    """Weight a(q + offset): -1 is the previous token, +1 the next, 0 the token itself (Voita et al. 2019).

    Rows whose key q + offset lies outside the text or is illegal are NaN: they could not have attended there.

    Args:
        pattern: attention weights.
        offset: key less query.
        mask: legal keys.
    """
    n_queries, n_keys = pattern.shape[-2:]
    target = torch.arange(n_queries, device=pattern.device) + offset
    inside = (target >= 0) & (target < n_keys)
    target = target.clamp(0, n_keys - 1).expand(pattern.shape[:-1])[..., None]
    legal = mask.expand_as(pattern).gather(-1, target).squeeze(-1) & inside
    return torch.where(legal, pattern.gather(-1, target).squeeze(-1), torch.nan)


def category_mass(
    pattern: Float[Tensor, "*leading query key"],
    category_of_key: Int[Tensor, "*#leading key"],
    n_categories: int,
) -> Float[Tensor, "*leading query category"]:
    """Weight on each category of keys: Σ a over its keys; over all categories a row's masses sum to the row's sum.

    No mask is taken, so that weight on padding, given a category of its own, shows up instead of being dropped.

    Args:
        pattern: attention weights.
        category_of_key: category of every key.
        n_categories: how many there are.

    Raises:
        ValueError: if a key has a category outside 0 to n_categories - 1.
    """
    return pattern @ _members(category_of_key, n_categories).to(pattern.dtype)


def category_share(
    category_of_key: Int[Tensor, "*leading key"], key_mask: Bool[Tensor, "*leading key"], n_categories: int
) -> Float[Tensor, "*leading category"]:
    """Share of each category among the real keys: the mass it would get by chance, the base rate of `category_mass`.

    Args:
        category_of_key: category of every key.
        key_mask: real keys.
        n_categories: how many there are.

    Raises:
        ValueError: if a key has a category outside 0 to n_categories - 1.
    """
    members = _members(category_of_key, n_categories) & key_mask[..., None]
    return members.sum(-2).to(torch.get_default_dtype()) / key_mask.sum(-1, keepdim=True)


def lift(mass: Float[np.ndarray, "*cells"], base_rate: Float[np.ndarray, "*#cells"]) -> Float[np.ndarray, "*cells"]:
    """Mass over base rate: 1 is what an even spread gives; NaN where the base rate is 0.

    Args:
        mass: share of the attention, such as a `category_mass`.
        base_rate: share of the keys, broadcast against the masses.
    """
    return np.asarray(np.divide(mass, base_rate, out=np.full_like(mass, np.nan), where=base_rate > 0))


def center_of_mass(
    pattern: Float[Tensor, "*leading query key"], mask: Bool[Tensor, "*#leading query key"]
) -> Float[Tensor, "*leading query"]:
    """Mean place of the attended keys, μ = Σ a s / Σ a, from 0 (first legal key) to 1 (last legal key).

    The place s of a key is its rank among the row's legal keys over n - 1, so padding and prefixes outside the mask
    do not shift it. NaN for fewer than two legal keys and for rows without weight on them.

    Args:
        pattern: attention weights.
        mask: legal keys.
    """
    weights, places = _weights_and_places(pattern, mask)
    return _defined((weights * places).sum(-1), mask, at_least=2)


def spread(
    pattern: Float[Tensor, "*leading query key"], mask: Bool[Tensor, "*#leading query key"]
) -> Float[Tensor, "*leading query"]:
    """Standard deviation of the place of the attended keys, sqrt(Σ a (s-μ)² / Σ a), from 0 to ½; see `center_of_mass`.

    Args:
        pattern: attention weights.
        mask: legal keys.
    """
    weights, places = _weights_and_places(pattern, mask)
    center = (weights * places).sum(-1, keepdim=True)
    return _defined((weights * (places - center).square()).sum(-1).sqrt(), mask, at_least=2)


def masked_mean(
    values: Float[Tensor, "*leading query"], mask: Bool[Tensor, "*#leading query"]
) -> Float[Tensor, "*leading"]:
    """Mean over the last axis of the values inside the mask that are defined; NaN where there is none.

    Args:
        values: one per query.
        mask: queries that count.
    """
    counted = mask & ~values.isnan()
    # Nothing counted is 0/0, which is NaN.
    return torch.where(counted, values, 0.0).sum(-1) / counted.sum(-1)


def _legal(pattern: Tensor, mask: Tensor) -> Tensor:
    """The pattern with 0 at illegal keys (also where a NaN stood, which multiplication would keep)."""
    return torch.where(mask, pattern, 0.0)


def _count(pattern: Tensor, mask: Tensor) -> Tensor:
    """Number of legal keys of each row, in the pattern's dtype."""
    return mask.sum(-1).to(pattern.dtype)


def _defined(values: Tensor, mask: Tensor, at_least: int = 1) -> Tensor:
    """The values with NaN in rows with too few legal keys."""
    return torch.where(mask.sum(-1) >= at_least, values, torch.nan)


def _members(category_of_key: Tensor, n_categories: int) -> Tensor:
    """Whether each key belongs to each category [*leading key category]."""
    if category_of_key.numel() and not 0 <= int(category_of_key.min()) <= int(category_of_key.max()) < n_categories:
        raise ValueError(
            f"Categories run from {int(category_of_key.min())} to {int(category_of_key.max())}, but must lie between 0 "
            f"and {n_categories - 1} for n_categories={n_categories}; give every key one category of that range."
        )
    return category_of_key[..., None] == torch.arange(n_categories, device=category_of_key.device)


def _weights_and_places(pattern: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Weights renormalized over legal keys, and each key's place in [0, 1] among them."""
    inside = _legal(pattern, mask)
    places = (mask.cumsum(-1) - 1).to(pattern.dtype) / (_count(pattern, mask)[..., None] - 1)
    return inside / inside.sum(-1, keepdim=True), torch.where(mask, places, 0.0)
