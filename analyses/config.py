"""The configuration of one run: everything that decides its numbers, and nothing else.

Where the output goes, how loud the run is and which machine it runs on are not part of it, so that the same
configuration always names the same results.
"""

import hashlib
import shlex
from pathlib import PurePath
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from analyses._registry import ANALYSES, get
from interp.errors import InputError

Count = Annotated[int, Field(ge=1)]

_FLAGS = ("model", "revision", "prompts", "analyses", "seed", "batch_size", "limit", "device", "dtype", "twins")


class RunConfig(BaseModel):
    """What `interp run` was asked to do.

    Attributes:
        model: `bundled`, a folder, or a hub id.
        revision: branch, tag or commit of a hub id.
        prompts: a bundled prompt set, a file, or `-`.
        analyses: names, in report order.
        seed: of resampling; untrained twins take seeds derived from it.
        batch_size: prompts in one forward pass; changes no number beyond rounding.
        limit: only the first so many prompts.
        device: `auto`, `cpu`, `cuda` or `mps`.
        dtype: type of the weights; exact decompositions need float32.
        twins: how many untrained control models.
        settings: analysis name -> its settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "bundled"
    revision: str | None = None
    prompts: str = "translation"
    analyses: tuple[str, ...] = tuple(ANALYSES)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    batch_size: Count = 16
    limit: Count | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    twins: Annotated[int, Field(ge=2, le=100)] = 5
    settings: dict[str, dict[str, Any]] = {}

    @field_validator("analyses")
    @classmethod
    def _known_analyses(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise InputError(f"No analysis was chosen; choose some of {', '.join(ANALYSES)}.")
        for name in names:
            get(name)
        return tuple(name for name in ANALYSES if name in names)

    def portable(self) -> dict[str, Any]:
        """The configuration as plain data, folders and files by their name alone, so that no path of a machine is kept."""
        data = self.model_dump(mode="json")
        data["prompts"] = _portable(self.prompts)
        data["model"] = _portable(self.model)
        return data

    def to_yaml(self) -> str:
        """`portable` as YAML, keys in the order of the class."""
        return str(yaml.safe_dump(self.portable(), sort_keys=False, allow_unicode=True))

    def command(self) -> str:
        """The command line that asks for this run again, defaults left out."""
        default = RunConfig().portable()
        words = ["interp", "run"]
        data = self.portable()
        for name in _FLAGS:
            if data[name] != default[name]:
                value = ",".join(data[name]) if name == "analyses" else str(data[name])
                words += [f"--{name.replace('_', '-')}", value]
        return shlex.join(words)

    def slug(self, prompts_sha256: str, weights_sha256: str) -> str:
        """Folder name of the run: model and prompts by name, and eight digits of everything that decides the numbers."""
        identity = f"{self.to_yaml()}\n{prompts_sha256}\n{weights_sha256}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        names = f"{PurePath(self.portable()['model']).name}-{PurePath(self.portable()['prompts']).stem or 'stdin'}"
        readable = "".join(character if character.isalnum() else "-" for character in names.lower()).strip("-")
        return f"{readable}-{digest}"


def make_config(**choices: Any) -> RunConfig:
    """A configuration from choices, those that are None left at their defaults.

    Raises:
        InputError: in one sentence, if a choice is not allowed.
    """
    try:
        return RunConfig(**{name: value for name, value in choices.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise cause from error
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name} = {first['input']!r} is not allowed: {first['msg']}.") from error


def _portable(name: str) -> str:
    """A hub id or bundled name as it is; a path by its last part."""
    path = PurePath(name)
    is_path = (
        path.is_absolute()
        or name.startswith((".", "~"))
        or len(path.parts) > 2
        or path.suffix in (".txt", ".jsonl", ".csv")
    )
    return path.name if is_path else name
