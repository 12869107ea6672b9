"""Starting the ranks of one machine, and starting them again when one died."""

import os
import sys
import uuid
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from analyses.engines.ranks import LOST

_MOST_RESTARTS = 100


def launch(words: Sequence[str], workers: int) -> int:
    """The exit code of a command that is run as the ranks of one machine.

    Args:
        words: the command's arguments, behind `interp`.
        workers: how many ranks.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with TemporaryDirectory(prefix="interp-ranks-") as logs:  # torchrun leaves its own where it is
        return _launched(words, workers, logs)


def _launched(words: Sequence[str], workers: int, logs: str) -> int:
    code = 1
    for _ in range(_MOST_RESTARTS):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=workers,
            run_id=str(uuid.uuid4()),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "analyses.cli", *words)
        except ChildFailedError as error:
            codes = {failure.exitcode for failure in error.failures.values()}
            if said := sorted(code for code in codes if code > 0 and code != LOST):
                return said[0]
            code = 1
        except SignalException as error:  # torchrun has ended its ranks
            return 128 + int(error.sigval)
        else:
            return 0
    return code
