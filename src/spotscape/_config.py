"""Settings of a run as TOML."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def arguments_of(file: Path) -> list[str]:
    """Arguments of the command line from a file of settings; paths come last, after ``--``.

    Parameters
    ----------
    file
        TOML file with the names of the long options as keys, and ``paths``. Relative paths are those of the folder of
        the file.

    Returns
    -------
    The arguments.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is no TOML, or a value is neither text, number, truth value nor list of texts.
    """
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {file}; check --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML file: {error}.") from error
    paths = settings.pop("paths", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ValueError(f"{file}: `paths` is {paths!r}; write a list of texts.")
    arguments = []
    for name, value in settings.items():
        if isinstance(value, bool):
            arguments += [f"--{name}"] if value else []
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            arguments.append(f"--{name}={','.join(value)}")
        elif isinstance(value, str | int | float):
            arguments.append(f"--{name}={value}")
        else:
            raise ValueError(f"{file}: {name!r} is {value!r}; write a text, a number, true or false.")
    return [*arguments, "--", *(str(file.parent / path) for path in paths)] if paths else arguments


def as_toml(settings: Mapping[str, Any]) -> str:
    """Settings as the text of a TOML file, with the names of the long options. ``None`` is left out."""
    lines = ["# Settings of `spotscape run`; repeat it with --config and another --out.\n"]
    for key, value in settings.items():
        name = {"model_name": "model"}.get(key, key).replace("_", "-")
        if value is not None:
            lines.append(f"{name} = {_value(value)}\n")
    return "".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # The escapes of JSON are escapes of TOML, too, but for DEL.
    import json

    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
