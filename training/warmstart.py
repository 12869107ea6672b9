"""Where training starts: fresh weights, or those of a checkpoint whose embedding is grown to the run's vocabulary.

A piece that both vocabularies have keeps its embedding; a new piece gets the mean of the embeddings of the pieces that the old
tokenizer makes of it, so that a whole word starts as the average of its parts.
"""

from pathlib import Path

import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration, T5Tokenizer

from interp.errors import InputError
from training.recipe import Recipe

_SHAPE = ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "feed_forward_proj")
_EMBEDDINGS = ("shared.weight", "lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


def grown_model(recipe: Recipe, tokenizer: T5Tokenizer, start: Path | None) -> T5ForConditionalGeneration:
    """The model that training starts from, its attention implemented eagerly.

    Args:
        recipe: shape of the model; its weights are drawn from torch's generator where there is no `start`.
        tokenizer: the run's tokenizer.
        start: a checkpoint folder, or None for fresh weights.

    Raises:
        InputError: if the checkpoint's shape is not the recipe's, vocabulary aside.
    """
    model = T5ForConditionalGeneration._from_config(recipe.config(), attn_implementation="eager")
    if start is None:
        return model
    old = T5ForConditionalGeneration.from_pretrained(start)
    for name in _SHAPE:
        had, wanted = getattr(old.config, name), getattr(model.config, name)
        if had != wanted:
            raise InputError(
                f"The checkpoint in {str(start)!r} has {name} {had}, but the recipe asks for {wanted}. Make them equal."
            )
    grown = _grown_embedding(old.shared.weight.detach(), AutoTokenizer.from_pretrained(start), tokenizer)
    model.load_state_dict({**old.state_dict(), **dict.fromkeys(_EMBEDDINGS, grown)})
    return model


def _grown_embedding(weight: torch.Tensor, old: T5Tokenizer, new: T5Tokenizer) -> torch.Tensor:
    known = old.get_vocab()
    rows = []
    for piece in new.convert_ids_to_tokens(range(len(new))):
        parts = [piece] if piece in known else old.tokenize(piece.removeprefix("▁"))
        rows.append(weight[old.convert_tokens_to_ids(parts)].mean(0))
    return torch.stack(rows)
