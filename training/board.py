"""The log as TensorBoard event files, for whoever watches a run there; `log.jsonl` says the same without it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interp.errors import InputError


class Board:
    """Writes lines of a run's log as TensorBoard scalars.

    Args:
        folder: where the event files are kept.
        step: steps already taken; what an earlier process wrote after them is hidden.

    Raises:
        InputError: if tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "Event files need tensorboard. Install it with `pip install tensorboard`, or leave out --tensorboard."
            ) from error
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, line: Mapping[str, Any]) -> None:
        """One line of the log: training loss, step size, and held-out losses by task, where they are known."""
        values = {
            "loss/training": line["loss"],
            "rate": line["rate"],
            "held_out/translation": line["held_out"],
            **{f"held_out/{name}": loss for name, loss in line["tasks"].items()},
        }
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, line["step"])
        self._writer.flush()

    def close(self) -> None:
        """Ends the event file."""
        self._writer.close()
