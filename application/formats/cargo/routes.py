"""The addresses of a cargo registry: the sparse index at the root and below `index/`, and the web API.

The first route that matches wins, so what is no crate's file stands before the index.
Source: https://doc.rust-lang.org/cargo/reference/registry-web-api.html, …/registry-index.html#sparse-protocol
"""

from __future__ import annotations

from application.formats.cargo import finding, merging, owners, reading, remote, writing
from application.wire import Body, Route, ServerRoute

_CRATES = "/api/v1/crates"
_OWNERS = f"{_CRATES}/{{name}}/owners"
_UPLOAD = Body(kind="bytes")
_USERS = Body(kind="text", max_bytes=64 * 1024)

_WEB_API = (
    Route(method="PUT", pattern=f"{_CRATES}/new", needs="write", handler=writing.put_crate, body=_UPLOAD),
    Route(
        method="GET",
        pattern=_CRATES,
        needs="read",
        handler=finding.find_crates,
        remote=finding.find_upstream,
        virtual=finding.find_in_members,
    ),
    Route(
        method="GET",
        pattern=f"{_CRATES}/{{name}}/{{version}}/download",
        needs="read",
        handler=reading.get_crate,
        document=reading.crate_file_key,
        remote=remote.get_crate,
        package=reading.asked_package,
    ),
    Route(method="DELETE", pattern=f"{_CRATES}/{{name}}/{{version}}/yank", needs="write", handler=writing.yank),
    Route(method="PUT", pattern=f"{_CRATES}/{{name}}/{{version}}/unyank", needs="write", handler=writing.unyank),
    Route(method="GET", pattern=_OWNERS, needs="read", handler=owners.list_owners, package=reading.asked_package),
    Route(method="PUT", pattern=_OWNERS, needs="write", handler=owners.add_owners, body=_USERS),
    Route(method="DELETE", pattern=_OWNERS, needs="write", handler=owners.remove_owners, body=_USERS),
)

_INDEX = tuple(
    route
    for folder in ("/index", "")
    for route in (
        Route(
            method="GET",
            pattern=f"{folder}/config.json",
            needs="read",
            handler=reading.get_config,
            remote=reading.get_config,
            virtual=reading.get_own_config,
        ),
        *(
            Route(
                method="GET",
                pattern=f"{folder}/{pattern}",
                needs="read",
                handler=reading.get_index,
                document=reading.index_key,
                remote=remote.get_index,
                merge=merging.FILES,
                package=reading.indexed_key,
            )
            for pattern in ("{length}/{name}", "{first}/{second}/{name}")
        ),
    )
)

ROUTES = (*_WEB_API, *_INDEX)

PEOPLE = tuple(
    ServerRoute(method="GET", pattern=pattern, needs="nothing", handler=reading.get_login_page)
    for pattern in ("/me", "/{repository}/me")
)
"""What is the same for every repository, and says nothing of any: cargo looks for it at the address of one."""
