"""Where everything of a feed is. Clients keep the index of services for half an hour: these do not move."""

from __future__ import annotations

import msgspec


class Addresses(msgspec.Struct, frozen=True):
    """The addresses below a repository. base: its own, without a final slash."""

    base: str

    @property
    def flat(self) -> str:
        """The root of packages by id and version."""
        return f"{self.base}/v3/flatcontainer/"

    def registration(self, *, semver2: bool) -> str:
        """The root of what is told of packages; of those that old clients cannot read in one of the two only."""
        return f"{self.base}/v3/registration{'-semver2' if semver2 else ''}/"

    def content(self, key: str, version: str) -> str:
        """Of an archive. version: in lower case, like the key."""
        return f"{self.flat}{key}/{version}/{key}.{version}.nupkg"

    def shown(self, key: str, version: str, role: str) -> str:
        """Of a file that a package shows: `readme`, `icon`, `license`."""
        return f"{self.flat}{key}/{version}/{role}"

    def catalog(self, key: str, version: str) -> str:
        """Of what a version says of itself."""
        return f"{self.base}/v3/catalog/{key}/{version}.json"

    @property
    def legacy(self) -> str:
        """The root of the second protocol."""
        return f"{self.base}/v2"

    def legacy_content(self, name: str, version: str) -> str:
        """Of an archive, in the second protocol."""
        return f"{self.legacy}/package/{name}/{version}"
