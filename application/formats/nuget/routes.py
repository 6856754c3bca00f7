"""The addresses of a feed in both protocols; the second one at two roots, because clients put `api/` before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.formats.nuget import legacy, reading, remote, writing
from application.formats.nuget.names import package_key
from application.formats.nuget.publishing import ALGORITHMS
from application.formats.nuget.shelves import (
    Shelf,
    Told,
    from_members,
    from_upstream,
    kept_from_members,
    kept_from_upstream,
    local,
)
from application.wire import AnyAnswer, Body, Call, Document, Handler, Request, Route

_PACKAGE = Body(kind="either", algorithms=ALGORITHMS)
_FLAT = "/v3/flatcontainer/{id}"


def _whoever(handler: Handler) -> Callable[[Call, Sequence[Call]], AnyAnswer]:
    """The handler of a virtual repository for what does not depend on its members."""

    def answer(call: Call, members: Sequence[Call]) -> AnyAnswer:
        return handler(call)

    return answer


def _package(request: Request) -> str | None:
    return package_key(request.params["id"])


def _of_package(pattern: str, told: Callable[[Call, Shelf], Document]) -> Route:
    return Route(
        method="GET",
        pattern=pattern,
        needs="read",
        handler=local(told),
        document=reading.package_document_key,
        remote=kept_from_upstream(told),
        virtual=kept_from_members(told),
    )


def _asked(pattern: str, told: Told) -> Route:
    """What is made anew for each question."""
    return Route(
        method="GET",
        pattern=pattern,
        needs="read",
        handler=local(told),
        remote=from_upstream(told),
        virtual=from_members(told),
    )


def _same(pattern: str, handler: Handler) -> Route:
    """What is the same for every kind of repository."""
    return Route(
        method="GET",
        pattern=pattern,
        needs="read",
        handler=handler,
        remote=handler,
        virtual=_whoever(handler),
    )


def _file(pattern: str, handler: Handler, from_remote: Handler | None = None) -> Route:
    return Route(
        method="GET",
        pattern=pattern,
        needs="read",
        handler=handler,
        document=reading.package_file_key,
        remote=from_remote,
        package=_package,
    )


def _hive(root: str) -> tuple[Route, ...]:
    return (
        _of_package(f"{root}/{{id}}/index.json", reading.get_registration),
        _of_package(f"{root}/{{id}}/page/{{lower}}/{{upper}}", reading.get_page),
        _of_package(f"{root}/{{id}}/{{version}}", reading.get_leaf),
    )


_THIRD = (
    Route(
        method="GET",
        pattern="/v3/index.json",
        needs="read",
        handler=reading.get_services,
        document=reading.services_key,
        remote=reading.get_services,
        virtual=_whoever(reading.get_services),
    ),
    _of_package(f"{_FLAT}/index.json", reading.get_versions),
    _file(f"{_FLAT}/{{version}}/readme", reading.get_readme),
    _file(f"{_FLAT}/{{version}}/icon", reading.get_icon),
    _file(f"{_FLAT}/{{version}}/license", reading.get_license),
    _file(f"{_FLAT}/{{version}}/{{file}}", reading.get_archive, remote.get_file),
    *_hive("/v3/registration"),
    *_hive("/v3/registration-semver2"),
    _of_package("/v3/catalog/{id}/{version}", reading.get_catalog_entry),
    _asked("/v3/search", reading.search),
    _asked("/v3/autocomplete", reading.autocomplete),
)


def _second(root: str) -> tuple[Route, ...]:
    version = f"{root}/package/{{id}}/{{version}}"
    return (
        *(
            Route(method="PUT", pattern=f"{root}{tail}", needs="write", handler=writing.put_package, body=_PACKAGE)
            for tail in ("", "/", "/package", "/package/")
        ),
        *(
            Route(method="PUT", pattern=f"{root}/symbolpackage{tail}", needs="write", handler=writing.put_symbols)
            for tail in ("", "/")
        ),
        *(
            Route(method="DELETE", pattern=pattern, needs="write", handler=writing.unlist)
            for pattern in (version, f"{root}/{{id}}/{{version}}")
        ),
        Route(method="POST", pattern=version, needs="write", handler=writing.relist),
        _file(version, legacy.get_archive, remote.get_file),
        _asked(f"{root}/package/{{id}}", legacy.get_latest_archive),
        _same(root, legacy.get_service),
        _same(f"{root}/", legacy.get_service),
        _asked(f"{root}/{{resource}}/$count", legacy.count_resource),
        _asked(f"{root}/{{resource}}", legacy.get_resource),
    )


ROUTES = (*_THIRD, *_second("/v2"), *_second("/api/v2"))
