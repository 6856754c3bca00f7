"""Tokens that package clients swap a credential for before they ask for anything, as those of containers do.

Whoever shows an API token or a session's gets it back: it can be revoked, and what came of it could not. A password
becomes a token that lives for minutes and is good for packages alone; nothing becomes one that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from application.access import Authenticator
from application.identity.credentials import PasswordShown, SecretShown, read_credential
from application.identity.session_tokens import SessionTokens
from application.publishing import Progress
from domain.errors import Unauthenticated
from domain.ids import ANONYMOUS
from domain.permissions import Principal


class ClientToken(msgspec.Struct, frozen=True):
    """A token to send as Bearer. seconds: how long it is good at least, if nobody revokes it."""

    secret: str
    seconds: int
    issued_at: datetime


class ClientTokens:
    """Issues them. head: the last position of the log."""

    def __init__(
        self,
        tokens: SessionTokens,
        authenticator: Authenticator,
        head: Callable[[], int],
        progress: Progress,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tokens = tokens
        self._authenticator = authenticator
        self._head = head
        self._progress = progress
        self._now = now

    def issue(self, headers: Mapping[str, str], client: str) -> ClientToken:
        """A token for the credential in these headers. Raises Unauthenticated for one that is not good.

        client: the address. The credential is judged by everything that was known when this began, so that a password
        which is no longer good leaves no token behind.
        """
        position = self._head()
        self._progress.reached(("access",), position)
        principal = self._authenticator.authenticate(headers, client)
        return ClientToken(self._secret(principal, headers, position), self._tokens.client_seconds, self._now())

    def _secret(self, principal: Principal, headers: Mapping[str, str], position: int) -> str:
        if principal.id is None:
            return self._tokens.client(ANONYMOUS, position)
        if principal.via == "password":
            return self._tokens.client(principal.id, position)
        match read_credential(headers):
            case PasswordShown(password=secret) | SecretShown(secret=secret, cookie=False):
                return secret
            case _:
                raise Unauthenticated("show a password or a token in the Authorization header")
