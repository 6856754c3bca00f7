"""The addresses of a Maven repository: its layout, and a listing wherever an address ends in a slash.

The first route that matches wins, so metadata, which is merged, stands before files, which are not.
"""

from __future__ import annotations

from application.formats.maven import merging, remote
from application.formats.maven.listing import get_listing, list_members
from application.formats.maven.names import METADATA
from application.formats.maven.publishing import ALGORITHMS
from application.formats.maven.reading import asked_package, file_key, get_file
from application.formats.maven.writing import admit, delete, put_file
from application.wire import Body, Route

_BYTES = Body(kind="bytes", algorithms=ALGORITHMS, announced=True)

ROUTES = (
    *(
        Route(
            method="GET",
            pattern=f"/{{directory+}}/{METADATA}{suffix}",
            needs="read",
            handler=get_file,
            document=file_key,
            remote=remote.get_metadata,
            merge=merge,
            package=asked_package,
        )
        for suffix, merge in (("", merging.DOCUMENT), (".{algorithm}", merging.CHECKSUM))
    ),
    Route(
        method="GET",
        pattern="/{path+}",
        needs="read",
        handler=get_file,
        document=file_key,
        remote=remote.get_file,
        package=asked_package,
    ),
    *(
        Route(
            method="GET",
            pattern=pattern,
            needs="read",
            handler=get_listing,
            remote=get_listing,
            virtual=list_members,
            package=asked_package,
        )
        for pattern in ("/{path+}/", "/")
    ),
    Route(method="PUT", pattern="/{path+}", needs="write", handler=put_file, body=_BYTES, admit=admit),
    Route(method="DELETE", pattern="/{path+}", needs="delete", handler=delete),
    Route(method="DELETE", pattern="/{path+}/", needs="delete", handler=delete),
)
