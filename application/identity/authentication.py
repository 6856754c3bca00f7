"""From credentials to principals. What was verified is remembered until access changes, so that a password costs its
hash once and not with every request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from application.identity.clients import ClientSeals
from application.identity.credentials import (
    COOKIE_VIA,
    PasswordShown,
    SecretShown,
    digest_of,
    looks_like_session,
    read_credential,
)
from application.identity.denials import Denials
from application.identity.directory import Directory
from application.identity.limits import Limits
from application.identity.remembering import REMEMBER_SECONDS, Known, KnownAccount, Remembered
from application.identity.session_tokens import SessionTokens, TokenUnreadable
from application.identity.sign_ins import SignIns
from application.identity.tickets import TicketRefused, Tickets
from application.identity.tokens import secret_hash
from domain.errors import RegistryError, Unauthenticated
from domain.event import Metadata
from domain.ids import ANONYMOUS
from domain.permissions import ANONYMOUS_PRINCIPAL, Principal
from domain.session import SessionOver
from domain.sign_in import CredentialRefused
from domain.token import is_secret

CLIENT_VIA = "client-token"

_READ_SCOPES = ("read:artifacts", "read:repositories")
_CLIENT_SCOPES = ("read:artifacts", "write:artifacts", "delete:artifacts")
_CLIENT_ACTIONS = frozenset(("read", "write", "delete"))


class TokenRefused(Unauthenticated):
    """Unknown, revoked or expired: the caller never learns which."""

    template = "the token is not valid"
    code = "UNAUTHORIZED"

    def __init__(self) -> None:
        super().__init__()


class Authenticator:
    """Keeps the Authenticator port of `application.access`.

    token_used: told of each use of an API token, from any thread. `remembered` never waits and is for the event loop;
    `authenticate` may ask the database and hash passwords.
    """

    def __init__(
        self,
        directory: Directory,
        sign_ins: SignIns,
        tokens: SessionTokens,
        tickets: Tickets,
        limits: Limits,
        denials: Denials,
        seals: ClientSeals,
        memory: Remembered,
        *,
        token_used: Callable[[UUID], None],
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._sign_ins = sign_ins
        self._tokens = tokens
        self._tickets = tickets
        self._limits = limits
        self._denials = denials
        self._seals = seals
        self._memory = memory
        self._token_used = token_used
        self._now = now

    def remembered(self, headers: Mapping[str, str]) -> Principal | None:
        """Who this is, when it was verified lately or nothing was shown; None when it must be asked."""
        digest = digest_of(headers)
        if digest is None:
            return ANONYMOUS_PRINCIPAL
        return self._recall(digest)

    def authenticate(self, headers: Mapping[str, str], client: str) -> Principal:
        """Who this is. Raises Unauthenticated for a credential that was shown and is not good."""
        digest = digest_of(headers)
        if digest is None:
            return ANONYMOUS_PRINCIPAL
        recalled = self._recall(digest)
        if recalled is not None:
            return recalled
        return self._memory.verify_once(digest, lambda: self._verify(headers, client)).principal

    def authenticate_secret(self, secret: str, client: str) -> Principal:
        """Who holds a token that came in another place than a header. Raises Unauthenticated."""
        return self.authenticate({"x-api-key": secret}, client)

    def redeem(self, ticket: str, path: str, client: str) -> Principal:
        """Who asked for a download ticket, confined to what it is for; the ticket is used up. Raises TicketRefused."""
        holder = self._tickets.redeem(ticket, path)
        known = None if holder is None else self._account(holder.user)
        if holder is None or known is None or not known.row.usable:
            self._denials.login_refused("ticket", None, client)
            raise TicketRefused
        confined = None if holder.repositories is None else frozenset(holder.repositories)
        principal = self._principal(known, "ticket", scopes=_READ_SCOPES, repositories=confined)
        if holder.all_repositories:
            principal = msgspec.structs.replace(principal, grants={}, everywhere=frozenset(("read",)))
        return msgspec.structs.replace(principal, admin=False)

    def access_changed(self, principals: frozenset[UUID] | None = None) -> None:
        """Forget these principals, or everybody, before anybody is told that the change is seen here."""
        self._memory.forget(principals)

    def _recall(self, digest: bytes) -> Principal | None:
        known = self._memory.recall(digest)
        if known is None:
            return None
        if known.token is not None:
            self._token_used(known.token)
        return known.principal

    def _account(self, user: UUID) -> KnownAccount | None:
        return self._memory.account(user, self._load_account)

    def _load_account(self, user: UUID) -> KnownAccount | None:
        row = self._directory.user(user)
        return None if row is None else KnownAccount(row, self._directory.grants_of(user))

    # verifying

    def _verify(self, headers: Mapping[str, str], client: str) -> Known:
        agent = headers.get("user-agent", "")
        try:
            shown = read_credential(headers)
            if isinstance(shown, PasswordShown):
                return self._verify_pair(shown, client, agent)
            assert shown is not None  # noqa: S101 - its digest was taken
            return self._verify_secret(shown)
        except CredentialRefused:
            raise  # noted where it was refused
        except Unauthenticated as error:
            self._denials.login_refused(_reason(error), None, client, agent)
            raise

    def _verify_pair(self, shown: PasswordShown, client: str, agent: str) -> Known:
        """A password, or a token in its place."""
        if is_secret(shown.password) or looks_like_session(shown.password):
            try:
                return self._verify_secret(SecretShown(shown.password))
            except TokenRefused:
                pass  # whoever chose such a password may sign in with it
        if self._limits.guessing(shown.username, client):
            raise CredentialRefused
        meta = Metadata(kind="anonymous", client=self._seals(None, client, agent))
        try:
            proven = self._sign_ins.check(shown.username, shown.password, meta, client)
        except CredentialRefused:
            self._limits.count_wrong_password(shown.username, client)
            raise
        known = self._account(proven.user.id)
        if known is None or not known.row.usable:
            raise CredentialRefused
        return Known(self._principal(known, "password"))

    def _verify_secret(self, shown: SecretShown) -> Known:
        if is_secret(shown.secret):
            return self._verify_token(shown.secret)
        if looks_like_session(shown.secret):
            return self._verify_session(shown)
        raise TokenRefused

    def _verify_session(self, shown: SecretShown) -> Known:
        try:
            claims = self._tokens.read(shown.secret, "access")
        except TokenUnreadable:
            return self._verify_client(shown.secret)
        known = self._account(claims.user)
        if known is None or not known.row.usable or claims.position < known.row.sessions_after:
            raise SessionOver
        if self._directory.session_ended(claims.session):
            raise SessionOver
        via = COOKIE_VIA if shown.cookie else "session"
        principal = self._principal(known, via, session=claims.session)
        return Known(principal, claims.expires_at - self._now().timestamp())

    def _verify_client(self, secret: str) -> Known:
        """What a package client got for a password, or for nothing: it is good for packages and for nothing else."""
        claims = self._tokens.read(secret, "client")
        left = claims.expires_at - self._now().timestamp()
        if claims.user == ANONYMOUS:
            return Known(ANONYMOUS_PRINCIPAL, left)
        known = self._account(claims.user)
        if known is None or not known.row.usable or claims.position < known.row.sessions_after:
            raise SessionOver
        principal = self._principal(known, CLIENT_VIA, scopes=_CLIENT_SCOPES)
        if principal.admin:
            principal = msgspec.structs.replace(principal, admin=False, grants={}, everywhere=_CLIENT_ACTIONS)
        return Known(principal, left)

    def _verify_token(self, secret: str) -> Known:
        row = self._directory.token_by_hash(secret_hash(secret))
        if row is None or row.revoked or row.is_expired(self._now()):
            raise TokenRefused
        known = self._account(row.user)
        if known is None or not known.row.usable:
            raise TokenRefused
        self._token_used(row.id)
        confined = None if row.repositories is None else frozenset(row.repositories)
        principal = self._principal(known, f"token:{row.id}", scopes=row.scopes, repositories=confined)
        left = REMEMBER_SECONDS if row.expires_at is None else (row.expires_at - self._now()).total_seconds()
        return Known(principal, left, row.id)

    @staticmethod
    def _principal(
        known: KnownAccount,
        via: str,
        *,
        scopes: tuple[str, ...] | None = None,
        repositories: frozenset[UUID] | None = None,
        session: UUID | None = None,
    ) -> Principal:
        row = known.row
        return Principal(
            id=row.id,
            kind=row.kind,
            username=row.username,
            via=via,
            admin=row.admin,
            must_change_password=row.must_change_password,
            scopes=scopes,
            repositories=repositories,
            grants=known.grants,
            session=session,
        )


def _reason(error: RegistryError) -> str:
    """What the log says of a credential that was refused."""
    match error:
        case TokenRefused():
            return "token"
        case SessionOver():
            return "session-over"
        case _:
            return "credential"
