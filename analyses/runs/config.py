"""The configuration of one run: everything that decides its numbers, and nothing else.

Where the output goes, how loud the run is and which machine it runs on are not part of it, so that the same
configuration always names the same results.
"""

import hashlib
import shlex
from pathlib import PurePath
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from analyses.core.registry import DEFAULT, check, names
from analyses.runs.settings_check import choose
from interp.errors import InputError
from interp.input_files import parse_yaml
from interp.report.visible_text import visible_lines

Count = Annotated[int, Field(ge=1)]


def _called(name: str) -> str:
    if not name.strip():
        raise PydanticCustomError("blank", "a name needs a character that can be seen")
    return name


Name = Annotated[str, AfterValidator(_called)]


class RunConfig(BaseModel):
    """What `interp run` was asked to do.

    Attributes:
        model: `bundled`, a folder, or a hub id.
        revision: branch, tag or commit of a hub id.
        prompts: a bundled prompt set, a file, the folder of a dataset, or `-`.
        source_column: column of the sources, where it is not called `source`.
        target_column: column of the targets, where it is not called `target`.
        prefix: the task prefix that every source starts with, where it is none of T5's own and the file names none.
        analyses: names, in report order; by default those of this package but circuits. A text with commas is read as several
            names.
        seed: of resampling; untrained twins take seeds derived from it.
        batch_size: prompts in one forward pass; changes no number beyond rounding.
        limit: only the first so many prompts.
        device: `auto`, `cpu`, `cuda` or `mps`.
        dtype: type of the weights; exact decompositions need float32.
        twins: how many untrained control models.
        pages: most prompts that get a page of their own, the first ones.
        figures: the format of the figures' files; text is text in all but PNG.
        max_length: most tokens of a text; by default what the tokenizer states.
        source_lang: code of the sources' language, in models that mark it.
        target_lang: the same of the targets.
        settings: analysis name -> its settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name = "bundled"
    revision: Name | None = None
    prompts: Name = "translation"
    source_column: Name | None = None
    target_column: Name | None = None
    prefix: str | None = None
    analyses: tuple[str, ...] = DEFAULT
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    batch_size: Count = 16
    limit: Count | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    twins: Annotated[int, Field(ge=2, le=100)] = 5
    pages: Annotated[int, Field(ge=0)] = 100
    figures: Literal["svg", "pdf", "png"] = "svg"
    max_length: Count | None = None
    source_lang: Name | None = None
    target_lang: Name | None = None
    settings: dict[str, dict[str, Any]] = {}

    @field_validator("settings")
    @classmethod
    def _settings_of_known_analyses(cls, settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in settings:
            check(name)
        _check_plain(settings)
        return settings

    @field_validator("analyses", mode="before")
    @classmethod
    def _separate_analyses(cls, given: Any) -> Any:
        return tuple(given.replace(",", " ").split()) if isinstance(given, str) else given

    @field_validator("analyses")
    @classmethod
    def _known_analyses(cls, chosen: tuple[str, ...]) -> tuple[str, ...]:
        if not chosen:
            raise InputError(f"No analysis was chosen; choose some of {', '.join(names())}.")
        for name in chosen:
            check(name)
        return tuple(name for name in names() if name in chosen)

    def portable(self) -> dict[str, Any]:
        """The configuration as plain data, folders and files by their name alone, so that no path of a machine is kept."""
        data = self.model_dump(mode="json")
        data["prompts"] = portable_name(self.prompts)
        data["model"] = portable_name(self.model)
        return data

    def to_yaml(self, as_given: bool = False) -> str:
        """`portable`, or with paths as they were given, as YAML, keys in the order of the class."""
        data = self.model_dump(mode="json") if as_given else self.portable()
        text = str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
        # What a terminal would obey is written as an escape.
        return text if visible_lines(text) == text else str(yaml.safe_dump(data, sort_keys=False))

    def check_kept(self) -> None:
        """Refuse choices that `config.yaml` would not give back as they are, so that no run is made that cannot be made again.

        Raises:
            InputError: if there are any.
        """
        try:
            kept = parse_yaml(self.to_yaml(as_given=True).encode()) == self.model_dump(mode="json")
        except (yaml.YAMLError, UnicodeError, ValueError):
            kept = False
        if not kept:
            raise InputError(
                "The choices hold something that config.yaml would not give back as it is, such as half a surrogate pair or a "
                "name that is no text; write names and texts as plain text."
            )

    def command(self, *words: str) -> str:
        """The command line that asks for this run again, defaults left out; or other words with the same options but the model's.

        Settings have no flags: a run that has some is asked for by the `config.yaml` in its folder.
        """
        if self.settings and not words:
            return "interp run --config config.yaml"
        default, found = RunConfig().portable(), ["interp", *(words or ("run",))]
        for name, chosen in self.portable().items():
            if chosen != default[name] and not (words and name in ("model", "settings")):
                value = ",".join(chosen) if name == "analyses" else str(chosen)
                found += [f"--{name.replace('_', '-')}", value]
        return shlex.join(found)

    def slug(self, prompts_sha256: str, weights_sha256: str) -> str:
        """Folder name of the run: model and prompts by name, and eight digits of everything that decides the numbers."""
        identity = f"{self.to_yaml()}\n{prompts_sha256}\n{weights_sha256}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        names = f"{PurePath(self.portable()['model']).name}-{PurePath(self.portable()['prompts']).stem or 'stdin'}"
        readable = "".join(character if character.isalnum() else "-" for character in names.lower()).strip("-")
        return f"{readable}-{digest}"


_LARGEST = 2**32
"""Of the numbers in settings: the seeds of 32 bits."""
_MOST_ENTRIES = 100_000


def _check_plain(settings: Any) -> None:
    """Refuse settings that `config.yaml` would not give back as they are, or that no analysis could mean.

    Raises:
        InputError: naming the value.
    """
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), settings)]
    seen = 0
    while waiting:
        place, value = waiting.pop()
        name, seen = ".".join(map(str, place)), seen + 1
        if seen > _MOST_ENTRIES or len(place) > 10:
            raise InputError(
                f"Settings hold more than {_MOST_ENTRIES:,} values, or lists in lists in lists; give fewer."
            )
        if isinstance(value, dict):
            if other := [key for key in value if not isinstance(key, str)]:
                raise InputError(f"{name} has the name {other[0]!r}, which is no text; put quotes round it.")
            waiting += [((*place, key), inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [((*place, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise InputError(
                f"{name} = {value:.6g} is not allowed as setting; give a finite number up to {_LARGEST:,}."
            )
        elif value is not None and not isinstance(value, str | int | float):
            raise InputError(
                f"{name} is a {type(value).__name__}, which is no setting; give a text, number, list or mapping."
            )


def make_config(**choices: Any) -> RunConfig:
    """A configuration from choices, known ones that are None left at their defaults.

    Raises:
        InputError: in one sentence, if a choice is not allowed.
    """
    given = {name: value for name, value in choices.items() if value is not None or name not in RunConfig.model_fields}
    return choose(RunConfig, given, "choice")


def portable_name(name: str) -> str:
    """A hub id or bundled name as it is; a path by its last part."""
    path = PurePath(name)
    is_path = (
        path.is_absolute()
        or name.startswith((".", "~"))
        or len(path.parts) > 2
        or path.suffix in (".txt", ".jsonl", ".csv")
    )
    return path.name if is_path else name
