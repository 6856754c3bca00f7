"""The addresses of a Maven repository: its layout, and a listing wherever an address ends in a slash."""

from __future__ import annotations

from application.formats.maven.publishing import ALGORITHMS
from application.formats.maven.reading import file_key, get_file, get_listing
from application.formats.maven.writing import admit, delete, put_file
from application.wire import Body, Route

_BYTES = Body(kind="bytes", algorithms=ALGORITHMS, announced=True)

ROUTES = (
    Route(method="GET", pattern="/{path+}", needs="read", handler=get_file, document=file_key),
    Route(method="GET", pattern="/{path+}/", needs="read", handler=get_listing),
    Route(method="GET", pattern="/", needs="read", handler=get_listing),
    Route(method="PUT", pattern="/{path+}", needs="write", handler=put_file, body=_BYTES, admit=admit),
    Route(method="DELETE", pattern="/{path+}", needs="delete", handler=delete),
    Route(method="DELETE", pattern="/{path+}/", needs="delete", handler=delete),
)
