"""The outputs of both stacks without the vocabulary, which most work never looks at."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.hooks.names import NamesFilter, matching
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.keeping import in_order, keeper
from interp.text.batch import Batch


def encoder_memory(model: HookedEncoderDecoder, batch: Batch, copies: int = 1) -> Float[Tensor, "batch source d_model"]:
    """What the decoder reads of the sources of a batch.

    Args:
        model: a model of any family.
        batch: the batch.
        copies: how many copies run side by side.
    """
    fields = {name: tensor.repeat(copies, *[1] * (tensor.ndim - 1)) for name, tensor in batch.source_fields.items()}
    memory: Tensor = model.hf.get_encoder()(**fields)[0]
    return memory


def decoder_outputs(
    model: HookedEncoderDecoder, batch: Batch, copies: int = 1, memory: Tensor | None = None
) -> tuple[Float[Tensor, "batch source d_model"], Float[Tensor, "batch target d_model"]]:
    """Memory and the decoder's output of copies of a batch, the vocabulary not scored.

    Args:
        model: a model of any family.
        batch: the batch.
        copies: how many copies run side by side.
        memory: what the decoder reads, if it is known; the encoder does not run then.
    """
    memory = encoder_memory(model, batch, copies) if memory is None else memory
    masked = {} if batch.is_audio else {"encoder_attention_mask": batch.attention_mask.repeat(copies, 1)}
    outputs = model.hf.get_decoder()(
        input_ids=batch.decoder_input_ids.repeat(copies, 1),
        attention_mask=batch.decoder_attention_mask.repeat(copies, 1),
        encoder_hidden_states=memory,
        use_cache=False,
        **masked,
    )[0]
    return memory, outputs


@dataclass(frozen=True, slots=True, eq=False)
class StackOutputs:
    """One forward pass without the vocabulary.

    Attributes:
        memory: the encoder's output.
        outputs: the decoder's, behind its last norm.
        cache: the activations that were asked for.
    """

    memory: Float[Tensor, "batch source d_model"]
    outputs: Float[Tensor, "batch target d_model"]
    cache: ActivationCache


def run_stacks(
    model: HookedEncoderDecoder, batch: Batch, names: NamesFilter, copies: int = 1, gradients: bool = False
) -> StackOutputs:
    """Both stacks with the activations that they left.

    Args:
        model: a model of any family.
        batch: the batch.
        names: which activations, as for `run_with_cache`.
        copies: how many copies run side by side; the cache of several knows no batch.
        gradients: as for `run_with_cache`; without them nothing is kept for a backward pass.

    Raises:
        KeyError: if a name selects no hook point.
    """
    chosen, kept = matching(names, tuple(model.hook_points())), dict[str, Tensor]()
    with torch.set_grad_enabled(gradients), model.hooks([(list(chosen), keeper(kept, gradients))]):
        memory, outputs = decoder_outputs(model, batch, copies)
    told = batch if copies == 1 else None
    return StackOutputs(memory, outputs, ActivationCache(in_order(kept, chosen), told, model.compute_result, gradients))
