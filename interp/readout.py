"""Which number of the logits is to be explained?

Every number explained here is linear in the normed final stream of the decoder, so it has a direction (methods C.1, C.3):

    logit of w            direction_w
    w against a foil      direction_w - direction_foil         free of whatever raises all logits alike
    w against the mean    direction_w - mean_v direction_v     the same, without choosing a foil

and its value can be read from the logits, which is what a decomposition along the direction must add up to.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.axes import Logits
from interp.cache import ActivationCache
from interp.errors import InputError
from interp.model import HookedEncoderDecoder
from interp.residual import final_inverse_scale
from interp.tokens import Batch
from interp.weights import final_gain, logit_directions, unembedding


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """One number for every decoder row, and the direction that reads it.

    Attributes:
        directions: direction read in the final decoder stream, after division by the norm's scale.
        values: the number itself, taken from the logits, in float32 or wider.
    """

    directions: Float[Tensor, "batch target d_model"]
    values: Float[Tensor, "batch target"]

    def frozen(self, cache: ActivationCache) -> Float[Tensor, "batch target d_model"]:
        """The directions times the inverse scale of the final norm: what a write to the stream is projected on.

        Args:
            cache: with `decoder.ln_final.hook_scale`.
        """
        return self.directions * final_inverse_scale(cache).unsqueeze(-1)


def label_tokens(batch: Batch) -> Int[Tensor, "batch target"]:
    """The label of every decoder row; padded rows have token 0, and count nowhere."""
    return batch.labels.masked_fill(~batch.target_mask, 0)


def runner_up(logits: Logits, tokens: Int[Tensor, "batch target"]) -> Int[Tensor, "batch target"]:
    """The best token other than the given one: the model's second choice where the given token is its first.

    Args:
        logits: of one forward pass.
        tokens: the token of every row that must not be its own runner-up.
    """
    best = logits.topk(2, dim=-1).indices
    return torch.where(best[..., 0] == tokens, best[..., 1], best[..., 0])


def token_logit(model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]) -> Readout:
    """The logit of one token for every decoder row."""
    return Readout(_wide(logit_directions(model, tokens)), _chosen(logits, tokens))


def logit_difference(
    model: HookedEncoderDecoder,
    logits: Logits,
    tokens: Int[Tensor, "batch target"],
    foils: Int[Tensor, "batch target"],
) -> Readout:
    """The logit of a token less the logit of its foil, for every decoder row."""
    token, foil = token_logit(model, logits, tokens), token_logit(model, logits, foils)
    return Readout(token.directions - foil.directions, token.values - foil.values)


def logit_against_mean(model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]) -> Readout:
    """The logit of a token less the mean logit of the whole vocabulary, which no softmax can see the difference of."""
    mean = model.cfg.logit_scale * _wide(final_gain(model, "decoder")) * _wide(unembedding(model)).mean(0)
    token = token_logit(model, logits, tokens)
    return Readout(token.directions - mean, token.values - logits.mean(-1, dtype=token.values.dtype))


def largest_logit(logits: Logits, batch: Batch) -> Float[Tensor, " batch"]:
    """The largest |logit| of every prompt over its decoder rows: the scale in which completeness gaps are given."""
    low, high = logits.aminmax(dim=-1)
    largest = torch.maximum(-low, high).masked_fill(~batch.target_mask, 0.0)
    return _wide(largest).amax(-1)


def completeness_gap(
    total: Float[Tensor, "batch target"], readout: Readout, largest: Float[Tensor, " batch"], batch: Batch
) -> Float[Tensor, " batch"]:
    """How far a decomposition is from the number it explains, as a share of the prompt's largest |logit|.

    Args:
        total: sum of the decomposition for every decoder row.
        readout: what was decomposed.
        largest: `largest_logit` of the same forward pass.
        batch: its prompts; padded rows do not count.

    Returns:
        max over rows of |total - value| / max |logit|. About 1e-7 to 1e-6 in float32; 1e-2 in bfloat16, where the stream
        itself is rounded after every addition (methods 0.1).
    """
    difference = (total - readout.values).abs().masked_fill(~batch.target_mask, 0.0)
    return difference.amax(-1) / largest


def one_token(model: HookedEncoderDecoder, text: str) -> int:
    """The id of a text that is one piece for the tokenizer, for foils and answers given by name.

    Raises:
        InputError: if the text has no piece, or more than one; a sum over several pieces is not linear in the stream.
    """
    if model.tokenizer is None:
        raise InputError("This model was wrapped without a tokenizer; give token ids instead of texts.")
    ids = [i for i in model.tokenizer(text, add_special_tokens=False).input_ids if i != model.cfg.eos_token_id]
    if len(ids) != 1:
        pieces = " ".join(model.tokenizer.convert_ids_to_tokens(ids)) or "none"
        raise InputError(
            f"{text!r} has {len(ids)} pieces for this model ({pieces}); give a text of exactly one, such as the first piece "
            "in which two answers differ."
        )
    return int(ids[0])


def _chosen(logits: Logits, tokens: Int[Tensor, "batch target"]) -> Float[Tensor, "batch target"]:
    return _wide(logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1))


def _wide(tensor: Tensor) -> Tensor:
    """At least float32: half-precision activations are decomposed in float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
