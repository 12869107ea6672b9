"""The run file: choices of `interp run` in YAML, under the choices of the command line and above the defaults.

    model: google-t5/t5-small
    prompts: mine.txt
    analyses: [head_specialization, cross_attention_focus]
    settings:
      head_specialization: {resamples: 2000}

Its keys are the fields of `RunConfig`, and the `config.yaml` of a finished run is one. Paths are read from where the command
is run.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from analyses.core.registry import check, loadable, settings_of
from analyses.runs.config import RunConfig, make_config
from analyses.runs.settings_check import choose
from interp.errors import InputError
from interp.input_files import MOST_SETTINGS_BYTES, parse_yaml, read_regular


def read_choices(path: Path) -> dict[str, Any]:
    """The choices that a run file makes, not yet checked.

    Raises:
        InputError: if the file cannot be read or is no YAML mapping.
    """
    try:
        found = parse_yaml(read_regular(path, MOST_SETTINGS_BYTES))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"The run file {str(path)!r} cannot be read ({reason}); give a YAML file.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"The run file {path.name}{place} is no YAML: {problem}.") from error
    if not isinstance(found, dict | None):
        raise InputError(f"The run file {path.name} holds a {type(found).__name__}; write `key: value` lines.")
    return {str(key): value for key, value in (found or {}).items()}


def read_settings(chosen: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Analysis -> settings, from `analysis.name=value`; values as in YAML.

    Raises:
        InputError: if one is not written so, or given twice; whether it exists and is allowed is checked by `resolve`.
    """
    found: dict[str, dict[str, Any]] = {}
    for one in chosen:
        match = re.fullmatch(r"(\w+)\.(\w+)=(.*)", one, re.DOTALL)
        if match is None:
            raise InputError(
                f"{one!r} is no setting; write analysis.name=value, such as head_specialization.resamples=2000."
            )
        analysis, name, text = match.groups()
        if name in found.get(analysis, {}):
            raise InputError(f"{analysis}.{name} is set twice; give it once.")
        try:
            found.setdefault(analysis, {})[name] = parse_yaml(text.encode())
        except (ValueError, yaml.YAMLError) as error:
            raise InputError(
                f"The value of {analysis}.{name} is no YAML: {text!r}; put texts with signs in quotes."
            ) from error
    return found


def without_all(given: Any, warn: Callable[[str], None], everything: Sequence[str] | None = None) -> Any:
    """The analyses that were named, with the names of all of them where `all` is among them.

    Args:
        given: names, in a list or separated by commas; what is neither is given back.
        warn: told in a sentence which plug-ins `all` leaves out, because they cannot be loaded.
        everything: what `all` stands for, if not for every analysis there is.

    Raises:
        InputError: if beside `all` one is named that there is not.
    """
    named = given.replace(",", " ").split() if isinstance(given, str) else given
    if not isinstance(named, list | tuple) or "all" not in named or not all(isinstance(name, str) for name in named):
        return given
    for name in named:
        if name != "all":
            check(name)
    if everything is not None:
        return tuple(everything)
    usable, complaints = loadable()
    for complaint in complaints:
        warn(f"{complaint} It is left out.")
    return usable


def check_read(set_of: Iterable[str], analyses: Sequence[str]) -> None:
    """Refuse settings that nothing would read.

    Args:
        set_of: the analyses whose settings are given.
        analyses: the chosen analyses.

    Raises:
        InputError: if one of them is not chosen.
    """
    for name in set_of:
        check(name)
        if name not in analyses:
            raise InputError(
                f"Settings of {name} are given, and the analyses are {', '.join(analyses)}; add {name} to --analyses, or leave "
                "out what sets it (--set, --words, --pairs, --gold)."
            )


def resolve(
    file: Path | None,
    flags: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    warn: Callable[[str], None],
) -> RunConfig:
    """One configuration: what the command line says, else what the file says, else the default.

    Args:
        file: a run file, or None.
        flags: choice -> value, those given on the command line only.
        settings: analysis -> settings given on the command line; each replaces one of the file.
        warn: told in a sentence which plug-ins `all` leaves out, because they cannot be loaded.

    Raises:
        InputError: in one sentence, if a choice or a setting is not allowed, or none of the analyses reads it.
    """
    choices = ({} if file is None else read_choices(file)) | dict(flags)
    if "analyses" in choices:
        choices["analyses"] = without_all(choices["analyses"], warn)
    config = make_config(**choices)
    # A flag that narrows the analyses of a file leaves the file's settings of the others unread, as it means to.
    check_read({**settings, **({} if "analyses" in flags else config.settings)}, config.analyses)
    merged = {
        name: {**config.settings.get(name, {}), **settings.get(name, {})} for name in {**config.settings, **settings}
    }
    for name, chosen in merged.items():
        choose(settings_of(name), chosen, f"setting of {name}")
    return config.model_copy(update={"settings": merged})
