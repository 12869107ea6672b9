"""Steps: which rows of the decoder are computed now, while the host writes token by token, for functions that edit some rows."""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint, Step

CACHE_FIELD = (
    "cache"
    if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    else "past_key_values"
)
"""How hosts call the keys and values that they keep while they write: `cache` since transformers 5.24."""


@contextmanager
def stepping(model: nn.Module, points: Iterable[HookPoint], copies: int) -> Iterator[None]:
    """Lets hook points know the step while a host generates.

    Args:
        model: the host model, with a key-value cache in use.
        points: its hook points.
        copies: rows of the host's batch for every prompt.
    """
    step, points = Step(copies=copies), tuple(points)

    def note(module: nn.Module, inputs: tuple[Any, ...], fields: dict[str, Any]) -> None:
        step.first, step.rows = fields[CACHE_FIELD].get_seq_length(), fields["decoder_input_ids"].shape[1]

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    for point in points:
        point.step = step
    try:
        yield
    finally:
        handle.remove()
        for point in points:
            point.step = None


def of_source(name: str) -> bool:
    """Whether the positions at a hook point are the source's: keys and values of cross-attention are.

    Args:
        name: the hook point.
    """
    return name.startswith("encoder") or name.endswith(("cross_attn.hook_k", "cross_attn.hook_v"))


def now(whole: Tensor, hook: HookPoint, beyond: bool | None = None) -> Tensor:
    """Of [batch pos ...] about whole texts what belongs to the value that is shown at a hook point now.

    In a forward pass that is all of it. While the host generates it is the rows of the step (of the decoder's keys and values all
    rows so far), once for every beam.

    Args:
        whole: [batch pos ...] of the point's own stack.
        hook: the point.
        beyond: what stands for positions behind the end of `whole`, which a written text may reach; None refuses them.

    Raises:
        InputError: if a written text has grown longer than `whole`.
    """
    step = hook.step
    if step is None:
        return whole
    if of_source(hook.name):
        return whole if hook.name.startswith("encoder") else whole.repeat_interleave(step.copies, 0)
    end = step.first + step.rows
    if end > whole.shape[1]:
        if beyond is None:
            raise InputError(
                f"The edit at {hook.name} has {whole.shape[1]} target positions and the text being written has {end}; give "
                "`max_new_tokens` within them, or edit source positions."
            )
        more = whole.new_full((whole.shape[0], end - whole.shape[1], *whole.shape[2:]), beyond)
        whole = torch.cat([whole, more], 1)
    first = 0 if hook.name.endswith((".attn.hook_k", ".attn.hook_v")) else step.first
    return whole[:, first:end].repeat_interleave(step.copies, 0)
