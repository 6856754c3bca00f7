"""The running registry as the tests of clients arrange it: people, repositories and moments, all through its API.

libs = registry.repository("npm", ada="read write delete admin", rita="read")
ada = registry.person("ada")
registry.call("GET", f"/npm/{libs.key}/hello", auth=ada).json()
then = libs.now()   # `@moment-3`: what addresses take to mean this moment, for ever
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from tests.live import ADMIN_PASSWORD, Live, Reply


class Person(msgspec.Struct, frozen=True):
    """Somebody with an account. token: may do whatever the account may."""

    name: str
    password: str
    id: str
    token: str


class Repository:
    """A repository of a running registry. prefix: the first segment of the addresses that its clients use."""

    def __init__(self, registry: Registry, key: str, id: str, prefix: str) -> None:
        self.registry, self.key, self.id, self.prefix = registry, key, id, prefix

    def path(self, rest: str = "", at: str = "") -> str:
        """Where something is, from the root of the server. at: a moment, as `now` gives it."""
        return f"/{self.prefix}/{self.key}{at}/{rest}"

    def url(self, at: str = "", auth: tuple[str, str] | None = None) -> str:
        """The whole address, with a slash at its end. auth: a name and a password to be part of it."""
        credentials = f"{quote(auth[0], safe='')}:{quote(auth[1], safe='')}@" if auth else ""
        return self.registry.url.replace("://", f"://{credentials}") + self.path(at=at)

    def grant(self, person: Person, actions: str) -> None:
        """Let somebody do more: `"read write"`."""
        body = {
            "principal_type": "user",
            "principal_id": person.id,
            "target_type": "repository",
            "target_id": self.id,
            "actions": actions.split(),
        }
        self.registry.done("POST", "/api/v1/permissions", body)

    def now(self) -> str:
        """`@` and a name for the position that the log has reached."""
        return f"@{self.registry.name_position()}"


class Registry:
    """`artifact-keeper serve`, and what its administrator does."""

    def __init__(self, running: Live) -> None:
        self.running = running
        self.url = running.url
        self._people: dict[str, Person] = {}
        self._numbers = itertools.count(1)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        auth: Person | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request. body: bytes, or what becomes JSON."""
        user, password = (auth.name, auth.password) if auth else ("", "")
        return self.running.request(method, path, body, user=user, password=password, headers=headers)

    def done(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request of the administrator that must succeed; its JSON."""
        reply = self.running.request(method, path, body, user="admin", password=ADMIN_PASSWORD)
        assert reply.status < 300, (method, path, reply.status, reply.body)
        return reply.json() if reply.body else None

    def person(self, name: str, *, admin: bool = False) -> Person:
        """The account of that name, the same in every test; it has no rights but those it is granted."""
        if name not in self._people:
            password = f"{name} has chosen with care"
            body = {"username": name, "email": f"{name}@example.org", "password": password, "is_admin": admin}
            user = self.done("POST", "/api/v1/users", body)["user"]["id"]
            token = self.done("POST", f"/api/v1/users/{user}/tokens", {"name": "tests", "scopes": ["*"]})["token"]
            self._people[name] = Person(name, password, user, token)
        return self._people[name]

    def repository(
        self,
        format: str,
        prefix: str = "",
        *,
        public: bool = True,
        settings: dict[str, Any] | None = None,
        **grants: str,
    ) -> Repository:
        """A new repository, and what people may do to it: `ada="read write"`. settings: more of the body."""
        key = f"{format}-{next(self._numbers)}"
        body = {"key": key, "name": key, "format": format, "is_public": public, **(settings or {})}
        created = Repository(self, key, self.done("POST", "/api/v1/repositories", body)["id"], prefix or format)
        for name, actions in grants.items():
            created.grant(self.person(name), actions)
        return created

    def name_position(self) -> str:
        """A name for where the log is now."""
        name = f"moment-{next(self._numbers)}"
        self.done("POST", "/api/v1/checkpoints", {"name": name})
        return name


def moment() -> str:
    """`@` and this time, to the microsecond; what happens after it is not seen there."""
    return f"@{datetime.now(UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')}"
