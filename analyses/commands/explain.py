"""The command that explains a prediction by what wrote it."""

from typing import Annotated

import typer

from analyses import options
from analyses.messages import messages, print_table


def attribute(
    source: Annotated[str, typer.Argument(help="Source text with its task prefix.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="Target text; generated if missing.")] = None,
    foil: Annotated[
        str | None,
        typer.Option(
            help="Another target text, or with --position one piece; by default the model's best other token."
        ),
    ] = None,
    position: Annotated[int | None, typer.Option(min=0, help="Decoder row, from 0.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Components shown.")] = 12,
    model: options.Model = "bundled",
) -> None:
    """Show what wrote a predicted token: decoder components, then source tokens through cross-attention. Exact.

    Examples:
    \b
      interp attribute "translate English to German: The dog is running."
      interp attribute "translate English to German: A red car." --target "Ein rotes Auto." --foil "Eine rotes Auto."
    """
    with messages():
        import interp
        from analyses.logit_attribution.attribute import explain

        told = explain(interp.load(model), source, target, foil, position)
        typer.echo(f"target ({told.target_origin}): {told.target}")
        typer.echo(
            f"row {told.position}: {told.label} beats {told.foil} by {told.difference:+.3f} logits; "
            f"gap of the sum {told.gap:.1e} of the largest logit"
        )
        for title, frame in (("Components", told.components.head(top)), ("Source tokens", told.sources)):
            print_table(title, list(map(str, frame.columns)), frame.itertuples(index=False))
