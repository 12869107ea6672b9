"""What happens to a read-out when one decoder head's z is replaced: the check beside every attribution.

With d = W_O (z' - z) the change of the head's write by a replacement (`interp.patching.replacements`), x_t the final stream, and
LD the read-out, where the final norm alone is in the way:

    total effect                   LD(everything after the head recomputed) - LD
    direct effect, norm frozen     r_t <d, direction>                    (zero: minus the attribution)
    direct effect, norm recomputed LD(x + d) - LD(x)
    self-repair                    total effect - direct effect, norm frozen        (> 0 for a head that helps: repaired)

In families with more norms in the way (post-norm: one behind every sublayer), direct effects hold all of them or take all of them
anew, and leave every later write as it is.
Wang et al. 2022; McGrath et al. 2023; Rushing and Nanda 2024; Heimersheim and Nanda 2024.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.frozen_norms import effect_with_norms_recomputed, recomputed_norm_hooks, sublayer_directions
from interp.attribution.logit_readout import Readout
from interp.attribution.residual_writes import head_directions
from interp.attribution.source_attribution import DecoderKind
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import output_weights
from interp.patching.partial_forward import RecordedPass


def effect_hooks(model: HookedEncoderDecoder) -> tuple[str, ...]:
    """The hook points that `total_effects` and `direct_effects` read.

    Args:
        model: the model.
    """
    return ("decoder.*.attn.hook_z", "decoder.*.cross_attn.hook_z", *recomputed_norm_hooks(model))


def total_effects(
    clean: RecordedPass,
    read: Callable[[Tensor], Tensor],
    kind: DecoderKind,
    layer: int,
    replaced: Float[Tensor, "draw batch target head d_head"],
) -> Float[Tensor, "draw head batch target"]:
    """The change of the read-out with one head at a time replaced and everything after it recomputed.

    Args:
        clean: the pass without a replacement, with the activations of `effect_hooks`; all rows are read.
        read: from the decoder's outputs, [*copies batch target d_model], to the number that is watched, [*copies batch target].
        kind: self- or cross-attention.
        layer: decoder layer.
        replaced: what one head's part of z is replaced by.
    """
    draws, heads = len(replaced), replaced.shape[3]
    of_copy = [head for _ in range(draws) for head in range(heads)]
    values = clean.with_heads(kind, layer, of_copy, replaced.movedim(3, 1).flatten(0, 1), read)
    effects: Tensor = values.unflatten(0, (draws, heads)) - read(clean.outputs)
    return effects


@dataclass(frozen=True, slots=True, eq=False)
class DirectEffects:
    """What replacing a head does to the read-out if no later writer answers.

    Attributes:
        frozen: with the norms in its way held at their values (T5: the final norm alone).
        recomputed: with these norms taken anew.
    """

    frozen: Float[Tensor, "draw head batch target"]
    recomputed: Float[Tensor, "draw head batch target"]


def direct_effects(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    readout: Readout,
    kind: DecoderKind,
    layer: int,
    replaced: Float[Tensor, "draw batch target head d_head"],
) -> DirectEffects:
    """Direct effects of replacing one head at a time, without a forward pass; one head's writes at a time, to save memory.

    Args:
        model: the model the cache came from.
        cache: with the activations of `effect_hooks`.
        readout: the number that is watched.
        kind: self- or cross-attention.
        layer: decoder layer.
        replaced: what z is replaced by.
    """
    path = attention_path(kind, layer)
    change = (replaced - cache[f"{path}.hook_z"]).to(readout.directions.dtype)
    W_O = output_weights(model, kind, layer).to(change.dtype)
    frozen = (change * head_directions(W_O, sublayer_directions(model, cache, readout)[path])).sum(-1)
    recomputed = [
        effect_with_norms_recomputed(model, cache, readout, path, change[:, :, :, head] @ W_O[head])
        for head in range(change.shape[3])
    ]
    return DirectEffects(frozen.movedim(-1, 1), torch.stack(recomputed, 1))


def decoder_attention_layers(model: HookedEncoderDecoder) -> Sequence[tuple[DecoderKind, int]]:
    """Every attention layer of the decoder, self-attention before cross-attention in each layer.

    Args:
        model: the model.
    """
    kinds: tuple[DecoderKind, ...] = ("decoder", "cross")
    return tuple((kind, layer) for layer in range(model.cfg.n_decoder_layers) for kind in kinds)
