"""From a request to the path it names, and back to addresses that a client can use."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from application.formats.generic.names import Address, read_address
from application.wire import Call, Request
from domain.artifact import Precondition
from domain.errors import Invalid


def address_of(call: Call) -> Address:
    """What the request names."""
    return read_address(call.request.raw_path)


def file_path(call: Call) -> str:
    """The path of a file that the request names; raises Invalid for a directory."""
    address = address_of(call)
    if address.folder:
        raise Invalid("this address ends in '/' and names a directory; a file's does not")
    return address.path


def uri_of(request: Request, path: str) -> str:
    """The public address of a file."""
    return f"{request.repository_url}/{quote(path)}"


def with_slash(request: Request) -> str:
    """The same address with a slash at its end, as the client sees it."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    return f"{request.repository_url}{request.raw_path.rstrip('/')}/{query}"


def flag(request: Request, name: str) -> bool:
    """Whether a query parameter is set: without a value, or to anything but `0` and `false`."""
    value = next((value for key, value in request.query if key == name), "0")
    return value.lower() not in {"0", "false", "no"}


def has(request: Request, name: str) -> bool:
    """Whether a query parameter is there."""
    return any(key == name for key, _ in request.query)


def count_of(request: Request, name: str, default: int, maximum: int) -> int:
    """A query parameter that is a positive number; raises Invalid."""
    text = request.query_value(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:9])):
        raise Invalid(f"{name} is a positive number, not {text[:40]!r}")
    return min(int(text[:9]), maximum)


def precondition_of(request: Request) -> Precondition | None:
    """What If-Match and If-None-Match demand; None when they demand nothing. Weak tags match nothing in If-Match."""
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if match is None and none_match is None:
        return None
    return Precondition(
        match=None if match is None else _tags(match, weak=False),
        none_match=None if none_match is None else _tags(none_match, weak=True),
    )


def _tags(text: str, *, weak: bool) -> tuple[str, ...]:
    tags = []
    for item in text.split(","):
        tag = item.strip()
        if tag.startswith("W/") and weak:
            tag = tag[2:]
        tags.append(tag if tag == "*" else tag.strip('"') if tag.startswith('"') else "")
    return tuple(tags)
