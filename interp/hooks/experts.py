"""The hook points of a feed-forward layer with experts (Fedus et al. 2022), one of which computes a token.

    expert_weights   the router's probabilities of all experts                 [batch pos expert]
    expert_indices   the expert that computes the token, -1 for none           [batch pos one], whole numbers
    pre, post        that expert's neurons before and behind its activation    [batch pos d_mlp]; 0 for tokens without one

What the layer writes is expert_weights[e] times the output of expert e. Functions on `expert_weights` decide anew who computes
what, by the largest weight and under the expert's capacity; those on `expert_indices` decide past both, and the weight is that of
the expert they name.

The host calls expert after expert, each with its own tokens, and a point fires once, with all tokens: neurons are computed, by
the experts' own modules, before the host comes to them. When it does, their first map is called on no token and their last one
on what was computed, so nothing is computed twice.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.hooks import RemovableHandle

from interp.errors import InputError
from interp.families.sites import ExpertModules
from interp.hooks.hook_point import HookPoint
from interp.hooks.module_hooks import ModuleHook

Routing = tuple[Tensor, Tensor, Tensor]
"""What the host's router hands on: one-hot of the chosen expert (zeros for none), its weight, and logits of all experts."""


class ExpertsHook(ModuleHook):
    """Fires what happens in a feed-forward layer with experts.

    Args:
        module: the layer.
        names: of the modules in it.
        capacity: tokens of one text that an expert computes.
        points: those of the module's docstring, by role.
    """

    def __init__(self, module: nn.Module, names: ExpertModules, capacity: int | None, **points: HookPoint) -> None:
        super().__init__(module, **points)
        self._names = names
        self._capacity = capacity
        self._shape: torch.Size = torch.Size()
        self._post: dict[nn.Module, Tensor] = {}

    def _register(self) -> list[RemovableHandle]:
        router, experts = self.module.get_submodule(self._names.router), self.module.get_submodule(self._names.experts)
        handles = []
        if self._active("expert_weights", "expert_indices"):
            handles.append(router.register_forward_hook(self._route))
        if self._active("pre", "post"):
            handles.append(self.module.register_forward_pre_hook(self._enter))
            handles.append(experts.register_forward_pre_hook(self._neurons))
            for expert in experts.children():
                first, last = (expert.get_submodule(name) for name in (self._names.first, self._names.last))
                handles.append(first.register_forward_pre_hook(_of_no_token))
                handles.append(last.register_forward_pre_hook(partial(self._computed, expert)))
        return handles

    def refresh(self) -> None:
        """Put on the hooks of the points that are active: reading a router needs none on the experts."""
        while self._handles:
            self._handles.pop().remove()
        super().refresh()

    def _active(self, *roles: str) -> bool:
        return any(self.points[role].active for role in roles)

    def _route(self, router: nn.Module, inputs: tuple[Tensor, ...], output: Routing) -> Routing | None:
        chosen, weight, logits = output
        # As the host computes them, so that a value put back where it came from changes no bit.
        probabilities = torch.softmax(logits, -1, dtype=logits.dtype).to(weight.dtype)
        weights, kept_weights = self.points["expert_weights"].fired(probabilities)
        if not kept_weights:
            chosen = one_hot(weights.argmax(-1), weights.shape[-1])
            if self._capacity is not None:
                chosen = chosen * (chosen.cumsum(-2) <= self._capacity)
        index = torch.where(chosen.any(-1), chosen.argmax(-1), -1).unsqueeze(-1)
        shown, kept_index = self.points["expert_indices"].fired(index)
        if kept_index and kept_weights:
            return None
        shown = self._checked(shown, weights.shape[-1])
        own = shown.clamp_min(0)
        return one_hot(own.squeeze(-1), weights.shape[-1]) * (shown >= 0), weights.gather(-1, own), logits

    def _checked(self, index: Tensor, experts: int) -> Tensor:
        whole = index.long()
        if bool((whole != index).any()) or bool(((whole < -1) | (whole >= experts)).any()):
            raise InputError(
                f"A function at {self.points['expert_indices'].name} returned numbers of no expert; allowed are whole numbers "
                f"from 0 to {experts - 1}, and -1 for tokens that no expert computes."
            )
        return whole

    def _enter(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._shape = inputs[0].shape[:-1]

    def _neurons(self, experts: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Compute and fire the neurons of every token, and keep those behind the activation for their expert's last map."""
        hidden, chosen = inputs[0], inputs[1].flatten(0, -2)
        computing = {
            expert: rows
            for expert, own in zip(experts.children(), chosen.unbind(-1), strict=True)
            if len(rows := own.nonzero().squeeze(-1))
        }
        nobody = (~chosen.any(-1)).nonzero().squeeze(-1)
        width = next(next(experts.children()).get_submodule(self._names.first).parameters()).shape[0]
        read = {expert: self._first(expert)(hidden[rows]) for expert, rows in computing.items()}
        read = self._shown("pre", hidden.new_empty(len(hidden), width), nobody, computing, read)
        written = {expert: expert.get_submodule(self._names.activation)(own) for expert, own in read.items()}
        self._post = self._shown("post", hidden.new_empty(len(hidden), width), nobody, computing, written)

    def _first(self, expert: nn.Module) -> Any:
        # Past torch's hooks, which are there to keep the host from computing it again.
        return expert.get_submodule(self._names.first).forward

    def _shown(
        self,
        role: str,
        together: Tensor,
        nobody: Tensor,
        computing: dict[nn.Module, Tensor],
        values: dict[nn.Module, Tensor],
    ) -> dict[nn.Module, Tensor]:
        """The neurons of every expert's tokens, after all functions have seen those of all tokens together."""
        point = self.points[role]
        if not point.active:
            return values
        together[nobody] = 0
        for expert, rows in computing.items():
            together.index_copy_(0, rows, values[expert])
        together = together.view(*self._shape, -1)
        shown, kept = point.fired(together)
        if kept:
            return values
        shown = shown.flatten(0, 1)
        return {expert: shown[rows] for expert, rows in computing.items()}

    def _computed(self, expert: nn.Module, last: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (self._post.pop(expert).to(inputs[0].dtype),)


def _of_no_token(first: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (inputs[0][:0],)
