"""Where training starts: fresh weights, a checkpoint as it is, or one that is grown to the run's vocabulary and width.

A piece that both vocabularies have keeps its embedding; a new piece gets the mean of the embeddings of the pieces that the old
tokenizer makes of it, so that a whole word starts as the average of its parts. New neurons read as fresh ones do and write
nothing yet, so that the grown model computes what the old one did (Chen, Goodfellow, Shlens 2016, arXiv:1511.05641).
"""

import json
from pathlib import Path

import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration, T5Tokenizer

from interp.errors import InputError
from training.recipe import Recipe

_SHAPE = ("d_model", "d_kv", "num_layers", "num_decoder_layers", "num_heads", "feed_forward_proj")
_READING = (".wi.weight", ".wi_0.weight", ".wi_1.weight")
_WRITING = ".wo.weight"
_EMBEDDINGS = ("shared.weight", "lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


def grown_model(recipe: Recipe, tokenizer: T5Tokenizer, start: Path | None) -> T5ForConditionalGeneration:
    """The model that training starts from, its attention implemented eagerly.

    Args:
        recipe: shape of the model; its weights are drawn from torch's generator where there is no `start`.
        tokenizer: the run's tokenizer.
        start: a checkpoint folder, or None for fresh weights.

    Raises:
        InputError: if the output layer is untied, or the checkpoint's shape is not the recipe's, vocabulary aside, or its
            feed-forward layers are wider.
    """
    model = fresh_model(recipe.config(), recipe.tied)
    if start is None:
        return model
    if not recipe.tied:
        raise InputError("Only a T5 with a tied output layer can be grown. Set tied to true, or fine-tune it as it is.")
    old = T5ForConditionalGeneration.from_pretrained(start)
    for name in _SHAPE:
        had, wanted = getattr(old.config, name), getattr(model.config, name)
        if had != wanted:
            raise InputError(
                f"The checkpoint in {str(start)!r} has {name} {had}, but the recipe asks for {wanted}. Make them equal."
            )
    if old.config.d_ff > model.config.d_ff:
        raise InputError(
            f"The checkpoint in {str(start)!r} has d_ff {old.config.d_ff}, but the recipe asks for {model.config.d_ff}. Raise "
            "d_ff: neurons can be added, not taken away."
        )
    grown = _grown_embedding(old.shared.weight.detach(), AutoTokenizer.from_pretrained(start), tokenizer)
    wider = _widened(old.state_dict(), model.state_dict())
    model.load_state_dict({**wider, **dict.fromkeys(_EMBEDDINGS, grown)})
    return model


def fresh_model(config: T5Config, tied: bool) -> T5ForConditionalGeneration:
    """A model with random weights, its attention implemented eagerly.

    Args:
        config: its shape.
        tied: whether the output layer is the embedding. transformers makes every new T5 so; version 1.1's layer of its own is
            drawn here with standard deviation d_model^-1/2, because its input is not scaled.
    """
    model = T5ForConditionalGeneration._from_config(config, attn_implementation="eager")
    if not tied:
        shape = model.lm_head.weight.shape
        model.lm_head.weight = torch.nn.Parameter(torch.randn(shape) * config.d_model**-0.5)
    return model


def tuned_config(start: Path, dropout: float) -> T5Config:
    """The configuration of the T5 in `start`, with another dropout.

    Raises:
        InputError: if the folder holds no model, or one that is no T5.
    """
    path = start / "config.json"
    if not path.is_file():
        raise InputError(f"There is no config.json in {str(start)!r}. Give the folder of a T5 checkpoint.")
    kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    if kind != "t5":
        raise InputError(f"The model in {str(start)!r} is of type {kind!r}. Only a T5 can be fine-tuned here.")
    config = T5Config.from_pretrained(start)
    config.dropout_rate = dropout
    return config


def tuned_model(config: T5Config, start: Path) -> T5ForConditionalGeneration:
    """The model in `start` as it is, in float32, its attention implemented eagerly."""
    return T5ForConditionalGeneration.from_pretrained(
        start, config=config, dtype=torch.float32, attn_implementation="eager"
    )


def _widened(old: dict[str, torch.Tensor], fresh: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    wider = dict(old)
    for name, weight in old.items():
        if name.endswith(_READING):
            wider[name] = torch.cat([weight, fresh[name][len(weight) :]])
        elif name.endswith(_WRITING):
            added = fresh[name].shape[1] - weight.shape[1]
            wider[name] = torch.cat([weight, weight.new_zeros(len(weight), added)], 1)
    return wider


def _grown_embedding(weight: torch.Tensor, old: T5Tokenizer, new: T5Tokenizer) -> torch.Tensor:
    known = old.get_vocab()
    rows = []
    for piece in new.convert_ids_to_tokens(range(len(new))):
        parts = [piece] if piece in known else old.tokenize(piece.removeprefix("▁"))
        rows.append(weight[old.convert_tokens_to_ids(parts)].mean(0))
    return torch.stack(rows)
