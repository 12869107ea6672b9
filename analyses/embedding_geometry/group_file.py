"""Groups of words from a file, for `--words FILE.json|yaml`.

A file is one mapping from the name of a group to the list of its words:

    {"colors": ["red", "green", "blue"], "tools": ["hammer", "saw", "drill"]}
"""

import json
from pathlib import Path

import yaml
from pydantic import ValidationError

from analyses.embedding_geometry.settings import GeometrySettings
from interp.errors import InputError, reason
from interp.input_files import MOST_SETTINGS_BYTES, parse_json, parse_yaml, read_regular

_FORM = 'a mapping from group names to lists of words, such as {"colors": ["red", "green"], "tools": ["hammer", "saw"]}'


def read_groups(path: Path) -> dict[str, tuple[str, ...]]:
    """The groups of a file, checked as the settings would.

    Args:
        path: a file ending in .json, .yaml or .yml, in UTF-8.

    Raises:
        InputError: if there is no such file, it has another ending, cannot be read, or does not hold groups that can be
            compared; the message says where.
    """
    content = _parse(path)
    if not isinstance(content, dict) or not all(isinstance(words, list) for words in content.values()):
        raise InputError(f"The word file {str(path)!r} does not hold {_FORM}.")
    for group, words in content.items():
        wrong = [word for word in words if not isinstance(word, str) or not word.strip()]
        if not isinstance(group, str) or wrong:
            raise InputError(
                f"In the word file {str(path)!r} the group {group!r} holds {wrong[0] if wrong else group!r}, which is no text; "
                "put quotes round words such as yes, no or 7."
            )
    groups = {group: tuple(words) for group, words in content.items()}
    try:
        GeometrySettings(groups=groups)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"The word file {str(path)!r} cannot be used: {reason}.") from error
    return groups


def _parse(path: Path) -> object:
    if path.suffix.lower() not in {".json", ".yaml", ".yml"}:
        raise InputError(f"A word file ends in .json, .yaml or .yml; got {str(path)!r}.")
    try:
        content = read_regular(path, MOST_SETTINGS_BYTES).removeprefix(b"\xef\xbb\xbf")
        return parse_json(content) if path.suffix.lower() == ".json" else parse_yaml(content)
    except FileNotFoundError as error:
        raise InputError(f"There is no word file {str(path)!r}; give the path of {_FORM}.") from error
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"The word file {str(path)!r} cannot be read as UTF-8 text ({reason(error)}).") from error
    except json.JSONDecodeError as error:
        raise InputError(f"Line {error.lineno} of {str(path)!r} is no JSON ({error.msg}); give {_FORM}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"Line {mark.line + 1}" if mark else "A line"
        raise InputError(
            f"{where} of {str(path)!r} is no YAML ({getattr(error, 'problem', error)}); give {_FORM}."
        ) from error
    except ValueError as error:
        raise InputError(f"{str(path)!r} is no JSON ({error}); give {_FORM}.") from error
