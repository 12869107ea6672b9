"""One run of a model at a time: what is attached for a run would see the passes of other threads."""

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, Protocol, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


class RunsAlone(Protocol):
    """What makes one run at a time; the thread that runs may run again, as a hook function does that calls its model."""

    running: RLock


def one_run_at_a_time(method: Method) -> Method:
    """The method, for which other threads wait until no other one runs.

    Args:
        method: of a class with a lock `running`.
    """

    @wraps(method)
    def alone(self: RunsAlone, *given: Any, **named: Any) -> Any:
        with self.running:
            return method(self, *given, **named)

    return cast(Method, alone)
