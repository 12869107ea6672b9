"""What the analyses found in a model, into its card: `python -m training.found --run RUN --card FOLDER`.

The run is one of `interp run` on the exported weights; its own plain sentences are what the card says.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyses.runs.manifest import Manifest
from analyses.runs.verify import OpenedRun, open_run
from interp.errors import InputError
from training.export import digest, write_digests

HEADING = "## What the analyses found in it"
_NEXT = "## Weaknesses"
"""The part of the card that it stands before."""


def found_section(run: OpenedRun, manifest: Manifest) -> str:
    """The part of a card that tells what a run's sections say first.

    Args:
        run: the run.
        manifest: its manifest.
    """
    results = json.loads(run.read("results.json"))
    told = [
        line
        for name, section in results.items()
        if name in manifest.config["analyses"]
        for line in (f"- {section['question']}", *(f"  - {sentence}" for sentence in _sentences(section)))
    ]
    head = (
        f"`{manifest.command}` on {manifest.prompts.count} prompts of {manifest.prompts.sentences} sentences, "
        f"{len(manifest.twin_seeds)} untrained twins; in\nbrackets 95 % intervals over sentences. No head was trained to please."
    )
    return "\n".join([HEADING, "", head, "", *told, "", ""])


def _sentences(section: Mapping[str, Any]) -> list[str]:
    """The section's headline with how sure it is, in the words of the finding that has its interval, and the other findings."""
    headline, sureness = section["headline"]["sentence"], section["headline"]["sureness"]
    same = [one for one in section["highlights"] if one.startswith(headline.rstrip("."))]
    first = (same or [headline])[0].rstrip(".")
    return [f"{first} ({sureness}).", *(one for one in section["highlights"] if one not in same)]


def tell(run: Path, folder: Path) -> None:
    """Writes what a run found into the card of the model that it was made of, in the place of what stood there.

    Args:
        run: folder of the run.
        folder: checkpoint folder with its card.

    Raises:
        InputError: if the run is none, was changed or is of other weights, or if the folder has no card of `training.export`.
    """
    card = folder / "MODEL_CARD.md"
    if not card.is_file() or _NEXT not in card.read_text(encoding="utf-8"):
        raise InputError(f"There is no card with a part {_NEXT!r} in {str(folder)!r}. Export the model first.")
    opened = open_run(run)
    if not isinstance(opened.manifest, Manifest):
        raise InputError(f"{str(run)!r} is a comparison or a trace; give a run of one model, of `interp run`.")
    of, own = opened.manifest.model.files.get("model.safetensors"), digest(folder / "model.safetensors")
    if of != own:
        raise InputError(
            f"The run is of the weights {of}, but {str(folder)!r} holds {own}. Run the analyses on the exported folder."
        )
    text = re.sub(rf"{HEADING}\n.*?(?={_NEXT})", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
    card.write_text(text.replace(_NEXT, found_section(opened, opened.manifest) + _NEXT, 1), encoding="utf-8")
    write_digests(folder)


def main() -> None:
    """Reads the command line and writes the card."""
    parser = argparse.ArgumentParser(prog="python -m training.found", description="Tell in a card what a run found.")
    parser.add_argument("--run", type=Path, required=True, help="folder of a run of the exported weights")
    parser.add_argument("--card", type=Path, required=True, help="the exported folder")
    given = parser.parse_args()
    try:
        tell(given.run, given.card)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
