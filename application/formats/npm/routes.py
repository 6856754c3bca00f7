"""The addresses of an npm registry. Whatever has `-` as its first segment comes before packages.

A scoped name is one segment or two, so what follows a name is listed for both. `{name}/{rest}` is a version of a plain
package as well as a scoped package: `address` tells them apart.
Source: https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md, npm's callers of `npm-registry-fetch`
"""

from __future__ import annotations

import msgspec

from application.formats.npm import about, access, accounts, reading, writing
from application.formats.npm.finding import find_packages
from application.wire import Body, Route, ServerRoute

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


_TAGS = "/-/package/{name}/dist-tags"
_TAG = "/-/package/{name}/dist-tags/{tag}"

_REGISTRY = (
    Route(method="GET", pattern="/-/ping", needs="read", handler=about.ping),
    Route(method="GET", pattern="/-/whoami", needs="read", handler=about.whoami),
    Route(method="GET", pattern="/-/all", needs="read", handler=about.list_all),
    Route(method="GET", pattern="/-/v1/search", needs="read", handler=find_packages),
    Route(method="GET", pattern="/-/npm/v1/keys", needs="read", handler=about.list_keys),
    *(
        Route(
            method="POST", pattern=f"/-/npm/v1/security/{path}", needs="read", handler=about.refuse_audit, body=_AUDIT
        )
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
    Route(method="GET", pattern=_TAGS, needs="read", handler=reading.get_dist_tags, document=reading.tags_key),
    Route(method="PUT", pattern=_TAG, needs="write", handler=writing.put_dist_tag, body=_VERSION),
    Route(method="POST", pattern=_TAG, needs="write", handler=writing.put_dist_tag, body=_VERSION),
    Route(method="DELETE", pattern=_TAG, needs="write", handler=writing.delete_dist_tag),
    Route(method="GET", pattern="/-/package/{name}/visibility", needs="read", handler=access.get_visibility),
    Route(method="GET", pattern="/-/package/{name}/access", needs="read", handler=access.get_access),
    Route(method="POST", pattern="/-/package/{name}/access", needs="admin", handler=access.set_access, body=_SMALL),
    Route(method="GET", pattern="/-/package/{name}/collaborators", needs="admin", handler=access.list_collaborators),
    Route(method="GET", pattern="/-/npm/v1/attestations/{name}", needs="read", handler=reading.get_attestations),
)

_NOTHING_ELSE = tuple(
    Route(method=method, pattern="/-/{rest+}", needs="read", handler=about.refuse)
    for method in ("GET", "PUT", "POST", "DELETE")
)

_PACKAGES = _scoped(
    Route(
        method="GET",
        pattern="/{name}/-/{file}",
        needs="read",
        handler=reading.get_tarball,
        document=reading.tarball_key,
    ),
    Route(method="GET", pattern="/{name}", needs="read", handler=reading.get_package, document=reading.package_key),
    Route(
        method="GET", pattern="/{name}/{rest}", needs="read", handler=reading.get_package, document=reading.package_key
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
