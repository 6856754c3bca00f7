"""Where a request came from, sealed for the log under the key of whoever sent it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from application.ports import PersonalData
from domain.errors import Gone
from domain.event import Metadata
from domain.ids import ANONYMOUS

MAX_AGENT = 512


class Client(msgspec.Struct, frozen=True, array_like=True):
    """Address and user agent of a client."""

    address: str
    agent: str = ""


class ClientSeals:
    """Seals and opens the client in the metadata of events."""

    def __init__(self, personal: PersonalData) -> None:
        self._personal = personal

    def __call__(self, person: UUID | None, address: str, agent: str) -> bytes:
        """The sealed client of a request; empty when the person was erased while they were asking."""
        plaintext = msgspec.json.encode(Client(address, agent[:MAX_AGENT]))
        try:
            return self._personal.seal(person or ANONYMOUS, plaintext)
        except Gone:
            return b""

    def open(self, meta: Metadata) -> Client | None:
        """The client of an event; None when there was none or its person was erased."""
        if not meta.client:
            return None
        plaintext = self._personal.open(meta.by or ANONYMOUS, meta.client)
        return None if plaintext is None else msgspec.json.decode(plaintext, type=Client)

    def hand_over(self, meta: Metadata, person: UUID, kind: str, via: str) -> Metadata:
        """The metadata of an anonymous request that turned out to be this person's."""
        client = self.open(meta)
        sealed = b"" if client is None else self(person, client.address, client.agent)
        return msgspec.structs.replace(meta, by=person, kind=kind, via=via, client=sealed)
