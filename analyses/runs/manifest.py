"""The manifest of a run: what made it, and the hash of every file in it.

Nothing here depends on the clock, the user or the machine's name: the same inputs, the same versions and the same code give the
same manifest, byte for byte. What does depend on them goes to `run.log.json`, which is not hashed.

    digest    over what decides the results, and the results: equal for equal runs
    seal      over all of the manifest, with where the code came from and what else was installed
"""

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from platform import machine, python_version
from typing import Annotated, Any, Literal, TypeVar
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer

from analyses.core.registry import plug_ins
from analyses.runs.origin import Origin
from interp.input_files import file_hash

_LIBRARIES = (
    "torch transformers tokenizers safetensors numpy scipy scikit-learn pandas matplotlib bertviz einops"
).split()

LOG = "run.log.json"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
"""Where `ssh-keygen -Y sign` puts the signature of a manifest too."""


def _inside(name: str) -> str:
    """A file's name, if it stays in the folder whatever system reads it."""
    path = PurePosixPath(name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or path.as_posix() != name
        or set(name) & set("\\:")
        or not name.isprintable()
    ):
        raise ValueError(f"{name!r} is no name of a file in a run")
    return name


Name = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Files = dict[Name, Sha256]
Kind = TypeVar("Kind", bound="SealedRecord")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelRecord(_Record):
    """Which model ran, and how.

    Attributes:
        name: bundled name, folder name or hub id.
        revision: the resolved commit of a hub model.
        files: name -> sha256 of every file that loading may open: configuration, tokenizer and weights.
        family: model type.
        dtype: type of the weights.
        device: kind of device.
        attention: name of the attention implementation.
        logit_scale: factor of the decoder output before the unembedding.
        tied_embeddings: whether the unembedding is the input embedding.
        source_lang: code of the sources' language; None in models that mark none.
        target_lang: the same of the targets.
    """

    name: str
    revision: str | None
    files: dict[str, Sha256]
    family: str
    dtype: str
    device: str
    attention: str
    logit_scale: float
    tied_embeddings: bool
    source_lang: str | None = None
    target_lang: str | None = None

    @model_serializer(mode="wrap")
    def _languages_where_there_are(self, whole: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Records of models that mark no languages stay as they were before languages were recorded."""
        record = whole(self)
        unmarked = {name for name in ("source_lang", "target_lang") if record[name] is None}
        return {name: value for name, value in record.items() if name not in unmarked}


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


class SealedRecord(_Record):
    """What the manifests of runs and of comparisons share.

    Attributes:
        schema_version: of this file.
        package: name and version of this package.
        command: that asks for the run again.
        config: the resolved configuration.
        versions: library -> version.
        files: relative path -> sha256, of every file but this one and the log.
        digest: sha256 over all of the above.
        origin: where the code came from and what was installed; no part of the digest. None in runs made before it was kept.
        seal: sha256 over all but itself.
    """

    schema_version: Literal[1] = 1
    package: str
    command: str
    config: dict[str, Any]
    versions: dict[str, str]
    files: Files
    digest: Sha256 | Literal[""] = ""
    origin: Origin | None = None
    seal: Sha256 | Literal[""] = ""

    def sealed(self: Kind) -> Kind:
        """The same manifest with its digest and its seal filled in."""
        content = self.model_dump(mode="json", exclude={"digest", "origin", "seal"})
        found = self.model_copy(update={"digest": sha256(canonical_json(content)).hexdigest()})
        if self.origin is None:
            return found.model_copy(update={"seal": ""})
        whole = canonical_json(found.model_dump(mode="json", exclude={"seal"}))
        return found.model_copy(update={"seal": sha256(whole).hexdigest()})

    def with_files(self: Kind, files: Mapping[str, bytes]) -> Kind:
        """The same manifest with the hashes of a run's files, sealed."""
        return self.model_copy(update={"files": content_hashes(files)}).sealed()

    def to_json(self) -> bytes:
        """The file's content."""
        return canonical_json(
            self.model_dump(mode="json", exclude={"origin", "seal"} if self.origin is None else set())
        )


class Manifest(SealedRecord):
    """The manifest of one run; see the module's docstring.

    Attributes:
        model: the model's record.
        prompts: the prompts' record.
        twin_seeds: seeds of the untrained control models.
        plugins: analysis -> record, of analyses of other packages.
    """

    model: ModelRecord
    prompts: PromptRecord
    twin_seeds: tuple[int, ...]
    plugins: dict[str, PlugInRecord] = {}


class ComparisonManifest(SealedRecord):
    """The manifest of two runs side by side; its files are those of both runs, with their manifests, and its own.

    Attributes:
        models: what was asked for: name or folder of the first and of the second model.
        prompts: sha256 of the prompts that both read.
        runs: folder of a run -> its digest.
    """

    models: tuple[str, str]
    prompts: Sha256
    runs: dict[str, Sha256]


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


def file_hashes(files: Mapping[str, Path]) -> dict[str, str]:
    """Name -> SHA-256 of the file behind it."""
    return {name: file_hash(path) for name, path in files.items()}


def content_hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Relative path -> SHA-256, sorted by path."""
    return {name: sha256(files[name]).hexdigest() for name in sorted(files)}


def canonical_json(data: Any) -> bytes:
    """JSON with sorted keys and no NaN: equal data gives equal bytes. Characters that a terminal would obey are spelled out."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
    return ("".join(map(_spelled, text)) + "\n").encode()


def _spelled(character: str) -> str:
    harmless = character == "\n" or character.isprintable() or category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return character if harmless else json.dumps(character)[1:-1]
