"""What hook points show while a host generates, put together into the tensors that one teacher-forced pass would have given.

    decoder points      one row a step (of a text that was begun, several in the first), on the position (or query) axis
    self-attention      keys grow by one a step; scores of keys that did not exist yet are the most negative number, pattern 0
    encoder points, keys and values of cross-attention      computed once

In beam search the row a token came from changes from step to step; rows are followed back along the surviving hypothesis.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.steps import of_source


class StepRecorder:
    """Keeps what hook points show while the host generates, one list of tensors a point."""

    def __init__(self, points: Mapping[str, HookPoint]) -> None:
        self.points = points
        self._seen: dict[str, list[Tensor]] = {name: [] for name in points}

    def functions(self) -> list[tuple[HookPoint, HookFunction]]:
        """What to attach."""

        def keep(tensor: Tensor, hook: HookPoint) -> None:
            # Keys and values of cross-attention are the same tensors at every step, and the host's cache may grow in place.
            if not (self._seen[hook.name] and of_source(hook.name)):
                self._seen[hook.name].append(tensor if of_source(hook.name) else _newest(tensor, hook))

        return [(point, keep) for point in self.points.values()]

    def assemble(self, rows: Int[Tensor, "batch step"], rows_per_prompt: int) -> dict[str, Tensor]:
        """Hook name -> the tensor of a teacher-forced pass.

        Args:
            rows: the row that every prompt's token of every step came from, -1 after its end; tokens that were begun with, and
                computed in the first step, have the row of the first that was written.
            rows_per_prompt: rows the host made of every prompt (beams).
        """
        return {name: self._whole(name, rows, rows_per_prompt) for name in self.points}

    def _whole(self, name: str, rows: Tensor, rows_per_prompt: int) -> Tensor:
        seen = self._seen[name]
        if of_source(name):
            prompts = rows.shape[0]
            return seen[0] if seen[0].shape[0] in (1, prompts) else seen[0][::rows_per_prompt]
        axes = self.points[name].axes
        place = axes.index("query" if axes[-1] == "key" else "pos")
        begun = seen[0].shape[place] - 1
        steps = seen[: rows.shape[1] - begun]
        if axes[-1] == "key" and ".cross_attn." not in name:
            steps = [_pad_keys(name, step, rows.shape[1]) for step in steps]
        if axes[0] == "one" or (name.endswith("hook_pos_embed") and steps[0].shape[0] == 1):
            return torch.cat(steps, -2)
        picked = [step[rows[:, begun + index].clamp_min(0)] for index, step in enumerate(steps)]
        whole = torch.cat(picked, place)
        ended = (rows < 0).view(rows.shape[0], *([1, -1, 1] if axes[-1] == "key" else [-1] + [1] * (whole.ndim - 2)))
        return whole.masked_fill(ended, 0.0)


def _newest(tensor: Tensor, hook: HookPoint) -> Tensor:
    """Of keys and values, which the host hands over from the beginning, only this step's."""
    own = hook.step is not None and hook.name.endswith((".attn.hook_k", ".attn.hook_v"))
    return tensor[:, hook.step.first :] if own and hook.step is not None else tensor


def _pad_keys(name: str, step: Tensor, width: int) -> Tensor:
    """A step's scores, pattern or bias with the keys that did not exist yet."""
    missing = width - step.shape[-1]
    if missing > 0 and name.endswith("position_bias"):
        # All keys ahead share the bucket of distance 0, which is that of the newest key.
        return torch.cat([step, step[..., -1:].expand(*step.shape[:-1], missing)], -1)
    fill = torch.finfo(step.dtype).min if name.endswith("attn_scores") else 0.0
    return torch.nn.functional.pad(step, (0, missing), value=fill) if missing > 0 else step
