"""Reading a file of environment variables, as `docker --env-file` and shells have them."""

from __future__ import annotations

import re
from pathlib import Path

from domain.errors import Invalid

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)\Z")
_MAX_BYTES = 1024 * 1024


class EnvFileInvalid(Invalid):
    """The file cannot be read, or a line of it is no assignment. The line itself is not shown: it may be a secret."""


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a UTF-8 file: `NAME=value` lines, `#` comments, an optional `export`.

    A value in single or double quotes loses them and nothing else is interpreted; of a repeated name the last counts.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as fault:
        raise EnvFileInvalid(f"{path}: {fault.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise EnvFileInvalid(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EnvFileInvalid(f"{path}: not UTF-8") from None
    variables = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not (stripped := line.strip()) or stripped.startswith("#"):
            continue
        matched = _LINE.match(stripped)
        if matched is None:
            raise EnvFileInvalid(f"{path}, line {number}: not NAME=value")
        variables[matched["name"]] = _unquoted(matched["value"])
    return variables


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
