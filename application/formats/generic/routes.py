"""The addresses of raw files: `/{path}` is a file, `/{path}/` a directory. Any format can be read here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.formats.generic import copying, merging, properties, reading, remote, webdav, writing
from application.formats.generic.digests import PUBLISHED
from application.wire import NO_BODY, AnyAnswer, Body, Call, Handler, Needs, Route

_BYTES = Body(kind="bytes", algorithms=PUBLISHED, announced=True)
_FORM = Body(kind="form", algorithms=PUBLISHED)
_TEXT = Body(kind="text", max_bytes=properties.MAX_BODY_BYTES)

_ANYWHERE = ("/{path+}", "/{path+}/", "/")
_DIRECTORIES = ("/{path+}/", "/")


def _everywhere(
    method: str,
    needs: Needs,
    handler: Handler,
    body: Body = NO_BODY,
    *,
    any_format: bool = False,
    remote: Handler | None = None,
    virtual: Callable[[Call, Sequence[Call]], AnyAnswer] | None = None,
) -> tuple[Route, ...]:
    return tuple(
        Route(
            method=method,
            pattern=pattern,
            needs=needs,
            handler=handler,
            body=body,
            any_format=any_format,
            remote=remote,
            virtual=virtual,
        )
        for pattern in _ANYWHERE
    )


READS = (
    Route(
        method="GET",
        pattern="/{path+}",
        needs="read",
        handler=reading.get_file,
        document=reading.file_key,
        any_format=True,
        remote=remote.get_file,
    ),
    *(
        Route(
            method="GET",
            pattern=pattern,
            needs="read",
            handler=reading.get_listing,
            document=reading.listing_key,
            any_format=True,
            remote=remote.get_listing,
            merge=merging.LISTINGS,
        )
        for pattern in _DIRECTORIES
    ),
    *_everywhere(
        "PROPFIND",
        "read",
        webdav.propfind,
        _TEXT,
        any_format=True,
        remote=remote.kept(webdav.propfind),
        virtual=merging.propfind,
    ),
    *_everywhere(
        "OPTIONS", "read", webdav.options, any_format=True, remote=remote.kept(webdav.options), virtual=merging.options
    ),
    *_everywhere("COPY", "read", copying.copy, any_format=True),
)

WRITES = (
    Route(method="PUT", pattern="/{path+}", needs="write", handler=writing.put_file, body=_BYTES, admit=writing.admit),
    *(
        Route(method="PUT", pattern=pattern, needs="write", handler=writing.put_directory, body=_BYTES)
        for pattern in _DIRECTORIES
    ),
    *(
        Route(method="POST", pattern=pattern, needs="write", handler=writing.post_form, body=_FORM)
        for pattern in _DIRECTORIES
    ),
    Route(method="POST", pattern="/{path+}", needs="write", handler=copying.copy_here),
    *_everywhere("PATCH", "write", properties.patch, _TEXT),
    *_everywhere("MKCOL", "write", webdav.make_directory),
    *_everywhere("MOVE", "delete", copying.move),
    Route(method="DELETE", pattern="/{path+}", needs="delete", handler=writing.delete_file),
    *(
        Route(method="DELETE", pattern=pattern, needs="delete", handler=writing.delete_directory)
        for pattern in _DIRECTORIES
    ),
)

ROUTES = READS + WRITES
