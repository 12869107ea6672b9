"""The manifest of a run: what made it, and the hash of every file in it.

Nothing here depends on the clock, the user or the machine's name: the same inputs and the same versions give the same
manifest, byte for byte. What does depend on them goes to `run.log.json`, which is not hashed.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path
from platform import machine, python_version
from typing import Any

from pydantic import BaseModel, ConfigDict

from analyses.core.registry import plug_ins

_LIBRARIES = (
    "torch transformers tokenizers safetensors numpy scipy scikit-learn pandas matplotlib bertviz einops"
).split()

LOG = "run.log.json"
MANIFEST = "manifest.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelRecord(_Record):
    """Which model ran, and how.

    Attributes:
        name: bundled name, folder name or hub id.
        revision: the resolved commit of a hub model.
        files: name -> sha256 of configuration, tokenizer and weights.
        family: model type.
        dtype: type of the weights.
        device: kind of device.
        attention: name of the attention implementation.
        logit_scale: factor of the decoder output before the unembedding.
        tied_embeddings: whether the unembedding is the input embedding.
    """

    name: str
    revision: str | None
    files: dict[str, str]
    family: str
    dtype: str
    device: str
    attention: str
    logit_scale: float
    tied_embeddings: bool


class PromptRecord(_Record):
    """Which prompts were read.

    Attributes:
        name: of the set or file.
        sha256: of its bytes.
        count: prompts used.
        sentences: different sentences among them, whatever their task prefix.
        targets: different decoder inputs among them.
        fault: why the targets say nothing of decoder and cross-attention heads; empty if they do.
        target_origin: whether decoder inputs were given or generated greedily by the model.
        unfinished: ids of prompts whose generated target met the length limit.
    """

    name: str
    sha256: str
    count: int
    sentences: int
    targets: int
    fault: str
    target_origin: str
    unfinished: tuple[str, ...]


class PlugInRecord(_Record):
    """Which analysis of another package took part.

    Attributes:
        distribution: who offers it.
        version: of that distribution.
        sha256: of the Python files of its top package.
    """

    distribution: str
    version: str
    sha256: str


class Manifest(_Record):
    """See the module's docstring.

    Attributes:
        schema_version: of this file.
        package: name and version of this package.
        command: that asks for the run again.
        config: the resolved configuration.
        model: the model's record.
        prompts: the prompts' record.
        twin_seeds: seeds of the untrained control models.
        plugins: analysis -> record, of analyses of other packages.
        versions: library -> version.
        files: relative path -> sha256, of every file but this one and the log.
        digest: sha256 over all of the above.
    """

    schema_version: int = 1
    package: str
    command: str
    config: dict[str, Any]
    model: ModelRecord
    prompts: PromptRecord
    twin_seeds: tuple[int, ...]
    plugins: dict[str, PlugInRecord] = {}
    versions: dict[str, str]
    files: dict[str, str]
    digest: str = ""

    def sealed(self) -> "Manifest":
        """The same manifest with its digest filled in."""
        content = canonical_json(self.model_dump(mode="json", exclude={"digest"}))
        return self.model_copy(update={"digest": sha256(content).hexdigest()})

    def with_files(self, files: Mapping[str, bytes]) -> "Manifest":
        """The same manifest with the hashes of a run's files, sealed."""
        return self.model_copy(update={"files": content_hashes(files)}).sealed()


def package_version() -> str:
    """Name and version of this package."""
    return f"t5-interp {version('t5-interp')}"


def plug_in_records(names: Iterable[str]) -> dict[str, PlugInRecord]:
    """The records of those analyses that other packages offer."""
    offered = plug_ins()
    return {
        name: PlugInRecord(
            distribution=offered[name].distribution, version=offered[name].version, sha256=offered[name].source_hash()
        )
        for name in names
        if name in offered
    }


def versions() -> dict[str, str]:
    """Versions of Python and of every library that takes part in the numbers or the drawings."""
    return {"python": python_version(), "machine": machine()} | {name: version(name) for name in _LIBRARIES}


def file_hash(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def file_hashes(paths: Iterable[Path]) -> dict[str, str]:
    """File name -> SHA-256."""
    return {path.name: file_hash(path) for path in paths}


def content_hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Relative path -> SHA-256, sorted by path."""
    return {name: sha256(files[name]).hexdigest() for name in sorted(files)}


def canonical_json(data: Any) -> bytes:
    """JSON with sorted keys and no NaN: equal data gives equal bytes."""
    return (json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode()
