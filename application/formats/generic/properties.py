"""Properties of files: reading them, and changing them without touching bytes or ETag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from application.formats.generic.addresses import address_of, flag, uri_of
from application.formats.generic.names import Address, Properties, check_properties, parse_properties, property_names
from application.formats.generic.storing import paths_below, target_of
from application.wire import Answer, Call
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid, NotFound

MAX_BODY_BYTES = 1 << 20


class PropertiesNotFound(NotFound):
    """The file is there and has no such property."""

    template = "No properties could be found for {path}"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


def show(call: Call) -> Answer:
    """GET {path}?properties[=k1,k2]."""
    path = address_of(call).path
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None:
        raise ArtifactNotFound(path)
    names = property_names(call.request.query_value("properties"))
    shown = {key: values for key, values in row.properties.items() if not names or key in names}
    if not shown:
        raise PropertiesNotFound(path)
    body = msgspec.json.encode({"uri": uri_of(call.request, path), "properties": shown})
    return Answer(body=body, media_type="application/json")


def put(call: Call) -> Answer:
    """PUT {path}?properties=k=v;k2=a,b: set these, keep the others. A directory with `recursive=1` is all below it."""
    given = parse_properties(call.request.query_value("properties"))
    if not given:
        raise Invalid("properties=k=v;k2=a,b is missing in the query")
    return change(call, lambda held: held | given)


def patch(call: Call) -> Answer:
    """PATCH {path}?properties with `{"k": "v", "k2": ["a"], "k3": null}`: set, set, remove."""
    if call.text:
        changes = read_changes(call.text)
        return change(call, lambda held: merge(held, changes))
    return put(call)


def delete(call: Call) -> Answer:
    """DELETE {path}?properties[=k1,k2]: remove these, or all."""
    names = property_names(call.request.query_value("properties"))
    return change(call, lambda held: {key: values for key, values in held.items() if names and key not in names})


def change(call: Call, making: Callable[[Properties], Properties]) -> Answer:
    """Change the properties of the file that is named, or of all files below a directory."""
    paths = named_paths(call, address_of(call), recursive=flag(call.request, "recursive"))
    call.services.publishing.change_properties(target_of(call), paths, lambda held: check_properties(making(held)))
    return Answer(status=204)


def named_paths(call: Call, address: Address, *, recursive: bool) -> list[str]:
    """The file at an address or, where there is none, the files below it. Raises ArtifactNotFound."""
    if not address.folder and call.services.catalogue.artifact(call.content, address.path) is not None:
        return [address.path]
    below = paths_below(call, address.path)
    if not below:
        raise ArtifactNotFound(address.path)
    if not recursive:
        raise Invalid("directories have no properties of their own; recursive=1 sets those of all files below")
    return below


def read_changes(body: bytes) -> dict[str, tuple[str, ...] | None]:
    """A JSON object of names to a text, a list of texts, or null for removal. Raises Invalid."""
    try:
        given = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise Invalid("expected a JSON object of properties") from None
    changes: dict[str, tuple[str, ...] | None] = {}
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        if value is None or value == []:
            changes[key] = None
        elif all(isinstance(item, str) for item in values):
            changes[key] = tuple(dict.fromkeys(values))
        else:
            raise Invalid(f"property {key[:100]!r} is a text, a list of texts, or null")
    check_properties({key: values or () for key, values in changes.items()})
    return changes


def merge(held: Properties, changes: dict[str, tuple[str, ...] | None]) -> Properties:
    """Properties with some of them set or, by None, removed."""
    merged = {**held, **{key: values for key, values in changes.items() if values is not None}}
    return {key: values for key, values in merged.items() if changes.get(key, ()) is not None}
