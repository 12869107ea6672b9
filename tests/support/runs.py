"""Folders that look like runs, made without running anything."""

from collections.abc import Mapping
from pathlib import Path

from analyses.runs.manifest import LOG, MANIFEST, Manifest, ModelRecord, PromptRecord
from analyses.runs.origin import Origin

_SHA = "0" * 64
TABLE = b"head,value\nXL0H0,0.5\nXL0H1,0.25\n"
CONTENT = {"index.html": b"<p>page</p>", "tables/a.csv": TABLE, "figures/a.svg": b"<svg/>", "config.yaml": b"seed: 0\n"}


def manifest_of(files: Mapping[str, bytes], **changes: object) -> Manifest:
    """A sealed manifest of some files."""
    facts = {
        "package": "t5-interp 0",
        "command": "interp run",
        "config": {"seed": 0},
        "model": ModelRecord(
            name="bundled",
            revision=None,
            files={"config.json": _SHA},
            family="t5",
            dtype="float32",
            device="cpu",
            attention="interp",
            logit_scale=1.0,
            tied_embeddings=True,
        ),
        "prompts": PromptRecord(
            name="mine", sha256=_SHA, count=1, sentences=1, targets=1, fault="", target_origin="given", unfinished=()
        ),
        "twin_seeds": (1000, 1001),
        "versions": {"python": "3"},
        "files": {},
        "origin": Origin(commit=None, changed=None, source=_SHA, environment={"torch": "1"}),
    }
    return Manifest(**(facts | changes)).with_files(files)


def run_files(content: Mapping[str, bytes] = CONTENT, **changes: object) -> dict[str, bytes]:
    """All files of a small run."""
    return {**content, MANIFEST: manifest_of(content, **changes).to_json(), LOG: b"{}"}


def write_run(folder: Path, content: Mapping[str, bytes] = CONTENT, **changes: object) -> Path:
    """A small run in a folder."""
    for name, data in run_files(content, **changes).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
