"""A run whose answer comes to be at one step, and its last circuit at a later one: compiled models after untrained ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import interp
from analyses.circuits.settings import CircuitSettings
from analyses.trace.circuit_histories import CircuitHistory
from interp.circuits import Circuit, graph_of
from interp.compiled import corrupted_pairs, find_program, plan_of, save
from interp.model import untrained_twin
from interp.patching import PromptPair
from interp.statistics import Interval
from interp.statistics.change_points import NONE
from tests.support.models import tiny

PROGRAM = "noisy-translate"
WEIGHTS = "model.safetensors"


def planted_circuit(folder: Path, steps: tuple[int, ...], answers_at: int, moves_at: int) -> Path:
    """Untrained weights, then a compiled translation whose heads stand in reverse order, then the same in its own order.

    Args:
        folder: where to write the run.
        steps: its steps.
        answers_at: the first step of a compiled model.
        moves_at: the first step at which its heads have their own numbers.
    """
    whole = save(find_program(PROGRAM), folder / f"step-{steps[-1]}")
    own = load_file(whole / WEIGHTS)
    drawn = untrained_twin(interp.load(whole), 0).hf.state_dict()
    untrained = {name: drawn[name].clone() for name in own}
    for step in steps[:-1]:
        place = Path(shutil.copytree(whole, folder / f"step-{step}"))
        if step < moves_at:
            tensors = untrained if step < answers_at else _reversed_heads(own, plan_of(find_program(PROGRAM)).heads())
            save_file(tensors, place / WEIGHTS, metadata={"format": "pt"})
    return folder


def _reversed_heads(tensors: dict[str, torch.Tensor], heads: int) -> dict[str, torch.Tensor]:
    """The same function with head 0 last."""
    found = dict(tensors)
    for name, values in tensors.items():
        leaf = name.split(".")[-2]
        if leaf == "relative_attention_bias":
            found[name] = values.flip(1)
        elif leaf in ("q", "k", "v") and "ttention" in name:
            found[name] = values.unflatten(0, (heads, -1)).flip(0).flatten(0, 1)
        elif leaf == "o" and "ttention" in name:
            found[name] = values.unflatten(1, (heads, -1)).flip(1).flatten(1, 2)
    return {name: values.contiguous().clone() for name, values in found.items()}


def written_inputs(folder: Path, prompts: int = 8, pairs: int = 16) -> tuple[Path, Path]:
    """Files of prompts and of pairs for the program.

    Args:
        folder: where to write them.
        prompts: how many.
        pairs: how many, sources corrupted.
    """
    program, places = find_program(PROGRAM), (folder / "prompts.jsonl", folder / "pairs.jsonl")
    examples = [example for example, _ in zip(program.examples(), range(prompts), strict=False)]
    lines = [{"source": one.source, "target": one.target} for one in examples]
    made = [
        {name: getattr(pair, name) for name in ("clean", "corrupted", "clean_target", "corrupted_target", "row", "id")}
        for pair in corrupted_pairs(plan_of(program), "encoder", pairs)
    ]
    for place, rows in zip(places, (lines, made), strict=True):
        place.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return places


def history_of(moments: int, pairs: int = 8) -> CircuitHistory:
    """A history of made-up numbers, which is there to be changed: all answers turn but those of the first moment.

    Args:
        moments: how many.
        pairs: how many.
    """
    graph, one = graph_of(tiny("t5").cfg), np.ones(moments)
    last = Circuit.of(graph, graph.edges[:3])
    sure = Interval(one, one, one, np.full(moments, pairs))
    return CircuitHistory(
        settings=CircuitSettings(),
        pairs=tuple(PromptPair(str(number), "noun", f"a{number}", f"b{number}", "c", "d") for number in range(pairs)),
        last=last,
        edges=last.edges,
        since=(0,) * 3,
        clean=sure,
        corrupted=sure,
        answers=np.arange(moments) > 0,
        needed=3 * one,
        own=sure,
        kept=sure,
        random=np.zeros((moments, 3)),
        overlap=one,
        by_chance=0.1,
        rank=one,
        changes=NONE,
    )
