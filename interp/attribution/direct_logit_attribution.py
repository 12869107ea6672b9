"""Direct logit attribution: a number of the logits as an exact sum over everything that writes to the decoder's residual stream.

With every norm in a write's way held at its scale in this forward pass (`frozen_norms`), a read-out is linear in the writes:

    readout_t = sum over components c of <c_t, direction_t>,      direction_t seen through the norms behind c,

in T5, where the final norm alone is in the way and there are no biases, sum_c r_t <c_t, s * gain * W_U[w]> with r_t its inverse
scale. One set of equations serves every family; components have the order of `components.components_of`. Products are taken in
float32 at least, so the gap of a bfloat16 model is that model's own rounding. Elhage et al. 2021; Wang et al. 2022.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.components import Component, components_of
from interp.attribution.frozen_norms import sublayer_directions
from interp.attribution.logit_readout import Readout
from interp.attribution.residual_writes import writes
from interp.axes import AttentionKind, Stack
from interp.families.config import ModelConfig
from interp.families.residual_stream import last_norm, steps
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.framed import Framed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decomposition(Framed):
    """A read-out of the decoder as a sum over components.

    Attributes:
        components: what writes to the decoder's stream.
        values: contributions in units of the read-out (logits); their sum over components is the read-out.
        cross_directions: for every layer the direction by which the read-out reads what its cross heads write.
        own_directions: the same of the heads of its self-attention.
    """

    components: tuple[Component, ...]
    values: Float[Tensor, "batch target component"]
    cross_directions: tuple[Float[Tensor, "batch target d_model"], ...]
    own_directions: tuple[Float[Tensor, "batch target d_model"], ...]

    def of(self, label: str) -> Float[Tensor, "batch target"]:
        """One component.

        Args:
            label: its label.
        """
        return self.values[..., [component.label for component in self.components].index(label)]

    def to_frame(self) -> "pd.DataFrame":
        """One row a prompt, decoder row and component, padded rows with them: its contribution."""
        import pandas as pd

        names = [component.label for component in self.components]
        prompts, rows, components = np.indices(self.values.shape).reshape(3, -1)
        return pd.DataFrame({
            "prompt": prompts,
            "row": rows,
            "component": np.array(names)[components],
            "contribution (logits)": self.values.detach().float().cpu().numpy().ravel(),
        })


def decomposition_hooks(cfg: ModelConfig) -> tuple[str, ...]:
    """The hook points that `decompose`, the splits of `source_attribution` and `frozen_norms.squared_norm_shares` read.

    Args:
        cfg: the model's facts.
    """
    stacks: tuple[Stack, ...] = ("encoder", "decoder")
    return tuple(name for stack in stacks for name in _hooks_of(cfg, stack))


def _hooks_of(cfg: ModelConfig, stack: Stack) -> Iterator[str]:
    for step in steps(cfg, stack):
        if step.kind == "attention":
            leaves = ("z", "pattern", "v") if step.attention == "cross" else ("z",)
            yield from (f"{step.name}.hook_{leaf}" for leaf in leaves)
            if step.write_norm is not None:
                yield f"{step.write_norm}.hook_scale"
        elif step.kind == "mlp":
            yield f"{step.name.removesuffix('.mlp')}.hook_mlp_out"
            if step.experts:
                yield f"{step.name}.hook_expert_indices"
        elif step.kind == "norm":
            yield f"{step.name}.hook_scale"
        elif step.kind != "unembedding":
            yield step.name


def decompose(model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout) -> Decomposition:
    """A read-out as a sum over everything that writes to the decoder.

    Args:
        model: a model of any family.
        cache: with the activations of `decomposition_hooks`.
        readout: what is split.
    """
    cfg = model.cfg
    directions = sublayer_directions(model, cache, readout)
    behind = {last_norm(cfg, "decoder"): readout.norm_bias, "unembed": readout.unembedding_bias}
    values: list[Tensor] = []
    for step in steps(cfg, "decoder"):
        if step.name not in behind:
            values += writes(model, cache, step).along(directions[step.name])
        elif step.bias:
            values.append(behind[step.name])
    kinds: tuple[AttentionKind, ...] = ("cross", "decoder")
    cross, own = (
        tuple(directions[attention_path(kind, layer)] for layer in range(cfg.n_decoder_layers)) for kind in kinds
    )
    return Decomposition(components_of(cfg, "decoder"), torch.stack(values, -1), cross, own)
