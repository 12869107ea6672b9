"""The number of the logits that is explained, and the direction that reads it.

Every number explained here is linear in what the decoder's last norm makes of the stream, so it has a direction (Elhage et al.
2021), and a constant from the biases behind that norm, if there are any:

    logit of w            direction_w = s * gain * W_U[w],     constant_w = s * <W_U[w], norm bias> + unembedding bias[w]
    w against a foil      direction_w - direction_foil         free of whatever raises all logits alike
    w against the mean    direction_w - mean_v direction_v     the same, without choosing a foil

Its value can be read from the logits, which is what a decomposition along the direction must add up to. Where the host caps
logits (T5Gemma), what is read is the logit before the cap, which alone is linear in the stream.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from interp.axes import Logits
from interp.errors import InputError
from interp.families.residual_stream import last_norm
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import norm_gain, output_bias, scored, uncapped, unembedding, unembedding_bias
from interp.text.batch import IGNORED_LABEL, Batch
from interp.text.pieces import pieces_of

FLOAT32_GAP = 2e-5
"""The completeness gap that float32 reaches, a difference of two large logits included."""

_SUPPRESSED = -1000.0
"""Bias of an unembedding that no stream outweighs; Marian's and Pegasus' padding has -10,000 or less."""

_LOGITS = 2**21
"""Logits that `label_losses` holds at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """One number for every decoder row, and the direction that reads it.

    Attributes:
        directions: direction read in what the decoder's last norm makes of the stream, before its gain: the stream after
            division by the norm's scale (LayerNorm: less its mean).
        values: the number itself, taken from the logits, in float32 or wider.
        norm_bias: what the bias of the last norm adds; 0 without one.
        unembedding_bias: what the unembedding's bias adds; 0 without one.
    """

    directions: Float[Tensor, "batch target d_model"]
    values: Float[Tensor, "batch target"]
    norm_bias: Float[Tensor, "batch target"]
    unembedding_bias: Float[Tensor, "batch target"]


def label_tokens(batch: Batch) -> Int[Tensor, "batch target"]:
    """The label of every decoder row; padded rows have token 0, and count nowhere.

    Args:
        batch: the prompts.
    """
    return batch.labels.masked_fill(~batch.target_mask, 0)


def runner_up(
    model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]
) -> Int[Tensor, "batch target"]:
    """The best token other than the given one: the model's second choice where the given token is its first.

    Rows of the table that stand for nothing are no runner-up (`HookedEncoderDecoder.named_rows`).

    Args:
        model: the model.
        logits: of one forward pass.
        tokens: the token of every row that must not be its own runner-up.
    """
    best = logits.masked_fill(~model.named_rows, -torch.inf).topk(2, dim=-1).indices
    return torch.where(best[..., 0] == tokens, best[..., 1], best[..., 0])


def output_rows(
    model: HookedEncoderDecoder, tokens: Int[Tensor, "*tokens"]
) -> tuple[Float[Tensor, "*tokens d_model"], Float[Tensor, "*tokens"]]:
    """The direction of the decoder's output that a token's logit reads, s * W_U[token], and the bias behind it.

    Args:
        model: a model of any family.
        tokens: the tokens.
    """
    rows = at_least_float32(unembedding(model)[tokens])
    return model.cfg.logit_scale * rows, at_least_float32(unembedding_bias(model)[tokens])


def token_logit(model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]) -> Readout:
    """The logit of one token for every decoder row.

    Args:
        model: the model.
        logits: of one forward pass.
        tokens: the token of every row.
    """
    directions, *biases = _token(model, tokens)
    return Readout(directions, _chosen(model, logits, tokens), *biases)


def logit_difference(
    model: HookedEncoderDecoder,
    logits: Logits,
    tokens: Int[Tensor, "batch target"],
    foils: Int[Tensor, "batch target"],
) -> Readout:
    """The logit of a token less the logit of its foil, for every decoder row.

    Args:
        model: the model.
        logits: of one forward pass.
        tokens: the token of every row.
        foils: what it is compared with.
    """
    values = _chosen(model, logits, tokens) - _chosen(model, logits, foils)
    return _difference(values, _token(model, tokens), _token(model, foils))


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
    return (at_least_float32(outputs) * (rows - other)).sum(-1) + (bias - other_bias)


def label_losses(
    model: HookedEncoderDecoder, batch: Batch, outputs: Float[Tensor, "batch target d_model"]
) -> Float[Tensor, " batch"]:
    """-log p of all labels of every prompt, summed over its rows, from the decoder's outputs; padded rows are not scored.

    Args:
        model: a model of any family.
        batch: the prompts.
        outputs: of the decoder, behind its last norm.
    """
    rows, labels = outputs[batch.target_mask], batch.labels[batch.target_mask]
    at_once = max(1, _LOGITS // model.cfg.d_vocab)
    parts = zip(rows.split(at_once), labels.split(at_once), strict=True)
    losses = torch.cat([
        cross_entropy(scored(model, part).float(), those, ignore_index=IGNORED_LABEL, reduction="none")
        for part, those in parts
    ])
    prompt = batch.target_mask.nonzero()[:, 0]
    return torch.zeros(len(batch), device=losses.device).index_add_(0, prompt, losses)


def logit_against_mean(model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]) -> Readout:
    """The logit of a token less the mean logit of the whole vocabulary, which no softmax can see the difference of.

    Args:
        model: the model.
        logits: of one forward pass.
        tokens: the token of every row.
    """
    chosen = _chosen(model, logits, tokens)
    mean = at_least_float32(unembedding(model)).mean(0), at_least_float32(unembedding_bias(model)).mean()
    values = chosen - uncapped(model, logits).mean(-1, dtype=chosen.dtype)
    return _difference(values, _token(model, tokens), _terms(model, *mean))


def size_of_parts(parts: Float[Tensor, "*rows component"]) -> Float[Tensor, "*rows"]:
    """The root of the summed squares of contributions: the scale in which completeness gaps are given.

    It knows the explained number's own parts alone: no logit of another token, and no constant that all logits share, can make
    a sum look more exact than it is.

    Args:
        parts: contributions to one number.
    """
    size: Tensor = parts.norm(dim=-1)
    return size.clamp_min(torch.finfo(size.dtype).tiny)


def completeness_gap(
    total: Float[Tensor, "batch target"], readout: Readout, size: Float[Tensor, "batch target"], batch: Batch
) -> Float[Tensor, " batch"]:
    """How far a decomposition is from the number it explains, as a share of the size of its parts.

    Args:
        total: sum of the decomposition for every decoder row.
        readout: what was decomposed.
        size: `size_of_parts` of the contributions of its components.
        batch: its prompts; padded rows do not count.

    Returns:
        max over rows of |total - value| / size. About 1e-7 to 1e-5 in float32; 1e-2 in bfloat16, where the stream itself is
        rounded after every addition.
    """
    difference = ((total - readout.values).abs() / size).masked_fill(~batch.target_mask, 0.0)
    return difference.amax(-1)


def one_token(model: HookedEncoderDecoder, text: str) -> int:
    """The id of a text that is one piece for the tokenizer, for foils and answers given by name.

    Args:
        model: the model, with a tokenizer.
        text: the text.

    Raises:
        InputError: if the text has no piece, an unknown one, or more than one; a sum over several pieces is not linear in
            the stream.
    """
    if model.tokenizer is None:
        raise InputError("This model was wrapped without a tokenizer; give token ids instead of texts.")
    ids = [i for i in model.tokenizer(text, add_special_tokens=False).input_ids if i != model.cfg.eos_token_id]
    if len(ids) != 1:
        pieces = " ".join(pieces_of(model.tokenizer, ids)) or "none"
        raise InputError(
            f"{text!r} has {len(ids)} pieces for this model ({pieces}); give a text of exactly one, such as the first piece "
            "in which two answers differ."
        )
    if ids[0] == model.tokenizer.unk_token_id and text != model.tokenizer.unk_token:
        raise InputError(f"This model's tokenizer does not know {text!r}; give a text that it has a piece for.")
    return int(ids[0])


def check_scored(model: HookedEncoderDecoder, token: int) -> None:
    """Refuses a token that the model cannot write: a row that stands for nothing, or whose bias keeps it from being chosen.

    Args:
        model: the model.
        token: the token.

    Raises:
        InputError: if it is one, as padding in Marian and Pegasus is.
    """
    if not model.named_rows[token] or unembedding_bias(model)[token] <= _SUPPRESSED:
        piece = pieces_of(model.tokenizer, [token])[0]
        raise InputError(
            f"{piece} is a row of the vocabulary that this model never writes, so its logit says nothing; give another."
        )


def _chosen(
    model: HookedEncoderDecoder, logits: Logits, tokens: Int[Tensor, "batch target"]
) -> Float[Tensor, "batch target"]:
    return uncapped(model, at_least_float32(logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)))


def at_least_float32(tensor: Tensor) -> Tensor:
    """A copy of the tensor in float32, or itself if it is no narrower: half-precision activations are decomposed in float32.

    Args:
        tensor: any tensor.
    """
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


_Terms = tuple[Tensor, Tensor, Tensor]
"""Direction, what the last norm's bias adds, what the unembedding's bias adds."""


def _token(model: HookedEncoderDecoder, tokens: Int[Tensor, "batch target"]) -> _Terms:
    rows, bias = unembedding(model)[tokens], unembedding_bias(model)[tokens]
    return _terms(model, at_least_float32(rows), at_least_float32(bias))


def _terms(model: HookedEncoderDecoder, rows: Float[Tensor, "*rows d_model"], bias: Float[Tensor, "*rows"]) -> _Terms:
    """Of a linear read-out of the decoder's output, before the logit scale."""
    last, scale = last_norm(model.cfg, "decoder"), model.cfg.logit_scale
    gain, norm = at_least_float32(norm_gain(model, last)), at_least_float32(output_bias(model, last))
    return scale * gain * rows, scale * rows @ norm, bias


def _difference(values: Tensor, one: _Terms, other: _Terms) -> Readout:
    directions, *biases = (first - second for first, second in zip(one, other, strict=True))
    return Readout(directions, values, *biases)
