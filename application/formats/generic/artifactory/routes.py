"""Where the protocol lies: `/artifactory/{repo}/…` for bytes, `/artifactory/api/…/{repo}/…` for everything else."""

from __future__ import annotations

from application.format import Mount
from application.formats.generic import remote
from application.formats.generic.artifactory import changing, searches, telling
from application.formats.generic.artifactory.documents import CONTEXT, answer_error
from application.formats.generic.digests import PUBLISHED
from application.formats.generic.properties import MAX_BODY_BYTES
from application.wire import NO_BODY, Body, Handler, Needs, Route, ServerHandler, ServerRoute

_BYTES = Body(kind="bytes", algorithms=PUBLISHED, announced=True)
_TEXT = Body(kind="text", max_bytes=MAX_BODY_BYTES)


def _any_path(
    method: str, needs: Needs, handler: Handler, body: Body = NO_BODY, remote: Handler | None = None
) -> tuple[Route, ...]:
    return tuple(
        Route(method=method, pattern=pattern, needs=needs, handler=handler, body=body, any_format=True, remote=remote)
        for pattern in ("/{path+}", "/{path+}/", "/")
    )


def _server(method: str, pattern: str, handler: ServerHandler, body: Body = NO_BODY) -> ServerRoute:
    return ServerRoute(method=method, pattern=pattern, needs="nothing", handler=handler, body=body)


_FILES = (
    *_any_path("GET", "read", telling.get, remote=remote.get),
    *(
        Route(
            method="PUT",
            pattern=pattern,
            needs="write",
            handler=changing.deploy,
            body=_BYTES,
            any_format=True,
            admit=changing.admit,
        )
        for pattern in ("/{path+}", "/{path+}/", "/")
    ),
    *_any_path("DELETE", "delete", changing.delete),
)

_SERVER = (
    _server("GET", "/api/system/ping", searches.ping),
    _server("GET", "/api/system/version", searches.version),
    _server("GET", "/api/security/encryptedPassword", searches.no_encrypted_password),
    _server("GET", "/api/repositories", searches.list_repositories),
    _server("GET", "/api/repositories/{key}", searches.show_repository),
    _server("GET", "/api/search/artifact", searches.find_by_name),
    _server("GET", "/api/search/prop", searches.find_by_properties),
    _server("GET", "/api/search/checksum", searches.find_by_checksum),
    _server("POST", "/api/search/aql", searches.find_by_query, _TEXT),
)

_STORAGE = (
    *_any_path("GET", "read", telling.show, remote=remote.kept(telling.show)),
    *_any_path("PUT", "write", changing.set_properties),
    *_any_path("DELETE", "write", changing.remove_properties),
)


def _mount(below: str, routes: tuple[Route, ...], server_routes: tuple[ServerRoute, ...] = ()) -> Mount:
    return Mount(prefix=CONTEXT + below, routes=routes, error=answer_error, server_routes=server_routes)


MOUNTS = (
    _mount("", _FILES, _SERVER),
    _mount("/api/storage", _STORAGE),
    _mount("/api/metadata", _any_path("PATCH", "write", changing.update_properties, _TEXT)),
    _mount("/api/copy", _any_path("POST", "read", changing.copy)),
    _mount("/api/move", _any_path("POST", "delete", changing.move)),
)
