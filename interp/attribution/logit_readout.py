"""Which number of the logits is to be explained?

Every number explained here is linear in the normed final stream of the decoder, so it has a direction (methods C.1, C.3):

    logit of w            direction_w
    w against a foil      direction_w - direction_foil         free of whatever raises all logits alike
    w against the mean    direction_w - mean_v direction_v     the same, without choosing a foil

and its value can be read from the logits, which is what a decomposition along the direction must add up to. Families with biases
add a constant to each: the direction's product with the last norm's bias, and the unembedding's bias.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.components import last_norm
from interp.attribution.residual_stream import final_inverse_scale, wide
from interp.axes import Logits
from interp.errors import InputError
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import final_gain, logit_directions, norm_bias, norm_gain, unembedding, unembedding_bias
from interp.text.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """One number for every decoder row, and the direction that reads it.

    Attributes:
        directions: direction read in what the decoder's last norm makes of the stream, before its gain: the stream after
            division by the norm's scale (LayerNorm: less its mean).
        values: the number itself, taken from the logits, in float32 or wider.
        rows: direction read in the decoder's output, behind the norm's gain and bias; None in T5's family, which has no biases.
        bias: what the unembedding's bias adds; None in T5's family.
        constant: what the biases of the last norm and of the unembedding add together; None in T5's family.
    """

    directions: Float[Tensor, "batch target d_model"]
    values: Float[Tensor, "batch target"]
    rows: Float[Tensor, "batch target d_model"] | None = None
    bias: Float[Tensor, "batch target"] | None = None
    constant: Float[Tensor, "batch target"] | None = None

    def frozen(self, cache: ActivationCache) -> Float[Tensor, "batch target d_model"]:
        """The directions times the inverse scale of the final norm: what a write to the stream is projected on.

        In families with biases the norms in the way have means, or there are several: `direct_logit_attribution.sublayer_reads`.

        Args:
            cache: with `decoder.ln_final.hook_scale`.

        Raises:
            InputError: if the read-out is of a family with biases.
        """
        if self.rows is not None:
            raise InputError(
                "A read-out of a family with biases is seen by every sublayer in its own way; take "
                "interp.attribution.direct_logit_attribution.sublayer_reads."
            )
        return self.directions * final_inverse_scale(cache).unsqueeze(-1)

    def of(self, normalized: Float[Tensor, "*copies batch target d_model"]) -> Float[Tensor, "*copies batch target"]:
        """The number, from what the last norm makes of the stream, before its gain."""
        values: Tensor = (normalized * self.directions).sum(-1)
        return values if self.constant is None else values + self.constant


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


def output_rows(
    model: HookedEncoderDecoder, tokens: Int[Tensor, "*tokens"]
) -> tuple[Float[Tensor, "*tokens d_model"], Float[Tensor, "*tokens"]]:
    """The direction of the decoder's output that a token's logit reads, s * W_U[token], and the bias behind it.

    Args:
        model: a model of any family.
        tokens: the tokens.
    """
    return model.cfg.logit_scale * wide(unembedding(model)[tokens]), wide(unembedding_bias(model)[tokens])


def token_logit(model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]) -> Readout:
    """The logit of one token for every decoder row."""
    values = _chosen(logits, tokens)
    if not model.cfg.biases:
        return Readout(wide(logit_directions(model, tokens)), values)
    return biased_readout(model, *output_rows(model, tokens), values)


def biased_readout(
    model: HookedEncoderDecoder,
    rows: Float[Tensor, "batch target d_model"],
    bias: Float[Tensor, "batch target"],
    values: Float[Tensor, "batch target"],
) -> Readout:
    """A linear read-out of the decoder's output, as one of what its last norm makes of the stream.

    Args:
        model: a model with biases.
        rows: direction read in the decoder's output.
        bias: what is added behind.
        values: the number itself.
    """
    last = last_norm(model.cfg, "decoder")
    directions = rows * wide(norm_gain(model, last))
    return Readout(directions, values, rows, bias, rows @ wide(norm_bias(model, last)) + bias)


def logit_difference(
    model: HookedEncoderDecoder,
    logits: Logits,
    tokens: Int[Tensor, "batch target"],
    foils: Int[Tensor, "batch target"],
) -> Readout:
    """The logit of a token less the logit of its foil, for every decoder row."""
    values = _chosen(logits, tokens) - _chosen(logits, foils)
    if not model.cfg.biases:
        return Readout(wide(logit_directions(model, tokens)) - wide(logit_directions(model, foils)), values)
    (rows, bias), (other, other_bias) = output_rows(model, tokens), output_rows(model, foils)
    return biased_readout(model, rows - other, bias - other_bias, values)


def logit_difference_of_outputs(
    model: HookedEncoderDecoder,
    outputs: Float[Tensor, "*copies batch row d_model"],
    tokens: Int[Tensor, "batch row"],
    foils: Int[Tensor, "batch row"],
) -> Float[Tensor, "*copies batch row"]:
    """The same number from the decoder's outputs, without scoring the vocabulary; copies of a batch share tokens and foils.

    Args:
        model: a model of any family.
        outputs: of the decoder, behind its last norm.
        tokens: the token of every row.
        foils: the token it is compared with.
    """
    (rows, bias), (other, other_bias) = output_rows(model, tokens), output_rows(model, foils)
    return (wide(outputs) * (rows - other)).sum(-1) + (bias - other_bias)


def logit_against_mean(model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]) -> Readout:
    """The logit of a token less the mean logit of the whole vocabulary, which no softmax can see the difference of."""
    chosen = _chosen(logits, tokens)
    values = chosen - logits.mean(-1, dtype=chosen.dtype)
    if not model.cfg.biases:
        mean = model.cfg.logit_scale * wide(final_gain(model, "decoder")) * wide(unembedding(model)).mean(0)
        return Readout(wide(logit_directions(model, tokens)) - mean, values)
    rows, bias = output_rows(model, tokens)
    rows = rows - model.cfg.logit_scale * wide(unembedding(model)).mean(0)
    return biased_readout(model, rows, bias - wide(unembedding_bias(model)).mean(), values)


def largest_logit(logits: Logits, batch: Batch) -> Float[Tensor, " batch"]:
    """The largest |logit| of every prompt over its decoder rows: the scale in which completeness gaps are given."""
    low, high = logits.aminmax(dim=-1)
    largest = torch.maximum(-low, high).masked_fill(~batch.target_mask, 0.0)
    return wide(largest).amax(-1)


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
    return wide(logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1))
