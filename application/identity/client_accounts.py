"""What package clients do about the people who use them: sign in for a token, list and revoke tokens, ask for names.

Formats whose clients have such commands (npm login, token, owner) share this; the console and the API have richer ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from application.identity.clients import ClientSeals
from application.identity.directory import Directory, TokenRow, UserRow
from application.identity.limits import Limits
from application.identity.sign_ins import SignIns
from application.identity.tokens import CreatedToken, NewToken, Tokens, secret_hash
from domain.account import AccountNotFound
from domain.errors import Forbidden
from domain.event import Metadata
from domain.permissions import Principal
from domain.token import TokenNotFound, is_secret

READ_SCOPES = ("read:artifacts",)
WRITE_SCOPES = ("read:artifacts", "write:artifacts")
_DELETE_SCOPE = "delete:artifacts"


class PasswordChangeNeeded(Forbidden):
    """Somebody else chose this password; it opens nothing but the door to a new one."""

    template = "choose a new password first, in the console or through the API"

    def __init__(self) -> None:
        super().__init__()


class SignedInClient(msgspec.Struct, frozen=True):
    """Who proved a password, and the metadata of what they do next."""

    user: UserRow
    meta: Metadata

    @property
    def scopes(self) -> list[str]:
        """Everything that a package client does; deleting only where the account may hand that out."""
        return [*WRITE_SCOPES, _DELETE_SCOPE] if self.user.admin else list(WRITE_SCOPES)


class ClientAccounts:
    """Sign-in, tokens and names for package clients."""

    def __init__(
        self, directory: Directory, sign_ins: SignIns, tokens: Tokens, limits: Limits, seals: ClientSeals
    ) -> None:
        self._directory = directory
        self._sign_ins = sign_ins
        self._tokens = tokens
        self._limits = limits
        self._seals = seals

    def sign_in(self, username: str, password: str, meta: Metadata, client: str) -> SignedInClient:
        """Whose password this is. Raises CredentialRefused, TooMany, PasswordChangeNeeded. client: the address."""
        self._limits.take_login(username, client)
        user = self._sign_ins.check(username, password, meta, client).user
        if user.must_change_password:
            raise PasswordChangeNeeded
        return SignedInClient(user, self._seals.hand_over(meta, user.id, user.kind, "password"))

    def create_token(self, signed_in: SignedInClient, new: NewToken) -> CreatedToken:
        """A token for whoever just proved their password. Raises Invalid, ScopeRefused."""
        user = signed_in.user
        caller = Principal(id=user.id, kind=user.kind, username=user.username, via="password", admin=user.admin)
        return self._tokens.create(user.id, new, caller, signed_in.meta)

    def tokens_of(self, user: UUID, now: datetime) -> Sequence[TokenRow]:
        """The user's tokens that still open something, oldest first."""
        return [token for token in self._directory.tokens_of(user) if not token.is_expired(now)]

    def revoke(self, user: UUID, key: str, meta: Metadata) -> None:
        """Take one of the user's own tokens back, by its id or by the token itself. Raises TokenNotFound."""
        token = self._directory.token_by_hash(secret_hash(key)) if is_secret(key) else self._token(key)
        if token is None or token.user != user or token.revoked:
            raise TokenNotFound
        self._tokens.revoke(token.id, meta)

    def user(self, username: str) -> UserRow:
        """The live account of that name. Raises AccountNotFound."""
        row = self._directory.user_by_username(username)
        if row is None:
            raise AccountNotFound(username[:128])
        return row

    def usernames(self, users: Collection[UUID]) -> dict[UUID, str]:
        """Names to show; an erased person has none."""
        return self._directory.usernames(users)

    def _token(self, key: str) -> TokenRow | None:
        try:
            return self._directory.token(UUID(key))
        except ValueError:
            return None
