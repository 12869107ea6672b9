"""Two models on the same texts, both in full, and the page that compares them. All input and output is here.

    OUT/index.html, OUT/tables/      the comparison (`analyses.runs.compare_models_report`)
    OUT/first/, OUT/second/          the two runs, as `interp run` writes them
    OUT/comparison.json              hashes of the comparison's own files and the digests of the runs

The folder is built beside its place and renamed at the end, so a comparison is whole or not there.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analyses.core.observing import Progress
from analyses.runs.compare_models_report import (
    PLACES,
    ComparedModel,
    Numbers,
    as_lines,
    comparison_report,
    numbers_by_prompt,
    without_prefix,
)
from analyses.runs.config import RunConfig
from analyses.runs.inputs import choose_analyses, read_inputs, read_prompt_set, reading_order
from analyses.runs.manifest import canonical_json, content_hashes
from analyses.runs.run_folder import check_place
from analyses.runs.runner import load_for, run_inputs, threads_for
from analyses.runs.verify import read_manifest
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.prompts import PromptSet
from interp.report import render

RECORD = "comparison.json"

_UNTRAINED = re.compile(r"untrained:(\d{1,9})")


def compare_two_models(
    first: str, second: str, config: RunConfig, out: Path, overwrite: bool, progress: Progress
) -> Path:
    """Run both models in full and write the page that compares them.

    Args:
        first: `bundled`, a folder, a hub id, or `untrained:SEED` for the other model with weights drawn anew.
        second: the same.
        config: everything but the model.
        out: the comparison's folder.
        overwrite: replace a comparison that is already there.
        progress: called as the work goes on.

    Returns:
        The path of the comparison's `index.html`.

    Raises:
        InputError: if a model, the prompts or the folder cannot be used; nothing is left behind.
    """
    if not (overwrite and (out / RECORD).is_file()):
        check_place(out, overwrite=False)
    prompts = read_prompt_set(config.prompts, config.limit)
    with tempfile.TemporaryDirectory(prefix="interp-compare-") as desk, _built(out) as folder:
        models = _models((first, second), config, Path(desk))
        alike = models[0].name == models[1].name
        names = [f"{one.name} ({place})" if alike else one.name for one, place in zip(models, PLACES, strict=True)]
        sides = [
            _run(models[index], names[index], place, prompts, config, Path(desk), folder, progress)
            for index, place in enumerate(PLACES)
        ]
        analyses = [item.analysis for item in choose_analyses(config)]
        with threads_for(sides[0].model):
            files = render(comparison_report(sides[0], sides[1], analyses))
        record = {
            "files": content_hashes(files),
            **{side.folder: read_manifest(folder / side.folder).digest for side in sides},
        }
        for name, content in {**files, RECORD: canonical_json(record)}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return out / "index.html"


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    name: str
    asked: str
    model: HookedEncoderDecoder


def _models(asked: tuple[str, str], config: RunConfig, desk: Path) -> tuple[_Model, _Model]:
    """Both models, an untrained one as a checkpoint in a folder of its own."""
    drawn = [_UNTRAINED.fullmatch(name) for name in asked]
    if all(drawn):
        raise InputError(
            "Both models are untrained; name a checkpoint beside `untrained:SEED`, which takes its architecture."
        )
    wrong = [name for name, match in zip(asked, drawn, strict=True) if name.startswith("untrained") and match is None]
    if wrong:
        raise InputError(f"{wrong[0]!r} names no untrained model; write `untrained:` and a seed, such as untrained:0.")
    found: dict[int, _Model] = {}
    for index in sorted(range(2), key=lambda place: drawn[place] is not None):
        match, name = drawn[index], asked[index]
        if match is None:
            checkpoint = find_checkpoint(name)
            found[index] = _Model(checkpoint.name, name, load_for(config, checkpoint))
        else:
            twin = untrained_twin(found[1 - index].model, int(match[1]))
            place = desk / name.replace(":", "-")
            twin.hf.save_pretrained(place)
            assert twin.tokenizer is not None
            twin.tokenizer.save_pretrained(place)
            found[index] = _Model(name, str(place), twin)
    return found[0], found[1]


def _run(
    model: _Model,
    name: str,
    place: str,
    prompts: PromptSet,
    config: RunConfig,
    desk: Path,
    folder: Path,
    progress: Progress,
) -> ComparedModel:
    """One model's full run, on prompts as it reads them."""
    own = prompts.prompts
    source = config.prompts
    if not model.model.cfg.reads_prefixes:
        own = tuple(without_prefix(prompt) for prompt in own)
        source = str(desk / f"{Path(prompts.name).stem}-without-prefixes.jsonl")
    elif config.prompts == "-":
        source = str(desk / "stdin.jsonl")
    if source != config.prompts:
        Path(source).write_text(as_lines(own), encoding="utf-8")
    asked = config.model_copy(update={"model": model.asked, "prompts": source})
    inputs = read_inputs(asked)
    order = reading_order(inputs.prompts.prompts)
    found: dict[str, Numbers] = {}
    run_inputs(
        inputs,
        folder / place,
        overwrite=False,
        progress=lambda what, done, total: progress(f"{name}: {what}", done, total),
        loaded=model.model,
        keep=lambda item, observed: found.update({item.name: numbers_by_prompt(observed, item.analysis.arrays, order)}),
    )
    results = json.loads((folder / place / "results.json").read_text(encoding="utf-8"))
    findings = {name: section["findings"] for name, section in results.items()}
    config = asked.model_copy(update={"prompts": config.prompts})
    return ComparedModel(name, place, model.model, config, own, findings, found)


@contextmanager
def _built(out: Path) -> Iterator[Path]:
    """A folder beside its place, renamed when the work is done and removed when it fails."""
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    try:
        yield folder
        folder.chmod(0o755)
        if out.is_dir():
            shutil.rmtree(out)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
