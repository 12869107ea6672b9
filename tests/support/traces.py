"""The tiny traces that are committed, and a run in which one head changes its role at a known step."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from tests.support.paths import ROOT

TRACES = ROOT / "training" / "traces"
PROMPTS, GOLD, PAIRS = TRACES / "prompts.jsonl", TRACES / "prompts.gold", TRACES / "pairs.jsonl"

PREVIOUS, NEXT = 1, 17
"""Buckets of a bidirectional T5: the key before the query, and the key behind it."""

HEAD, LAYER = 2, 0
_SIZE = 12
_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"


def planted_run(folder: Path, steps: tuple[int, ...], turns_at: int, planted_from: int = 0) -> Path:
    """Copies of one untrained checkpoint, in which EL0H2 reads the previous token and from step `turns_at` on the next one.

    Its queries and keys are zero, so that the position bias alone decides; all else is the same at every step.

    Args:
        folder: where to write the run.
        steps: names of the copies.
        turns_at: the first step of the second role.
        planted_from: the first step at which the head has a role at all.
    """
    for step in steps:
        place = folder / f"step-{step}"
        shutil.copytree(TRACES / "seed-0" / "step-0", place)
        tensors = load_file(place / "model.safetensors")
        tensors[_BIAS] = tensors[_BIAS].clone()
        tensors[_BIAS][:, HEAD] = 0.0
        if step >= planted_from:
            tensors[_BIAS][NEXT if step >= turns_at else PREVIOUS, HEAD] = 40.0
        for projection in "qk":
            name = f"encoder.block.{LAYER}.layer.0.SelfAttention.{projection}.weight"
            tensors[name] = tensors[name].clone()
            tensors[name][HEAD * _SIZE : (HEAD + 1) * _SIZE] = 0.0
        save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
    return folder
