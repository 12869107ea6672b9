"""What one prompt says about the geometry of every contextual space.

Counted are the tokens of the sentence itself: no task prefix, no end of sentence, no padding; in the decoder the input tokens
after the start token, but for ends of sentence and marks that stand for no text (BART's `<s>`, languages). Of these, x of unit
length x̂, a prompt gives in every space

    mean_direction      mean of x̂; products of two prompts' are the mean cosine of their tokens   Ethayarajh 2019
    mean_state          mean of x
    intra_similarity    mean cos(x, mean of x)                                                     Ethayarajh 2019

and the key of its sentence, so that a sentence is never compared with itself.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analyses.core.contract import Arrays, Pass
from analyses.core.keys import sentence_keys
from analyses.embedding_geometry.measure.spaces import decoder_states, encoder_states
from interp.text.batch import Batch
from interp.text.words import CONTENT, EOS, FUNCTION, PREFIX, PUNCTUATION

_SENTENCE = (CONTENT, FUNCTION, PUNCTUATION)


def observe(run: Pass) -> Arrays:
    """Numbers per prompt, see the module; spaces are those of the encoder, then those of the decoder.

    Returns:
        `mean_direction` and `mean_state` [prompt space d_model], `intra_similarity` [prompt space], NaN where a prompt has
        no token to count; the key of the `sentence`.
    """
    source = torch.isin(run.batch.source_categories, torch.tensor(_SENTENCE, device=run.batch.input_ids.device))
    parts = [
        _describe(encoder_states(run.model, run.cache), source & run.batch.source_mask),
        _describe(decoder_states(run.model, run.cache), _counted_targets(run.batch)),
    ]
    names = ("mean_direction", "mean_state", "intra_similarity")
    arrays = {
        name: torch.cat([part[index] for part in parts], dim=1).cpu().numpy().astype(np.float32)
        for index, name in enumerate(names)
    }
    return arrays | {"sentence": sentence_keys(run.batch)}


def _counted_targets(batch: Batch) -> Bool[Tensor, "batch target"]:
    """Decoder rows that read a token of the target's text; row t reads what row t - 1 predicts, whatever row 0 starts with."""
    counted = batch.target_mask.clone()
    counted[:, 0] = False
    for row, text in enumerate(batch.target_texts):
        marks = [place for place, kind in enumerate(text.category_of_token) if kind in {PREFIX, EOS}]
        counted[row, [place + 1 for place in marks if place + 1 < counted.shape[1]]] = False
    return counted


def _describe(
    states: Float[Tensor, "space batch pos d_model"], counted: Bool[Tensor, "batch pos"]
) -> tuple[Float[Tensor, "batch space d_model"], Float[Tensor, "batch space d_model"], Float[Tensor, "batch space"]]:
    """Mean direction, mean state and intra-sentence similarity of the counted tokens."""
    weights = counted.to(states.dtype)
    number = weights.sum(1)
    number = torch.where(number > 0, number, torch.nan)[None, :, None]
    directions = torch.nn.functional.normalize(states, dim=-1)
    mean_direction = torch.einsum("s b p d, b p -> s b d", directions, weights) / number
    mean_state = torch.einsum("s b p d, b p -> s b d", states, weights) / number
    towards_mean = torch.einsum(
        "s b p d, s b d -> s b p", directions, torch.nn.functional.normalize(mean_state, dim=-1)
    )
    similarity = torch.einsum("s b p, b p -> s b", towards_mean, weights) / number[..., 0]
    return mean_direction.transpose(0, 1), mean_state.transpose(0, 1), similarity.T
