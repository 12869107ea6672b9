"""A forward pass that ends where it is no longer needed: behind the last hook point that was asked for."""

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint, attached
from interp.hooks.names import NamesFilter, axes_of, matching
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.keeping import in_order
from interp.text.batch import Batch


class _Enough(Exception):  # noqa: N818 - no error: it carries control out of the host's forward pass
    """Every point that was asked for has fired."""


def token_hooks(model: HookedEncoderDecoder, names_filter: NamesFilter) -> tuple[str, ...]:
    """The hook points that a filter selects, in forward order, each with one vector for every token.

    Args:
        model: the model.
        names_filter: which.

    Raises:
        HookNameError: if the filter selects nothing.
        InputError: if a point has another shape, as attention patterns do.
    """
    names = matching(names_filter, tuple(model.hook_points()))
    for name in names:
        if axes_of(name)[:2] != ("batch", "pos") or name.endswith("hook_pos_embed"):
            axes = " ".join(axes_of(name))
            raise InputError(
                f"{name} has axes [{axes}], no vector for every token; a store holds points such as "
                "'encoder.*.hook_resid_post' or 'decoder.*.mlp.hook_post' (patterns: `interp.model.write_corpus`)."
            )
    return names


def run_until(model: HookedEncoderDecoder, batch: Batch, names: Sequence[str]) -> dict[str, Tensor]:
    """The activations at hook points, [batch pos ...]; what the host would compute behind the last of them is left out.

    Args:
        model: the model.
        batch: what to run.
        names: of the points.

    Raises:
        InputError: if a point did not fire.
    """
    kept: dict[str, Tensor] = {}

    def keep(tensor: Tensor, hook: HookPoint) -> None:
        kept[hook.name] = tensor.detach()
        if len(kept) == len(names):
            raise _Enough

    model.check_host()
    points = model.hook_points()
    fields = {name: batch[name] for name in batch.keys() if name != "labels"}  # noqa: SIM118 - a Batch is no dict
    with model.running, torch.no_grad(), attached([(points[name], keep) for name in names]), suppress(_Enough):
        model.hf(**fields, use_cache=False)
    return in_order(kept, names)
