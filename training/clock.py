"""How much of the budget is spent: steps, or seconds of computing that pauses do not count.

A run that shares its machine may be stopped and continued. Wall time would then jump, and with it the step size; so a step's
duration counts at most `STEP_CAP` seconds, and time between two processes of one run counts nothing. A run that goes on with
another budget keeps its place in the schedule: what is left of the schedule is spread over what is left of the budget.
"""

from dataclasses import dataclass

from interp.errors import InputError

STEP_CAP = 3.0
"""Seconds: about ten times a step of the bundled recipe on two CPU cores."""

ClockState = dict[str, float | int | None]


@dataclass(slots=True)
class BudgetClock:
    """Counts a budget in steps or in seconds of computing.

    Attributes:
        steps: the budget in optimizer steps, or None.
        seconds: the budget in seconds of computing, or None.
        taken: steps counted so far.
        spent: seconds counted so far.
        since: steps or seconds counted when the present budget was set.
        before: progress at that time.

    Raises:
        InputError: unless exactly one of `steps` and `seconds` is given, above 0.
    """

    steps: int | None = None
    seconds: float | None = None
    taken: int = 0
    spent: float = 0.0
    since: float = 0.0
    before: float = 0.0

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
        """Share of the schedule done, 0 to 1: the share of the budget spent, where the budget was never changed."""
        budget = self.steps if self.seconds is None else self.seconds
        assert budget is not None
        left = budget - self.since
        if left <= 0:
            return 1.0
        return min(1.0, self.before + (1.0 - self.before) * (self._used - self.since) / left)

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.progress >= 1.0

    def state(self) -> ClockState:
        """What `resume` needs."""
        return {name: getattr(self, name) for name in self.__slots__}

    def resume(self, state: ClockState) -> None:
        """Goes on from where the clock of `state` stood, with this clock's budget."""
        steps, seconds = self.steps, self.seconds
        for name, value in state.items():
            setattr(self, name, value)
        if (steps, seconds) != (self.steps, self.seconds):
            before = self.progress
            self.steps, self.seconds = steps, seconds
            self.since, self.before = self._used, before

    @property
    def _used(self) -> float:
        return self.taken if self.seconds is None else self.spent
