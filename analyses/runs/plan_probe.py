"""How fast this machine is: a layer of each stack of a model, with random numbers, run for ten seconds."""

import time

import torch

from analyses.runs.plan import Work
from interp.families.table import family_of
from interp.model.checkpoints import Checkpoint, read_host_config
from interp.model.footprint import model_without_data, pass_cost
from interp.model.loading import host_config, pick_device

SECONDS = 10.0


def rate_of(checkpoint: Checkpoint, work: Work, batch_size: int, seconds: float = SECONDS) -> float:
    """Operations a second, measured on a layer of each stack with random weights.

    Args:
        checkpoint: the model.
        work: what shall be run.
        batch_size: prompts in a pass.
        seconds: how long.
    """
    host, device = host_config(checkpoint), pick_device("auto")
    attributes = family_of(read_host_config(checkpoint)["model_type"], True).host.attributes
    for depth in ("n_encoder_layers", "n_decoder_layers"):
        setattr(host, attributes[depth], 1)
    dtype: torch.dtype = getattr(torch, work.dtype)
    empty = model_without_data(host)
    operations = pass_cost(empty, batch_size, work.source, work.target, dtype).operations
    model = empty.to_empty(device=device)
    for weight in model.parameters():
        weight.normal_(std=0.02)
    ids = {
        name: torch.ones(batch_size, length, dtype=torch.long, device=device)
        for name, length in (("input_ids", work.source), ("decoder_input_ids", work.target))
    }
    done, started = -1, time.perf_counter()
    with torch.no_grad():
        while done < 1 or time.perf_counter() - started < seconds:
            model(**ids, use_cache=False).logits.sum().item()  # waits for the device
            done += 1
            if done == 0:
                started = time.perf_counter()
    return operations * done / (time.perf_counter() - started)
