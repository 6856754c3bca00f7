"""The addresses of a module proxy, and PUT and DELETE at those of its files.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

from application.formats.go.archive import MAX_ZIP_BYTES
from application.formats.go.reading import file_key, get_file, get_latest, get_list, latest_key, list_key
from application.formats.go.writing import admit, delete_version, put_file
from application.wire import Body, Route

_FILE = "/{module+}/@v/{file}"
_BYTES = Body(kind="bytes", announced=True, max_bytes=MAX_ZIP_BYTES)

ROUTES = (
    Route(method="GET", pattern="/{module+}/@v/list", needs="read", handler=get_list, document=list_key),
    Route(method="GET", pattern=_FILE, needs="read", handler=get_file, document=file_key),
    Route(method="GET", pattern="/{module+}/@latest", needs="read", handler=get_latest, document=latest_key),
    Route(method="PUT", pattern=_FILE, needs="write", handler=put_file, body=_BYTES, admit=admit),
    Route(method="DELETE", pattern=_FILE, needs="delete", handler=delete_version),
)
