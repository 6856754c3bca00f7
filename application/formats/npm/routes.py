"""The addresses of an npm registry. Whatever has `-` as its first segment comes before packages.

A scoped name is one segment or two, so what follows a name is listed for both. `{name}/{rest}` is a version of a plain
package as well as a scoped package: `address` tells them apart.
Source: https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md, npm's callers of `npm-registry-fetch`
"""

from __future__ import annotations

import msgspec

from application.formats.npm import about, access, accounts, merging, reading, remote, writing
from application.formats.npm.address import PackageNotFound, address_of, existing_name
from application.formats.npm.finding import find_packages
from application.formats.npm.reading import ATTESTATIONS_BELOW, TAGS_BELOW
from application.wire import NO_BODY, Body, Handler, Request, Route, ServerRoute

_DOCUMENT = Body(kind="bytes")
_VERSION = Body(kind="text", max_bytes=4096)
_SMALL = Body(kind="text", max_bytes=64 * 1024)
_AUDIT = Body(kind="text")


def _scoped(*routes: Route) -> tuple[Route, ...]:
    """The routes, and once more with the name in two segments."""
    return tuple(
        msgspec.structs.replace(route, pattern=pattern)
        for route in routes
        for pattern in (route.pattern, route.pattern.replace("{name}", "@{scope}/{name}"))
    )


def _everywhere(method: str, pattern: str, handler: Handler, body: Body = NO_BODY) -> Route:
    """A route that is answered alike by repositories of every kind."""
    return Route(
        method=method,
        pattern=pattern,
        needs="read",
        handler=handler,
        body=body,
        remote=handler,
        virtual=merging.itself(handler),
    )


def _package(request: Request) -> str | None:
    return _named(request, 0)


def _package_below(request: Request) -> str | None:
    return _named(request, TAGS_BELOW)


def _package_attested(request: Request) -> str | None:
    try:
        return existing_name("/".join(request.segments[ATTESTATIONS_BELOW:]).rpartition("@")[0])
    except PackageNotFound:
        return None


def _named(request: Request, below: int) -> str | None:
    try:
        return address_of(request, below).name
    except PackageNotFound:
        return None


_TAGS = "/-/package/{name}/dist-tags"
_TAG = "/-/package/{name}/dist-tags/{tag}"

_REGISTRY = (
    _everywhere("GET", "/-/ping", about.ping),
    _everywhere("GET", "/-/whoami", about.whoami),
    _everywhere("GET", "/-/all", about.list_all),
    Route(
        method="GET",
        pattern="/-/v1/search",
        needs="read",
        handler=find_packages,
        remote=remote.find_packages,
        virtual=merging.find_everywhere,
    ),
    Route(
        method="GET",
        pattern="/-/npm/v1/keys",
        needs="read",
        handler=about.list_keys,
        remote=remote.get_keys,
        virtual=merging.all_keys,
    ),
    *(
        _everywhere("POST", f"/-/npm/v1/security/{path}", about.refuse_audit, _AUDIT)
        for path in ("advisories/bulk", "audits/quick", "audits")
    ),
)

_USER = "/{repository}/-/user/org.couchdb.user:{user}"
_TOKENS = "/{repository}/-/npm/v1/tokens"
_PROFILE = "/{repository}/-/npm/v1/user"

PEOPLE = (
    ServerRoute(method="PUT", pattern=_USER, needs="nothing", handler=accounts.put_user, body=_SMALL),
    ServerRoute(
        method="PUT", pattern=f"{_USER}/-rev/{{revision}}", needs="nothing", handler=accounts.put_user, body=_SMALL
    ),
    ServerRoute(method="GET", pattern=_USER, needs="nothing", handler=accounts.get_user),
    ServerRoute(
        method="DELETE", pattern="/{repository}/-/user/token/{token}", needs="nothing", handler=accounts.logout
    ),
    ServerRoute(method="GET", pattern=_TOKENS, needs="nothing", handler=accounts.list_tokens),
    ServerRoute(method="POST", pattern=_TOKENS, needs="nothing", handler=accounts.create_token, body=_SMALL),
    ServerRoute(method="DELETE", pattern=f"{_TOKENS}/token/{{key}}", needs="nothing", handler=accounts.delete_token),
    ServerRoute(method="GET", pattern=_PROFILE, needs="nothing", handler=accounts.get_profile),
    ServerRoute(method="POST", pattern=_PROFILE, needs="nothing", handler=accounts.refuse_profile_change, body=_SMALL),
    ServerRoute(
        method="POST", pattern="/{repository}/-/v1/login", needs="nothing", handler=about.refuse_web_login, body=_SMALL
    ),
)
"""What clients ask of the registry at the address of a repository, and which says nothing of that repository: neither
what is in it nor whether there is one.
"""

_ABOUT_PACKAGES = _scoped(
    Route(
        method="GET",
        pattern=_TAGS,
        needs="read",
        handler=reading.get_dist_tags,
        document=reading.tags_key,
        remote=remote.get_dist_tags,
        package=_package_below,
    ),
    Route(method="PUT", pattern=_TAG, needs="write", handler=writing.put_dist_tag, body=_VERSION),
    Route(method="POST", pattern=_TAG, needs="write", handler=writing.put_dist_tag, body=_VERSION),
    Route(method="DELETE", pattern=_TAG, needs="write", handler=writing.delete_dist_tag),
    Route(
        method="GET",
        pattern="/-/package/{name}/visibility",
        needs="read",
        handler=access.get_visibility,
        package=_package_below,
    ),
    Route(
        method="GET",
        pattern="/-/package/{name}/access",
        needs="read",
        handler=access.get_access,
        package=_package_below,
    ),
    Route(method="POST", pattern="/-/package/{name}/access", needs="admin", handler=access.set_access, body=_SMALL),
    Route(method="GET", pattern="/-/package/{name}/collaborators", needs="admin", handler=access.list_collaborators),
    Route(
        method="GET",
        pattern="/-/npm/v1/attestations/{name}",
        needs="read",
        handler=reading.get_attestations,
        remote=remote.get_attestations,
        package=_package_attested,
    ),
)

_NOTHING_ELSE = tuple(_everywhere(method, "/-/{rest+}", about.refuse) for method in ("GET", "PUT", "POST", "DELETE"))

_PACKAGES = _scoped(
    Route(
        method="GET",
        pattern="/{name}/-/{file}",
        needs="read",
        handler=reading.get_tarball,
        document=reading.tarball_key,
        remote=remote.get_tarball,
        package=_package,
    ),
    Route(
        method="GET",
        pattern="/{name}",
        needs="read",
        handler=reading.get_package,
        document=reading.package_key,
        remote=remote.get_package,
        merge=merging.PACKUMENTS,
        package=_package,
    ),
    Route(
        method="GET",
        pattern="/{name}/{rest}",
        needs="read",
        handler=reading.get_package,
        document=reading.package_key,
        remote=remote.get_package,
        package=_package,
    ),
    Route(method="PUT", pattern="/{name}", needs="write", handler=writing.put_package, body=_DOCUMENT),
    Route(
        method="PUT",
        pattern="/{name}/-rev/{revision}",
        needs="write",
        handler=writing.put_revision,
        body=_DOCUMENT,
    ),
    Route(method="DELETE", pattern="/{name}/-rev/{revision}", needs="delete", handler=writing.delete_package),
    Route(
        method="DELETE",
        pattern="/{name}/-/{file}/-rev/{revision}",
        needs="delete",
        handler=writing.delete_tarball,
    ),
)

ROUTES = (*_REGISTRY, *_ABOUT_PACKAGES, *_NOTHING_ELSE, *_PACKAGES)
