"""The addresses of a Debian archive: what apt reads, and the ways in.

Source: https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

from application.formats.debian import merging, reading, remote, writing
from application.formats.debian.publishing import ALGORITHMS
from application.wire import Body, Route

_BYTES = Body(kind="bytes", algorithms=ALGORITHMS, announced=True)
_EITHER = Body(kind="either", algorithms=ALGORITHMS)

_READING = (
    Route(
        method="GET",
        pattern="/dists/{path+}",
        needs="read",
        handler=reading.get_dists,
        document=reading.dists_key,
        remote=remote.get_dists,
        virtual=merging.get_dists,
    ),
    Route(
        method="GET",
        pattern="/pool/{path+}",
        needs="read",
        handler=reading.get_pool_file,
        document=reading.pool_key,
        remote=remote.get_file,
        package=reading.package_of,
    ),
    *(
        Route(
            method="GET",
            pattern=f"/gpg-key.{kind}",
            needs="read",
            handler=reading.get_key,
            document=reading.key_key,
            remote=remote.get_key,
            virtual=merging.get_key,
        )
        for kind in ("asc", "gpg")
    ),
    Route(
        method="GET",
        pattern="/{repository}.sources",
        needs="read",
        handler=reading.get_sources_list,
        remote=reading.get_sources_list,
        virtual=merging.get_sources_list,
    ),
    Route(
        method="GET",
        pattern="/{path+}",
        needs="read",
        handler=reading.get_nothing,
        remote=remote.get_file,
        package=reading.package_of,
    ),
)

_WRITING = (
    Route(
        method="PUT",
        pattern="/pool/{path+}",
        needs="write",
        handler=writing.put_file,
        body=_BYTES,
        admit=writing.admit,
    ),
    Route(method="POST", pattern="/upload", needs="write", handler=writing.post_upload, body=_EITHER),
    Route(method="PUT", pattern="/incoming/{file}", needs="write", handler=writing.put_incoming, body=_BYTES),
    Route(method="DELETE", pattern="/pool/{path+}", needs="delete", handler=writing.delete_file),
    Route(method="DELETE", pattern="/incoming/{file}", needs="write", handler=writing.delete_incoming),
)

ROUTES = (*_READING, *_WRITING)
