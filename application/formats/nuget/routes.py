"""The addresses of a feed in both protocols; the second one at two roots, because clients put `api/` before it."""

from __future__ import annotations

from application.formats.nuget import legacy, reading, writing
from application.formats.nuget.publishing import ALGORITHMS
from application.wire import Body, Handler, Route

_PACKAGE = Body(kind="either", algorithms=ALGORITHMS)
_FLAT = "/v3/flatcontainer/{id}"


def _of_package(pattern: str, handler: Handler) -> Route:
    return Route(method="GET", pattern=pattern, needs="read", handler=handler, document=reading.package_document_key)


def _file(pattern: str, handler: Handler) -> Route:
    return Route(method="GET", pattern=pattern, needs="read", handler=handler, document=reading.package_file_key)


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
    ),
    _of_package(f"{_FLAT}/index.json", reading.get_versions),
    _file(f"{_FLAT}/{{version}}/readme", reading.get_readme),
    _file(f"{_FLAT}/{{version}}/icon", reading.get_icon),
    _file(f"{_FLAT}/{{version}}/license", reading.get_license),
    _file(f"{_FLAT}/{{version}}/{{file}}", reading.get_archive),
    *_hive("/v3/registration"),
    *_hive("/v3/registration-semver2"),
    _of_package("/v3/catalog/{id}/{version}", reading.get_catalog_entry),
    Route(method="GET", pattern="/v3/search", needs="read", handler=reading.search),
    Route(method="GET", pattern="/v3/autocomplete", needs="read", handler=reading.autocomplete),
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
        _file(version, legacy.get_archive),
        Route(method="GET", pattern=f"{root}/package/{{id}}", needs="read", handler=legacy.get_latest_archive),
        Route(method="GET", pattern=root, needs="read", handler=legacy.get_service),
        Route(method="GET", pattern=f"{root}/", needs="read", handler=legacy.get_service),
        Route(method="GET", pattern=f"{root}/{{resource}}/$count", needs="read", handler=legacy.count_resource),
        Route(method="GET", pattern=f"{root}/{{resource}}", needs="read", handler=legacy.get_resource),
    )


ROUTES = (*_THIRD, *_second("/v2"), *_second("/api/v2"))
