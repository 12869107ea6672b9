"""Values that are empty or blank: nothing is called so; as paths, they would be the current folder, or one that nobody sees."""

from typing import Any

import typer
from typer.core import TyperCommand

from analyses.commands.messages import BAD_INPUT, say

_MAY_BE_EMPTY = ("prefix", "target_prefix", "reverse_prefix")
"""Texts before a text, of which none is one."""


class Command(TyperCommand):
    """A command that refuses empty and blank values, before they are read as paths, which would hide that they are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the words of the command line; leaves with exit code 2 if a value is empty or blank."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in self.get_params(ctx):
            value = given.get(str(parameter.name))
            values = value if isinstance(value, list | tuple) else (value,)
            blank = [one for one in values if isinstance(one, str) and not one.strip()]
            if blank and parameter.name not in _MAY_BE_EMPTY and not ctx.resilient_parsing:
                _refuse(parameter, "blank" if blank[0] else "empty")
        return super().parse_args(ctx, args)


def _refuse(parameter: Any, what: str) -> None:
    if parameter.param_type_name == "option":
        say(f"Error: {max(parameter.opts, key=len)} is {what}; give it a value, or leave the option out.", err=True)
    else:
        say(f"Error: {str(parameter.name).upper()} is {what}; give it a value.", err=True)
    raise typer.Exit(BAD_INPUT)
