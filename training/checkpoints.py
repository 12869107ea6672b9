"""Folders that any transformers loads: weights, configuration and tokenizer of one moment of a run.

A run may keep some of its moments as `step-N`, N the optimizer steps taken. They are chosen by their number alone (`kept_steps`),
so that runs with other budgets keep the same ones.
"""

import json
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, PreTrainedTokenizerBase, T5ForConditionalGeneration

from training.recipe import Recipe
from training.tokenizer import MODEL_MAX_LENGTH

Storage = Literal["bfloat16", "float32"]


def write_model(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, folder: Path, storage: Storage
) -> None:
    """Writes weights, configuration and tokenizer to `folder`.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        folder: where to write; made if absent.
        storage: number type of the stored weights; `config.json` says float32, so that plain loading computes in float32.
    """
    model.generation_config = GenerationConfig(
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, max_new_tokens=MODEL_MAX_LENGTH
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = folder / "model.safetensors"
    tensors = {name: tensor.to(getattr(torch, storage)) for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors leaves the file readable by its owner alone.


def is_kept(step: int, first: int) -> bool:
    """Whether the moment after `step` steps is kept: 0, `first`, and every doubling of `first`; none where `first` is 0."""
    if first <= 0 or step == 0:
        return first > 0
    doublings, rest = divmod(step, first)
    return rest == 0 and doublings.bit_count() == 1


def read_recipe(run: Path) -> Recipe:
    """The recipe of the run in `run`; a field that its file lacks, as in older runs, has its default."""
    fields = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    return Recipe.of([f"{name}={json.dumps(value)}" for name, value in fields.items()])
