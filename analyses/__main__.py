"""The `interp` command from its first moment on: whoever interrupts it while it still imports ends it quietly with exit code 130.

Nothing is written yet then, so that there is nothing to tidy. An import that is interrupted by an exception may hide or rename
it, and would print a traceback.
"""

import os
import signal
import sys

_INTERRUPTED = 130


def _leave(*_: object) -> None:
    os._exit(_INTERRUPTED)


def main() -> None:
    """Entry point of the `interp` command."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever started this wants it ignored
    if heard:
        signal.signal(signal.SIGINT, _leave)
    from analyses.cli import main as command

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command()
    except KeyboardInterrupt:  # before a command began, whose own end says more
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
