"""The residual stream seen through a cache: what it had gathered by each layer, who wrote it, what each part says to a logit.

Names are TransformerLens'; every method says which stack it is about, because an encoder-decoder has two. Every sum here is exact
for pre-norm models: the stream at a layer is the embedding plus all outputs before it, and an attention's output is the sum of
its heads plus, in families that have one, its output bias (the `remainder`).
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.axes import AttentionKind, Stack
from interp.errors import InputError, is_whole, place_of
from interp.families.sites import NormPlace
from interp.hooks.names import HeadId, attention_path


@dataclass(frozen=True, slots=True, eq=False)
class ResidualStack:
    """Several vectors of one residual stream, each with a label; `scaled` if they were divided by the final norm's scale."""

    values: Float[Tensor, "component batch pos d_model"]
    labels: tuple[str, ...]
    stack: Stack
    scaled: bool = False

    def __post_init__(self) -> None:
        assert len(self.labels) == self.values.shape[0]

    def sum(self) -> Float[Tensor, "batch pos d_model"]:
        """The sum of all components."""
        return self.values.sum(0)


class ResidualStacks(Mapping[str, Tensor]):
    """The methods of a cache that are about the residual stream."""

    norm_place: NormPlace
    merged_attention: bool

    @abstractmethod
    def __getitem__(self, key: Any) -> Tensor: ...

    @abstractmethod
    def logit_directions(self, tokens: Int[Tensor, " *tokens"]) -> Tensor:
        """The directions of the final decoder stream that the tokens' logits read, [*tokens d_model].

        Args:
            tokens: token ids.
        """

    def depth(self, stack: Stack) -> int:
        """Layers of a stack of which anything was kept.

        Args:
            stack: the stack.
        """
        parts = (name.split(".") for name in self)
        return len({layer for own, layer, *_ in parts if own == stack and layer.isdigit()})

    def accumulated_resid(
        self, stack: Stack, layer: int | None = None, incl_mid: bool = False, apply_ln: bool = False
    ) -> ResidualStack:
        """The stream before every layer up to and including `layer`; before layer `depth` means after the last.

        Args:
            stack: whose stream.
            layer: the last layer before which to look; None for all layers and the final stream.
            incl_mid: also the stream between the sublayers.
            apply_ln: divide by the scale of the stack's final norm at its value in this run (frozen).
        """
        depth, last = self.depth(stack), self._layers(stack, layer)
        leaves = ("resid_pre", "resid_mid", "resid_mid_cross")[
            : 1 + len(self._attention_writes(stack)) if incl_mid else 1
        ]
        names = [f"{stack}.{index}.hook_{leaf}" for index in range(last) for leaf in leaves]
        names.append(f"{stack}.{last}.hook_resid_pre" if last < depth else f"{stack}.{last - 1}.hook_resid_post")
        labels = tuple(name.split(".")[1] + "_" + name.rpartition("hook_resid_")[2] for name in names)
        return self._stack(stack, [self[name] for name in names], labels, apply_ln)

    def decompose_resid(
        self,
        stack: Stack,
        layer: int | None = None,
        mode: Literal["all", "attn", "mlp"] = "all",
        apply_ln: bool = False,
    ) -> ResidualStack:
        """The outputs that were added up to the stream before `layer` (None: to the final stream), embedding first.

        Args:
            stack: whose stream.
            layer: the layer before which to stop.
            mode: `all` sublayers, or only the embedding with attention (`attn`) or MLP (`mlp`) outputs.
            apply_ln: as for `accumulated_resid`.

        Raises:
            InputError: for post-norm models, whose stream is no sum; as for everything below that needs one.
        """
        self._need_sums()
        attention = self._attention_writes(stack)
        if mode not in ("all", "attn", "mlp"):
            raise InputError(f"A stream is decomposed into 'all', 'attn' or 'mlp'; got {mode!r}.")
        leaves = {"all": (*attention, "mlp_out"), "attn": attention, "mlp": ("mlp_out",)}[mode]
        layers = range(self._layers(stack, layer))
        written = [(index, leaf) for index in layers for leaf in leaves]
        parts = [self[f"{stack}.{index}.hook_{leaf}"] for index, leaf in written]
        labels = ("embed", *(f"{index}_{leaf}" for index, leaf in written))
        return self._stack(stack, [self[f"{stack}.0.hook_resid_pre"], *parts], labels, apply_ln)

    def stack_head_results(
        self, stack: Stack, layer: int | None = None, incl_remainder: bool = False, apply_ln: bool = False
    ) -> ResidualStack:
        """What every head wrote to the stream before `layer`, cross-attention heads included, labeled EL0H1, DL0H1, XL0H1.

        Args:
            stack: whose stream.
            layer: the layer before which to stop; None for all layers.
            incl_remainder: add one component with everything else, so that the sum is the stream; not in post-norm models.
            apply_ln: as for `accumulated_resid`.

        Raises:
            InputError: if no head writes before that layer, or as for `decompose_resid` where a remainder is asked for.
        """
        kinds: tuple[AttentionKind, ...] = ("encoder",) if stack == "encoder" else ("decoder", "cross")
        parts: list[Tensor] = []
        labels: list[str] = []
        for index in range(self._layers(stack, layer)):
            for kind in kinds:
                result = self[f"{attention_path(kind, index)}.hook_result"]
                parts += result.unbind(2)
                labels += [str(HeadId(kind, index, head)) for head in range(result.shape[2])]
        if not parts and not incl_remainder:
            raise InputError("Before layer 0 no head has written; give a layer of at least 1, or incl_remainder=True.")
        if incl_remainder:
            self._need_sums()
            whole = self.accumulated_resid(stack, layer).values[-1]
            parts.append(whole - torch.stack(parts).sum(0) if parts else whole)
            labels.append("remainder")
        return self._stack(stack, parts, tuple(labels), apply_ln)

    def stack_activation(self, name: str, place: str) -> Tensor:
        """One activation of all layers, [layer ...]: `cache.stack_activation("z", "cross_attn")`.

        Args:
            name: a short activation name, as for `get_act_name`.
            place: `encoder`, `decoder` or `cross_attn`.
        """
        depth = self.depth("encoder" if place == "encoder" else "decoder")
        return torch.stack([self[name, layer, place] for layer in range(depth)])

    def apply_ln_to_stack(self, stacked: ResidualStack) -> ResidualStack:
        """The components divided by the scale that the stack's final norm had in this run (frozen); gains are not applied.

        Args:
            stacked: components of one stream.

        Raises:
            InputError: if they were divided already, or the model is post-norm and has no final norm.
        """
        self._need_sums()
        if stacked.scaled:
            raise InputError("This stack was already divided by the final norm's scale.")
        scale = self[f"{stacked.stack}.ln_final.hook_scale"]
        return replace(stacked, values=stacked.values / scale, scaled=True)

    def logit_attrs(
        self,
        stacked: ResidualStack,
        tokens: Int[Tensor, "batch target"] | int,
        incorrect_tokens: Int[Tensor, "batch target"] | int | None = None,
    ) -> Float[Tensor, "component batch target"]:
        """What every component adds to the logit of a token, or to a difference of two logits, under the frozen final norm.

        Args:
            stacked: components of the decoder's stream.
            tokens: one token a decoder row (a batch's `labels` may be given as they are; padded rows give what they give), or
                one for all.
            incorrect_tokens: the token whose logit is subtracted.

        Raises:
            InputError: for components of the encoder's stream, which no logit reads.
        """
        if stacked.stack != "decoder":
            raise InputError("Logits read the decoder's stream; this is the encoder's.")
        values = (stacked if stacked.scaled else self.apply_ln_to_stack(stacked)).values

        def read(chosen: Tensor | int) -> Tensor:
            one = is_whole(chosen)
            rows = isinstance(chosen, Tensor) and chosen.dtype in (torch.int32, torch.int64) and chosen.ndim == 2
            if not one and not rows:
                raise InputError(
                    f"Tokens are one id, or whole numbers [batch target], as a batch's labels; got {chosen!r:.80}."
                )
            ids = chosen.clamp_min(0) if isinstance(chosen, Tensor) else torch.full(values.shape[1:3], chosen)
            return self.logit_directions(ids.to(values.device)).to(values.device)

        direction = read(tokens) if incorrect_tokens is None else read(tokens) - read(incorrect_tokens)
        return torch.einsum("cbtd,btd->cbt", values.to(direction.dtype), direction)

    def _layers(self, stack: Stack, layer: Any) -> int:
        """How many layers lie before one; all that were kept without one."""
        depth = self.depth(stack)
        if stack not in ("encoder", "decoder") or not depth:
            raise InputError(f"A stack is 'encoder' or 'decoder', of which this cache kept layers; got {stack!r}.")
        place = depth if layer is None else place_of(layer, depth + 1)
        if place is None:
            raise InputError(
                f"Layers of the {stack} are 0 to {depth - 1}, and {depth} stands behind the last; got {layer!r}."
            )
        return place

    def _attention_writes(self, stack: Stack) -> tuple[str, ...]:
        """What attention adds to a stack's stream in a layer, one after another."""
        one = stack == "encoder" or self.merged_attention
        return ("attn_out",) if one else ("attn_out", "cross_attn_out")

    def _need_sums(self) -> None:
        if self.norm_place == "post":
            raise InputError(
                "This model norms the stream after every sublayer (norm_place='post'), so the stream is no sum of writers and "
                "has no final norm; `accumulated_resid` and `stack_head_results` without a remainder show what is there."
            )

    def _stack(self, stack: Stack, parts: list[Tensor], labels: tuple[str, ...], apply_ln: bool) -> ResidualStack:
        stacked = ResidualStack(torch.stack(parts), labels, stack)
        return self.apply_ln_to_stack(stacked) if apply_ln else stacked
