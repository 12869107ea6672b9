"""Attribution patching: every site's denoising effect from one gradient (Nanda 2023), and how far it is from the exact one.

    effect of a site  ~  sum over its entries of (z_clean - z_corrupted) * dm/dz,     m = answer less foil

with the gradient at the corrupted run, or averaged over runs whose source embeddings lie between corrupted and clean (integrated
gradients, Hanna et al. 2024), which follows saturating softmaxes better. A key acts only through a softmax, which a gradient
straightens: for keys the pattern is recomputed exactly and the gradient is used from there on (AtP*, Kramár et al. 2024).
An approximation is worth what its agreement with exact patching shows: `patch_sites` on a sample of the sites.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import attention_kind
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import run_stacks
from interp.patching.activation_patching import Site
from interp.patching.minimal_pairs import PairBatch

AT_CORRUPTED = (0.0,)
"""Plain attribution patching: the gradient at the corrupted embeddings."""

INTEGRATED = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Five places between corrupted (0) and clean (1) embeddings, the midpoints of equal parts."""

_KEYS = ".cross_attn.hook_k"


def attribution_patch(
    model: HookedEncoderDecoder, pairs: PairBatch, chosen: Sequence[Site], places: Sequence[float] = AT_CORRUPTED
) -> Float[Tensor, "pair site"]:
    """Approximate numerators of denoising effects, in logits; all sites at once.

    Args:
        model: the model; its weights may stay frozen.
        pairs: the pairs.
        chosen: the sites; of the keys, cross-attention's are supported.
        places: where between corrupted and clean embeddings gradients are taken, see `AT_CORRUPTED` and `INTEGRATED`.

    Raises:
        InputError: if no site or no place is given, or a site is a key or query of self-attention.
    """
    if not chosen or not places:
        raise InputError("Attribution patching needs at least one site and one place for the gradient.")
    names = {site.name for site in chosen}
    for name in names:
        if name.endswith((".attn.hook_k", "hook_q")):
            raise InputError(f"{name} acts through a softmax; patch it exactly, or take its pattern or z instead.")
    needed = sorted(names | {part for name in names if name.endswith(_KEYS) for part in _key_parts(name)})
    clean, corrupted = (
        run_stacks(model, batch, [*needed, "encoder.hook_embed"]).cache for batch in (pairs.clean, pairs.corrupted)
    )
    gradients = _gradients(model, pairs, needed, (clean["encoder.hook_embed"], corrupted["encoder.hook_embed"]), places)
    change = {name: _change(model, pairs, name, clean, corrupted, gradients) for name in names}
    return torch.stack([_of_site(change[site.name], site, model.hook_points()[site.name]) for site in chosen], 1)


def _key_parts(name: str) -> tuple[str, str]:
    stem = name.removesuffix("hook_k")
    return f"{stem}hook_q", f"{stem}hook_pattern"


def _gradients(
    model: HookedEncoderDecoder,
    pairs: PairBatch,
    names: Sequence[str],
    embeddings: tuple[Tensor, Tensor],
    places: Sequence[float],
) -> dict[str, Tensor]:
    clean, corrupted = embeddings
    total: dict[str, Tensor] = {}
    for place in places:
        mixed = torch.lerp(corrupted, clean, place)

        def embed(tensor: Tensor, hook: HookPoint, mixed: Tensor = mixed) -> Tensor:
            return mixed

        with torch.enable_grad(), model.hooks([("encoder.hook_embed", embed)]):
            run = run_stacks(model, pairs.corrupted, names, gradients=True)
            at_rows = run.outputs[torch.arange(len(pairs), device=run.outputs.device), pairs.rows].unsqueeze(1)
            pairs.difference(model, at_rows).sum().backward()
        for name, gradient in run.cache.grad.items():
            if gradient is not None:
                total[name] = total.get(name, 0) + gradient / len(places)
    return total


def _change(
    model: HookedEncoderDecoder,
    pairs: PairBatch,
    name: str,
    clean: ActivationCache,
    corrupted: ActivationCache,
    gradients: dict[str, Tensor],
) -> Tensor:
    """The approximate change of the answer, entry by entry of the activation (keys: of the pattern)."""
    if not name.endswith(_KEYS):
        return (clean[name] - corrupted[name]) * gradients.get(name, torch.zeros_like(clean[name]))
    query, pattern = _key_parts(name)
    scale = model.cfg.hooked_scale(attention_kind(name))
    scores = torch.einsum("bthk,bshk->bhts", corrupted[query], clean[name]) * scale
    scores = scores.masked_fill(~pairs.corrupted.source_mask[:, None, None, :], float("-inf"))
    return (scores.softmax(-1) - corrupted[pattern]) * gradients[pattern]


def _of_site(change: Tensor, site: Site, point: HookPoint) -> Float[Tensor, " pair"]:
    # The change of a key is one of the pattern, whose heads are on axis 1.
    axes = ("batch", "head", "query", "key") if site.name.endswith(_KEYS) else point.axes
    part = change if site.index is None else change.select(axes.index(site.axis), site.index)
    summed: Tensor = part.flatten(1).sum(1)
    return summed
