"""One training run in a folder: its model and optimizer, where it stands, one step, and how it is saved and resumed.

The folder holds `recipe.json`, `origin.json` (digests of what it was trained on and from), `tokenizer/`, `log.jsonl` (one line
every 50 steps) and `checkpoint.pt`, and where moments are kept their folders `step-N`.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from interp.errors import InputError
from interp.output_files import part_of, write_whole
from training.board import Board
from training.checkpoints import write_model
from training.clock import BudgetClock
from training.data import Example, collate
from training.objective import batch_loss
from training.recipe import Recipe
from training.workers import Workers


def uses_bfloat16(recipe: Recipe, device: torch.device) -> bool:
    """Whether matrix products on `device` are of bfloat16; with `auto`, where an accelerator has it."""
    if recipe.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return recipe.precision == "bfloat16"


@dataclass
class Run:
    """A training run.

    Attributes:
        folder: where its files are.
        recipe: its hyperparameters.
        model: the model in training.
        optimizer: one group for each parameter.
        scales: by what the schedule's rate is multiplied for each parameter, in the optimizer's order.
        clock: its budget.
        workers: the processes that compute it.
        epoch: the epoch of the next batch.
        batch: batches of that epoch already seen.
        losses: smoothed losses since the last line of the log.
        duration: seconds that the last step took in this process.
        board: where lines of the log go too, or None.
    """

    folder: Path
    recipe: Recipe
    model: T5ForConditionalGeneration
    optimizer: torch.optim.Optimizer
    scales: list[float]
    clock: BudgetClock
    workers: Workers
    epoch: int = 0
    batch: int = 0
    losses: list[float] = field(default_factory=list)
    duration: float = 0.0
    board: Board | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.model.device
        return device

    def step(self, *batches: Sequence[Example]) -> None:
        """One optimizer step on all of `batches`, whose gradients are added up one batch after another, counted by the clock."""
        began = time.monotonic()
        rate = self.recipe.rate(self.clock.taken, self.clock.progress)
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = rate * scale
        parts = [part for batch in batches if (part := self.workers.share(batch))]
        part_tokens = sum(len(example.target) for part in parts for example in part)
        part_loss = sum(self._backward(part) for part in parts)
        parameters = list(self.model.parameters())
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        # Processes must agree on the clock, so each step counts the time that the one before it took everywhere.
        tokens, total, duration = self.workers.sum(gradients, part_tokens, part_loss, self.duration)
        torch._foreach_div_(gradients, tokens)
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses.append(total / tokens)
        self.clock.count(duration / self.workers.size)
        self.duration = time.monotonic() - began

    def _backward(self, part: Sequence[Example]) -> float:
        half = uses_bfloat16(self.recipe, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = batch_loss(self.model, collate(part, self.device), self.recipe.label_smoothing)
        loss.backward()
        return loss.item()

    def save(self) -> None:
        """Writes the checkpoint; the previous one stays until the new one is complete."""
        generators = self.workers.gather(torch.get_rng_state())
        on_device = torch.cuda.get_rng_state() if self.device.type == "cuda" else torch.empty(0, dtype=torch.uint8)
        device_generators = self.workers.gather(on_device)
        if not self.workers.first:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": generators,
            "device_generators": device_generators,
            "clock": self.clock.state(),
            "epoch": self.epoch,
            "batch": self.batch,
            "losses": self.losses,
        }
        path = self.folder / "checkpoint.pt"
        torch.save(state, part_of(path))
        part_of(path).replace(path)

    def resume(self) -> bool:
        """Goes back to the folder's checkpoint, dropping later lines of the log; False where there is none.

        Raises:
            InputError: if another number of processes wrote it.
        """
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True, map_location="cpu")
        if len(state["generators"]) != self.workers.size:
            raise InputError(
                f"The checkpoint in {str(self.folder)!r} was written by {len(state['generators'])} processes, but this run has "
                f"{self.workers.size}. Start as many."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["generators"][self.workers.rank])
        on_device = state.get("device_generators", [torch.empty(0)] * self.workers.size)[self.workers.rank]
        if self.device.type == "cuda" and len(
            on_device
        ):  # Empty where the checkpoint was written without an accelerator.
            torch.cuda.set_rng_state(on_device)
        self.clock.resume(state["clock"])
        self.epoch, self.batch, self.losses = state["epoch"], state["batch"], state["losses"]
        log = self.folder / "log.jsonl"
        if self.workers.first and log.exists():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= self.clock.taken]
            write_whole(log, "".join(kept).encode())
        return True

    def keep(self, folder: Path) -> None:
        """Writes the weights as they are now to `folder`, as bfloat16, with configuration and tokenizer."""
        if self.workers.first:
            write_model(self.model, AutoTokenizer.from_pretrained(self.folder / "tokenizer"), folder, "bfloat16")

    def log(self, held_out: Mapping[str, float]) -> None:
        """Appends a line to the log.

        It holds the clock, the epoch, the schedule's rate, the mean smoothed loss since the line before (null before the first
        step), the loss on held-out translations (null where not measured), and `tasks`, the losses on other tasks' held-out
        examples by name.
        """
        translation = held_out.get("translation", math.nan)
        line = {
            "step": self.clock.taken,
            "seconds": round(self.clock.spent, 1),
            "epoch": self.epoch,
            "progress": round(self.clock.progress, 4),
            "rate": self.recipe.rate(self.clock.taken, self.clock.progress),
            "loss": round(sum(self.losses) / len(self.losses), 4) if self.losses else None,
            "held_out": None if math.isnan(translation) else round(translation, 4),
            "tasks": {name: round(loss, 4) for name, loss in held_out.items() if name != "translation"},
        }
        self.losses.clear()
        if self.workers.first:
            with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            if self.board is not None:
                self.board.write(line)
