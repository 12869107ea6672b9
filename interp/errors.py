"""The one exception that means "the input is at fault": the command line turns it into one sentence and exit code 2."""


class InputError(ValueError):
    """A user-facing error: the message says what was wrong, what was got, what is allowed, and what to do."""
