"""Paired runs: two models on the same texts, both in full, and the page that compares them. All input and output is here.

    OUT/index.html, OUT/tables/      the comparison (`analyses.runs.compare_models_report`)
    OUT/first/, OUT/second/          the two runs, as `interp run` writes them
    OUT/comparison.json              hashes of the comparison's own files and the digests of the runs

The folder is built beside its place and renamed at the end, so a comparison is whole or not there.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analyses.core.observing import Advance
from analyses.runs.compare_models_report import FIRST, SECOND, Side, as_lines, numbers, side_by_side, without_prefix
from analyses.runs.config import RunConfig
from analyses.runs.inputs import choose_analyses, read_inputs, read_prompt_set, reading_order
from analyses.runs.manifest import canonical_json, content_hashes
from analyses.runs.run_folder import check_place
from analyses.runs.runner import carry_out, threads_for
from analyses.runs.verify import read_manifest
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.loading import find_checkpoint, load_checkpoint
from interp.model.untrained_twins import untrained_twin
from interp.prompts import PromptSet
from interp.report import render

RECORD = "comparison.json"

_UNTRAINED = re.compile(r"untrained:(\d{1,9})")


def compare_models(first: str, second: str, config: RunConfig, out: Path, overwrite: bool, advance: Advance) -> Path:
    """Run both models in full and write the page that compares them.

    Args:
        first: `bundled`, a folder, a hub id, or `untrained:SEED` for the other model with weights drawn anew.
        second: the same.
        config: everything but the model.
        out: the comparison's folder.
        overwrite: replace a comparison that is already there.
        advance: progress.

    Returns:
        The path of the comparison's `index.html`.

    Raises:
        InputError: if a model, the prompts or the folder cannot be used; nothing is left behind.
    """
    _check_place(out, overwrite)
    prompts = read_prompt_set(config.prompts, config.limit)
    with tempfile.TemporaryDirectory(prefix="interp-compare-") as desk, _built(out) as folder:
        models = _models((first, second), config, Path(desk))
        names = _distinct(models[0].name, models[1].name)
        sides = [
            _run(models[index], names[index], place, prompts, config, Path(desk), folder, advance)
            for index, place in enumerate((FIRST, SECOND))
        ]
        titles = {item.analysis.name: (item.analysis.title, item.analysis.question) for item in choose_analyses(config)}
        with threads_for(sides[0].model):
            files = render(side_by_side(sides[0], sides[1], titles))
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
            found[index] = _Model(checkpoint.name, name, load_checkpoint(checkpoint, config.device, config.dtype))
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
    advance: Advance,
) -> Side:
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
    found: dict[str, Mapping[str, np.ndarray]] = {}
    carry_out(
        inputs,
        folder / place,
        overwrite=False,
        advance=lambda what, done, total: advance(f"{name}: {what}", done, total),
        loaded=model.model,
        keep=lambda observed: found.update(numbers(observed, order)),
    )
    findings = _findings(folder / place)
    return Side(name, place, model.model, asked.model_copy(update={"prompts": config.prompts}), own, findings, found)


def _findings(folder: Path) -> dict[str, list[str]]:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {name: section["findings"] for name, section in results.items()}


def _distinct(one: str, two: str) -> tuple[str, str]:
    return (one, two) if one != two else (f"{one} ({FIRST})", f"{two} ({SECOND})")


def _check_place(out: Path, overwrite: bool) -> None:
    if overwrite and (out / RECORD).is_file():
        return
    check_place(out, overwrite=False)


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
