"""How much of the budget is spent: steps, or seconds of computing that pauses do not count.

A run that shares its machine may be stopped and continued. Wall time would then jump, and with it the step size; so a step's
duration counts at most `STEP_CAP` seconds, and time between two processes of one run counts nothing.
"""

from dataclasses import dataclass

from interp.errors import InputError

STEP_CAP = 3.0
"""Seconds: about ten times a step of the bundled recipe on two CPU cores."""


@dataclass(slots=True)
class BudgetClock:
    """Counts a budget in steps or in seconds of computing.

    Attributes:
        steps: the budget in optimizer steps, or None.
        seconds: the budget in seconds of computing, or None.
        taken: steps counted so far.
        spent: seconds counted so far.

    Raises:
        InputError: unless exactly one of `steps` and `seconds` is given, above 0.
    """

    steps: int | None = None
    seconds: float | None = None
    taken: int = 0
    spent: float = 0.0

    def __post_init__(self) -> None:
        given = [budget for budget in (self.steps, self.seconds) if budget is not None]
        if len(given) != 1 or given[0] <= 0:
            raise InputError(
                f"A budget is either steps or minutes, above 0; got steps {self.steps} and seconds {self.seconds}. "
                "Give exactly one of --steps and --minutes."
            )

    def count(self, duration: float) -> None:
        """Count one step that took `duration` seconds."""
        self.taken += 1
        self.spent += min(duration, STEP_CAP)

    @property
    def progress(self) -> float:
        """Share of the budget spent, 0 to 1."""
        if self.steps is not None:
            return min(1.0, self.taken / self.steps)
        assert self.seconds is not None
        return min(1.0, self.spent / self.seconds)

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.progress >= 1.0
