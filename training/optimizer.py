"""How parameters move: AdamW with a step size for each, or Adafactor as T5 was trained with.

AdamW's step of a parameter is the schedule's rate times the parameter's root mean square at initialization, after AdamWScale of
nanoT5 (Nawrot 2023, arXiv:2309.02373): T5 draws embeddings with standard deviation 1 but query weights with
(d_model d_kv)^-1/2, so that no single step size suits both. Adafactor (Shazeer and Stern 2018, arXiv:1804.04235) scales by the
root mean square that the parameter has now, and clips each parameter's update; with the schedule `rsqrt`, a peak of 0.01 and
10,000 warm-up steps its steps are those of its own relative schedule, as T5's were.
"""

from typing import Any

import torch
from transformers import T5ForConditionalGeneration
from transformers.optimization import Adafactor

from training.recipe import Recipe

SMALLEST = 1e-3
"""Least root mean square that a step is in proportion to, Adafactor's too, so that what begins at 0 can move."""


def make_optimizer(
    model: T5ForConditionalGeneration, fresh: T5ForConditionalGeneration, recipe: Recipe
) -> tuple[torch.optim.Optimizer, list[float]]:
    """The optimizer, one group for each parameter, and by what the schedule's rate is multiplied in each.

    Args:
        model: the model to train.
        fresh: a model of its shape at initialization.
        recipe: which optimizer, and its numbers.
    """
    own = [bool(recipe.bias_scale) and "relative_attention_bias" in name for name, _ in model.named_parameters()]
    groups: list[dict[str, Any]] = [{"params": [parameter]} for parameter in model.parameters()]
    if recipe.optimizer == "adafactor":
        for group, alone in zip(groups, own, strict=True):
            group["scale_parameter"] = not alone
        optimizer: torch.optim.Optimizer = Adafactor(
            groups, lr=0.0, relative_step=False, weight_decay=recipe.weight_decay
        )
        return optimizer, [recipe.bias_scale if alone else 1.0 for alone in own]
    scales = [
        recipe.bias_scale if alone else max(SMALLEST, parameter.detach().square().mean().sqrt().item())
        for alone, parameter in zip(own, fresh.parameters(), strict=True)
    ]
    adam = torch.optim.AdamW(groups, lr=0.0, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)
    return adam, scales
