"""Choices: what a user wrote becomes a checked model, or one sentence that says which choice is wrong and what is near it."""

import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from interp.errors import InputError, did_you_mean

Choices = TypeVar("Choices", bound=BaseModel)


def choose(kind: type[Choices], choices: Mapping[str, Any], what: str) -> Choices:
    """A model of a kind, from names and values that a user gave.

    Args:
        kind: the model's class.
        choices: field -> value.
        what: how one of them is called in a message: `setting`, `setting of head_specialization`.

    Raises:
        InputError: in one sentence, about the first choice that is not allowed.
    """
    for name, value in choices.items():
        # Python and YAML take true for 1.
        if (
            isinstance(value, bool)
            and name in kind.model_fields
            and not _may_be_bool(kind.model_fields[name].annotation)
        ):
            raise InputError(f"{name} = {value} is not allowed as {what}: a truth value is no number and no text.")
    try:
        return kind(**choices)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise cause from error
        raise InputError(_sentence(first, kind, what)) from error


def _may_be_bool(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(_may_be_bool(part) for part in get_args(annotation))


def _sentence(error: ErrorDetails, kind: type[BaseModel], what: str) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = ", ".join(kind.model_fields) or "none"
        return f"There is no {what} {name!r}{did_you_mean(name, kind.model_fields)}; known are: {known}."
    return f"{name} = {reprlib.repr(error['input'])} is not allowed as {what}: {error['msg']}."
