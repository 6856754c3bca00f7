"""The packages of several registries as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from application.formats.npm import remote
from application.formats.npm.about import NotOffered, list_keys
from application.formats.npm.address import PackageNotFound, address_of
from application.formats.npm.dialect import answer_bytes
from application.formats.npm.finding import find_packages
from application.formats.npm.found_elsewhere import (
    Results,
    all_results,
    read_keys,
    read_results,
    write_keys,
    write_results,
)
from application.formats.npm.packuments import joined, read_packument, write
from application.wire import Answer, AnyAnswer, Call, Document, Handler, Merge
from domain.errors import BadGateway, NotFound, RegistryError


def _packuments(call: Call, documents: Sequence[Document]) -> Document:
    """Every version of all, the first member's; tags are the first member's. All have the form that was asked for."""
    name = address_of(call.request).name
    whole = joined([read_packument(document.body, name) for document in documents])
    body = write(whole, whole.versions.items())
    if body is None:
        raise PackageNotFound(name)
    return msgspec.structs.replace(documents[0], body=body, last_modified=None)


PACKUMENTS = Merge(combine=_packuments)


def all_keys(call: Call, asked: Sequence[Call]) -> Answer:
    """GET -/npm/v1/keys: those of every member, since each has signed its own packages."""
    keys: dict[str, msgspec.Raw] = {}
    for one in asked:
        try:
            body = remote.read_upstream_keys(one) if _is_remote(one) else list_keys(one).body
        except NotFound:
            continue
        keys = {**read_keys(body), **keys}
    if not keys:
        raise NotOffered(f"no member of '{call.repository.key}' signs packages")
    return answer_bytes(write_keys(keys))


def find_everywhere(call: Call, asked: Sequence[Call]) -> Answer:
    """GET -/v1/search: what is ours first, then what upstreams find; one that cannot be asked now finds nothing."""
    found: list[Results] = []
    fault: RegistryError = NotOffered(f"no member of '{call.repository.key}' has a search")
    for one in sorted(asked, key=_is_remote):
        try:
            body = remote.find_packages(one).body if _is_remote(one) else find_packages(one).body
            found.append(read_results(body))
        except (NotFound, BadGateway) as missing:
            fault = missing
    if not found:
        raise fault
    return answer_bytes(write_results(all_results(found), datetime.now(UTC)))


def itself(handler: Handler) -> Callable[[Call, Sequence[Call]], AnyAnswer]:
    """For what a virtual repository answers like any other, whatever its members."""

    def answer(call: Call, asked: Sequence[Call]) -> AnyAnswer:
        del asked
        return handler(call)

    return answer


def _is_remote(call: Call) -> bool:
    return call.repository.kind == "remote"
