"""The addresses of a module proxy and of checksum databases behind it, and PUT and DELETE at those of versions.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

from application.formats.go import databases, merging, remote
from application.formats.go.address import asked_module
from application.formats.go.archive import MAX_ZIP_BYTES
from application.formats.go.reading import (
    file_key,
    get_file,
    get_latest,
    get_list,
    latest_key,
    list_key,
    refuse_database,
)
from application.formats.go.sums import asked_lookup
from application.formats.go.writing import admit, delete_version, put_file
from application.wire import Body, Request, Route
from domain.errors import Invalid

_FILE = "/{module+}/@v/{file}"
_SUMS = "/sumdb/{name}"
_BYTES = Body(kind="bytes", announced=True, max_bytes=MAX_ZIP_BYTES)


def _package(request: Request) -> str | None:
    try:
        return asked_module(request.params["module"])
    except Invalid:
        return None


def _looked_up(request: Request) -> str | None:
    return asked_lookup(request.params["record"])


ROUTES = (
    *(
        Route(
            method="GET",
            pattern=f"{_SUMS}/{what}",
            needs="read",
            handler=refuse_database,
            remote=databases.get_database,
        )
        for what in ("supported", "latest")
    ),
    Route(
        method="GET",
        pattern=f"{_SUMS}/lookup/{{record+}}",
        needs="read",
        handler=refuse_database,
        remote=databases.get_lookup,
        package=_looked_up,
    ),
    Route(
        method="GET",
        pattern=f"{_SUMS}/tile/{{rest+}}",
        needs="read",
        handler=refuse_database,
        remote=databases.get_tile,
    ),
    Route(
        method="GET",
        pattern="/{module+}/@v/list",
        needs="read",
        handler=get_list,
        document=list_key,
        remote=remote.get_list,
        merge=merging.LISTS,
        package=_package,
    ),
    Route(
        method="GET",
        pattern=_FILE,
        needs="read",
        handler=get_file,
        document=file_key,
        remote=remote.get_file,
        package=_package,
    ),
    Route(
        method="GET",
        pattern="/{module+}/@latest",
        needs="read",
        handler=get_latest,
        document=latest_key,
        remote=remote.get_latest,
        merge=merging.LATEST,
        package=_package,
    ),
    Route(method="PUT", pattern=_FILE, needs="write", handler=put_file, body=_BYTES, admit=admit),
    Route(method="DELETE", pattern=_FILE, needs="delete", handler=delete_version),
)
