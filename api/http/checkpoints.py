"""The log's head, and names for positions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from api.app import App
from domain.event import Metadata


class NameBody(msgspec.Struct, frozen=True):
    """A name for a position; without one, for the present."""

    name: str
    position: int | None = None


class NamedBody(msgspec.Struct, frozen=True):
    """A named position."""

    name: str
    position: int


When = Annotated[str, PathParameter(description="What may follow the `@` of a repository: `2026-03-03`, `release-7`.")]


class CheckpointsController(Controller):
    """`/api/v1/checkpoints`: `libs@release-7` reads `libs` as of the position of that name."""

    path = "/api/v1/checkpoints"
    tags = ["time travel"]

    @get(opt={"needs": "user"}, sync_to_thread=True)
    def list_checkpoints(self, app: NamedDependency[App]) -> list[NamedBody]:
        """Every named position, by name."""
        return [NamedBody(name, position) for name, position in app.catalogue.checkpoints()]

    @post(opt={"needs": "admin"}, sync_to_thread=True, status_code=201)
    def name_position(
        self, app: NamedDependency[App], meta: NamedDependency[Metadata], data: JSONBody[NameBody]
    ) -> NamedBody:
        """Give a position a name, for ever."""
        position = data.position if data.position is not None else app.log.head()
        app.repositories.name_position(data.name, position, meta)
        return NamedBody(data.name, position)

    @get("/{when:str}", opt={"needs": "user"}, sync_to_thread=True)
    def position(self, app: NamedDependency[App], when: When) -> NamedBody:
        """The position that a date, time, name or number means."""
        return NamedBody(when, app.resolver.position(when))
