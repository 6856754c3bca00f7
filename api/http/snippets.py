"""What people copy to use a repository."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency

from api.app import App
from application.resolving import Resolved
from application.setting_up import Snippet, filled


class SetupBody(msgspec.Struct, frozen=True):
    """Text for clients. url: the repository's own address. TOKEN in the text stands for a token of the reader's."""

    repository_key: str
    format: str
    url: str
    snippets: list[Snippet]


class SnippetsController(Controller):
    """`/api/v1/repositories/{key}/setup`."""

    path = "/api/v1/repositories/{key:str}/setup"
    tags = ["repositories"]

    @get(opt={"needs": "repository:read"}, sync_to_thread=True)
    def setup(
        self, app: NamedDependency[App], resolved: NamedDependency[Resolved], request: Request[Any, Any, Any]
    ) -> SetupBody:
        """How package managers are told to use the repository."""
        row = resolved.repository
        base_url = str(request.scope["base_url"])  # type: ignore[typeddict-item]
        found = app.formats.by_key(row.format)
        if found is None:
            return SetupBody(row.key, row.format, base_url, [])
        snippets = filled(found.setup, found.prefix, row.key, base_url)
        return SetupBody(row.key, row.format, f"{base_url}/{found.prefix}/{row.key}", snippets)
