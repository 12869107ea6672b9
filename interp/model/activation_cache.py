"""The activation cache: what a forward pass left at the hook points that were asked for.

The cache keeps the tensors of the forward pass themselves where nobody can write into them (`interp.model.pass_tensors`): on an
accelerator, where gradients are kept, and on a processor where the pass is the host's alone. Elsewhere, as beside other hook
functions, it keeps copies of what was shown, in memory that later caches use again once nothing reads it
(`interp.model.reused_memory`).
`hook_result`, the write of every head to the residual stream, is heads times larger than what it is computed from; it is
computed from z when it is read, unless it was asked for by name.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.errors import InputError, place_of
from interp.families.sites import NormPlace
from interp.hooks.names import ActivationKey, HeadId, axes_of, canonical_name, resolve
from interp.model.keeping import check_place
from interp.model.not_pickled import NotPickled
from interp.model.residual_stack import ResidualStacks
from interp.report import notebook_html
from interp.text.batch import Batch

if TYPE_CHECKING:
    from interp.report.notebook_blocks import BlockDisplay

RESULT = ".hook_result"
PATTERN = ".hook_pattern"

ComputeResult = Callable[[str, Tensor], Tensor]
"""(name of a result point, z of the same attention) -> result."""

ComputeDirections = Callable[[Int[Tensor, " *tokens"]], Tensor]
"""Tokens -> the directions of the final decoder stream that their logits read, [*tokens d_model]."""


class ActivationCache(NotPickled, ResidualStacks):
    """Hook name -> tensor, read-only.

    Keys may also be given in TransformerLens' spelling or as a tuple: `cache["pattern", 2, "cross_attn"]`. Sums over the
    residual stream (`accumulated_resid`, `decompose_resid`, `stack_head_results`, `logit_attrs`) are in `model.residual_stack`.

    Args:
        tensors: what was kept.
        batch: the batch it was kept from.
        compute_result: makes `hook_result` from z.
        gradients: whether the run kept gradients.
        directions: makes logit directions from tokens, for `logit_attrs`.
        norm_place: whether the model norms what sublayers read (`pre`) or what they leave (`post`, where the stream is no sum).
        merged_attention: whether self- and cross-attention of a decoder layer write together (`ModelConfig.merged_attention`).
    """

    instead = "Write it with `save_cache(cache, path)` of `interp.model`; `load_cache(path, model)` reads it."

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        batch: Batch | None,
        compute_result: ComputeResult,
        gradients: bool = False,
        directions: ComputeDirections | None = None,
        norm_place: NormPlace = "pre",
        merged_attention: bool = False,
    ) -> None:
        self._tensors = tensors
        self._compute_result = compute_result
        self._gradients = gradients
        self._directions = directions
        self.norm_place = norm_place
        self.merged_attention = merged_attention
        self.batch = batch

    def __getitem__(self, key: ActivationKey) -> Tensor:
        name = canonical_name(key)
        if name in self._tensors:
            return self._tensors[name]
        z_name = name.removesuffix(RESULT) + ".hook_z"
        if name.endswith(RESULT) and z_name in self._tensors:
            return self._compute_result(name, self._tensors[z_name])
        return self._tensors[resolve(name, self._tensors)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def _ipython_key_completions_(self) -> list[str]:
        """What `cache["dec<TAB>` offers."""
        return list(self._tensors)

    def __repr__(self) -> str:
        return f"ActivationCache({len(self)} activations, {self.n_bytes() / 2**20:.1f} MiB)"

    def _repr_html_(self) -> str:
        groups: dict[str, list[str]] = {}
        for name in self._tensors:
            groups.setdefault(re.sub(r"\.\d+\.", ".{layer}.", name), []).append(name)
        rows = [
            (name, len(members), " ".join(axes_of(members[0])), " x ".join(map(str, self._tensors[members[0]].shape)))
            for name, members in groups.items()
        ]
        return notebook_html.table(repr(self), ("activation", "layers", "axes", "shape"), rows)

    def logit_directions(self, tokens: Int[Tensor, " *tokens"]) -> Tensor:
        """The directions of the final decoder stream that the tokens' logits read, [*tokens d_model].

        Args:
            tokens: token ids.

        Raises:
            InputError: if the cache was read from a file without its model.
        """
        if self._directions is None:
            raise InputError("This cache does not know its model, which has the unembedding; load it with its model.")
        return self._directions(tokens)

    @property
    def grad(self) -> Mapping[str, Tensor | None]:
        """Hook name -> d metric / d activation, after `metric.backward()`; None where the metric does not depend on it.

        Raises:
            InputError: if the run did not keep gradients.
        """
        if not self._gradients:
            raise InputError("This cache kept no gradients; run with `gradients=True`, then call backward on a metric.")
        return {name: tensor.grad for name, tensor in self._tensors.items()}

    def n_bytes(self) -> int:
        """Bytes held, counting storage shared by several activations once."""
        # By the storage itself: to ask for the address of memory that is copied on writing is to copy it.
        storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in self._tensors.values()}
        return sum(storages.values())

    def show(
        self, *key: str | int, head: int | None = None, prompt: int = 0, interactive: bool = False
    ) -> "BlockDisplay":
        """Attention patterns with their tokens, for a notebook.

        Args:
            key: a hook name, the shorthand `"pattern", 3, "cross_attn"`, or the label of a head; with `interactive` by default
                the last pattern that was kept.
            head: one head of the layer; all by default.
            prompt: index of the prompt, counted from 0.
            interactive: the page to explore, as `interp show` writes it, with all attention that the cache kept.

        Raises:
            InputError: if the key names no pattern, or there is no such head or prompt.
        """
        kept = {name: value for name, value in self._tensors.items() if name.endswith(PATTERN)}
        if not kept or not (key or interactive):
            raise InputError(
                "show needs a cache with attention patterns, as of a run with the filter '*hook_pattern', and which to draw: "
                'a head such as "XL2H4", or "pattern", 3, "cross_attn".'
            )
        name = str(key[0]) if key else next(reversed(kept))
        if len(key) == 1 and re.fullmatch(r"[EDX]L\d+H\d+", name):
            one = HeadId.parse(name)
            if head not in (None, one.head):
                raise InputError(f"{name!r} names head {one.head}, and head={head!r} another; leave one of them out.")
            name, head = one.hook_name("pattern"), one.head
        elif len(key) > 1:
            name = canonical_name(key)  # type: ignore[arg-type]  # of another length it is refused
        name = resolve(name, self._tensors)
        if not name.endswith(PATTERN):
            raise InputError(
                f"{name!r} is no attention pattern; show draws those, such as 'decoder.0.cross_attn.hook_pattern'."
            )
        from interp.model.pattern_display import (  # which draw, and drawing is slow to import
            explore_patterns,
            show_layer,
        )

        if interactive:
            return explore_patterns(kept, name, self.batch, head or 0, prompt)
        return show_layer(self[name], name, self.batch, head, prompt)

    def to(
        self, device: str | torch.device | torch.dtype | None = None, dtype: torch.dtype | None = None
    ) -> "ActivationCache":
        """A cache with the same activations on another device or in another floating-point type.

        Args:
            device: where to, or the type alone; where they are by default.
            dtype: the type; their own by default.

        Raises:
            InputError: if there is no such device here, or the type holds no fractions.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        check_place(device, dtype)
        moved = {
            name: tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
            for name, tensor in self._tensors.items()
        }
        return self._with(moved, self.batch)

    def select(self, prompt: int) -> "ActivationCache":
        """The activations of one prompt, its batch axis kept with length 1; activations shared by the batch stay whole.

        Args:
            prompt: its index, counted from 0.

        Raises:
            InputError: if there is no such prompt.
        """
        count = max((tensor.shape[0] for tensor in self._tensors.values()), default=0)
        place = place_of(prompt, count)
        if place is None:
            raise InputError(f"The cache has {count} prompts, counted from 0; got {prompt!r}.")
        kept = {name: t if t.shape[0] == 1 else t[place : place + 1] for name, t in self._tensors.items()}
        return self._with(kept, None)

    def __deepcopy__(self, memo: object) -> "ActivationCache":
        return self._with({name: tensor.clone() for name, tensor in self._tensors.items()}, self.batch)

    def _with(self, tensors: Mapping[str, Tensor], batch: Batch | None) -> "ActivationCache":
        return ActivationCache(
            tensors, batch, self._compute_result, False, self._directions, self.norm_place, self.merged_attention
        )

    def at(self, key: ActivationKey, positions: Bool[Tensor, "batch pos"]) -> Tensor:
        """One activation at a token set: the rows of all its tokens, prompt by prompt.

        Args:
            key: the activation; of scores and patterns the query axis is meant.
            positions: the token set, e.g. `interp.text.token_sets.last(batch, "source")`.

        Returns:
            [token ...]: for one token a prompt, the first axis is the prompt. Patterns come as [token head key].

        Raises:
            InputError: if the set is about another stack's positions or none of truth values, or the activation has none.
        """
        if not isinstance(positions, Tensor) or positions.dtype != torch.bool:
            got = positions.dtype if isinstance(positions, Tensor) else type(positions).__name__
            raise InputError(
                f"A token set is a tensor of truth values, [batch pos], as of `interp.text.token_sets`; got {got}."
            )
        value = self[key]
        axes = axes_of(canonical_name(key))
        if axes[0] != "batch":
            raise InputError(f"{key!r} has axes [{' '.join(axes)}] and no positions of a prompt to choose from.")
        by_position = value.transpose(1, 2) if axes[-1] == "key" else value
        if by_position.shape[:2] != positions.shape:
            raise InputError(
                f"{key!r} has {tuple(by_position.shape[:2])} prompts and positions and the token set {tuple(positions.shape)}; "
                "take a set of the same side, source or target."
            )
        return by_position[positions.to(value.device)]
