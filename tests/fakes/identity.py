"""Ports of accounts and sessions in memory. The directory folds the log anew at each question: it never lags."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from uuid import UUID

import msgspec

from application.identity.directory import GrantFilter, GrantRow, TokenRow, UserFilter, UserRow
from application.identity.tickets import TicketHolder
from application.log import Recorded
from application.ports import Allowance
from domain.account import PasswordChanged, Profile, UserCreated, UserDeleted, UserErased, UserUpdated, name_key
from domain.errors import Gone
from domain.permissions import GrantGiven, GrantRevoked
from domain.session import SessionEnded, SessionStarted
from domain.token import TokenCreated, TokenRevoked
from tests.fakes.log import MemoryLog


class MemoryPersonal:
    """The PersonalData port, readable in a debugger."""

    def __init__(self) -> None:
        self.erased: set[UUID] = set()
        self.seals = 0

    def seal(self, person: UUID, plaintext: bytes) -> bytes:
        if person in self.erased:
            raise Gone("erased")
        self.seals += 1
        return b"%d:" % self.seals + person.bytes + plaintext[::-1]

    def open(self, person: UUID, sealed: bytes) -> bytes | None:
        owner, _, text = sealed.partition(b":")[2].partition(person.bytes)
        assert owner == b"", "sealed for somebody else"
        return None if person in self.erased else text[::-1]

    def erase(self, person: UUID) -> None:
        self.erased.add(person)

    def name_digest(self, kind: str, name: str) -> str:
        return hashlib.sha256(f"{kind}{name_key(name)}".encode()).hexdigest()


class PlainPasswords:
    """The Passwords port without the cost; counts what it was asked."""

    def __init__(self) -> None:
        self.verified: list[str | None] = []

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify(self, stored: str | None, password: str) -> bool:
        self.verified.append(stored)
        return stored == f"hash of {password}"

    def is_outdated(self, stored: str) -> bool:
        return False


class NoWaiting:
    """The Progress port where read models never lag; remembers what was waited for."""

    def __init__(self) -> None:
        self.waited: list[tuple[tuple[str, ...], int]] = []

    def reached(self, names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        self.waited.append((tuple(names), position))
        return True


class CountingLimiter:
    """The RateLimiter port with windows that never end."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}

    def take(self, key: str, limit: int, window_seconds: int) -> Allowance:
        self.used[key] = self.used.get(key, 0) + 1
        return Allowance(self.used[key] <= limit, limit, max(0, limit - self.used[key]), window_seconds)

    def peek(self, key: str, limit: int, window_seconds: int) -> Allowance:
        used = self.used.get(key, 0)
        return Allowance(used < limit, limit, max(0, limit - used), window_seconds)


class MemoryTickets:
    """The Tickets port."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[TicketHolder, str | None]] = {}

    def issue(self, holder: TicketHolder, path: str | None) -> str:
        ticket = f"ticket-{len(self.held)}"
        self.held[ticket] = (holder, path)
        return ticket

    def redeem(self, ticket: str, path: str) -> TicketHolder | None:
        holder, bound = self.held.get(ticket, (None, None))
        if holder is None or bound not in (None, path):
            return None
        del self.held[ticket]
        return holder


class MemoryPasswordFile:
    """The PasswordFile port."""

    def __init__(self) -> None:
        self.text: str | None = None

    def exists(self) -> bool:
        return self.text is not None

    def keep(self, password: str) -> str:
        self.text = self.text or password
        return self.text

    def remove(self) -> None:
        self.text = None


class FoldedDirectory:
    """The Directory port. asked: how many questions it was asked, by name."""

    def __init__(self, log: MemoryLog, personal: MemoryPersonal) -> None:
        self._log = log
        self._personal = personal
        self.asked: dict[str, int] = {}

    def user(self, user: UUID) -> UserRow | None:
        self._count("user")
        return self._users().get(user)

    def user_by_username(self, username: str) -> UserRow | None:
        self._count("user_by_username")
        return next((row for row in self._live() if name_key(row.username) == name_key(username)), None)

    def user_by_email(self, email: str) -> UserRow | None:
        return next((row for row in self._live() if name_key(row.email) == name_key(email)), None)

    def users(self, wanted: UserFilter, *, limit: int, offset: int = 0) -> tuple[list[UserRow], int]:
        found = sorted(self._live(), key=lambda row: row.username)
        return found[offset : offset + limit], len(found)

    def usernames(self, users: Collection[UUID]) -> dict[UUID, str]:
        return {row.id: row.username for row in self._users().values() if row.id in users and row.username}

    def administrators(self) -> int:
        return sum(row.admin and row.active for row in self._live())

    def provisional_administrator(self) -> UserRow | None:
        return next((row for row in self._live() if row.setup), None)

    def token(self, token: UUID) -> TokenRow | None:
        return next((row for row, _ in self._tokens() if row.id == token), None)

    def token_by_hash(self, sha256: str) -> TokenRow | None:
        self._count("token_by_hash")
        return next((row for row, hashed in self._tokens() if hashed == sha256), None)

    def tokens_of(self, user: UUID) -> list[TokenRow]:
        return [row for row, _ in self._tokens() if row.user == user and not row.revoked]

    def tokens_for(self, repository: UUID) -> list[TokenRow]:
        return [row for row, _ in self._tokens() if row.repositories == (repository,)]

    def grant(self, grant: UUID) -> GrantRow | None:
        return self._grants().get(grant)

    def grants(self, wanted: GrantFilter, *, limit: int, offset: int = 0) -> tuple[list[GrantRow], int]:
        found = list(self._grants().values())
        return found[offset : offset + limit], len(found)

    def grants_of(self, principal: UUID) -> dict[UUID, frozenset[str]]:
        self._count("grants_of")
        rows = self._grants().values()
        return {row.target: frozenset(row.actions) for row in rows if row.principal == principal}

    def session_ended(self, session: UUID) -> bool:
        ended = self._log.happened(SessionEnded)
        return any(isinstance(event, SessionEnded) and event.session == session for event in ended)

    def _count(self, question: str) -> None:
        self.asked[question] = self.asked.get(question, 0) + 1

    def _live(self) -> list[UserRow]:
        return [row for row in self._users().values() if not row.deleted]

    def _users(self) -> dict[UUID, UserRow]:
        rows: dict[UUID, UserRow] = {}
        for item in self._log.recordings():
            user = getattr(item.event, "user", None)
            if isinstance(item.event, UserCreated):
                rows[item.event.user] = self._created(item, item.event)
            elif user in rows:
                rows[user] = self._changed(rows[user], item)
        return rows

    def _created(self, item: Recorded, event: UserCreated) -> UserRow:
        profile = self._profile(event.user, event.profile)
        return UserRow(
            id=event.user,
            kind=event.kind,
            username=profile.username,
            email=profile.email,
            display_name=profile.display_name,
            provider=event.provider,
            admin=event.admin,
            active=True,
            must_change_password=event.must_change_password,
            setup=event.setup,
            deleted=False,
            sessions_after=0,
            created_at=item.at,
            updated_at=item.at,
            last_login_at=None,
        )

    def _changed(self, row: UserRow, item: Recorded) -> UserRow:
        replace = msgspec.structs.replace
        match item.event:
            case UserUpdated() as event:
                given = {
                    name: value
                    for name in ("admin", "active", "must_change_password")
                    if (value := getattr(event, name)) is not msgspec.UNSET
                }
                if event.profile is not msgspec.UNSET:
                    given |= msgspec.structs.asdict(self._profile(event.user, event.profile))
                if event.admin is False or event.active is False:
                    given["sessions_after"] = item.position
                return replace(row, **given)
            case PasswordChanged() as event:
                must = event.must_change_password
                return replace(row, must_change_password=must, setup=row.setup and must, sessions_after=item.position)
            case UserDeleted():
                return replace(row, deleted=True, active=False, setup=False, sessions_after=item.position)
            case UserErased():
                return replace(row, username="", email="", display_name=None)
            case SessionStarted():
                return replace(row, last_login_at=item.at)
            case _:
                return row

    def _profile(self, user: UUID, sealed: bytes) -> Profile:
        plaintext = self._personal.open(user, sealed)
        return Profile(username="", email="") if plaintext is None else msgspec.json.decode(plaintext, type=Profile)

    def _tokens(self) -> list[tuple[TokenRow, str]]:
        found: dict[UUID, tuple[TokenRow, str]] = {}
        for item in self._log.recordings():
            match item.event:
                case TokenCreated() as event:
                    row = TokenRow(
                        id=event.token,
                        user=event.user,
                        name=event.name,
                        prefix=event.prefix,
                        scopes=event.scopes,
                        expires_at=event.expires_at,
                        repositories=event.repositories,
                        description=event.description,
                        created_at=item.at,
                        created_by=item.meta.by,
                        revoked=False,
                        last_used_at=None,
                    )
                    found[event.token] = (row, event.hash)
                case TokenRevoked() as event:
                    row, hashed = found[event.token]
                    found[event.token] = (msgspec.structs.replace(row, revoked=True), hashed)
        return list(found.values())

    def _grants(self) -> dict[UUID, GrantRow]:
        found: dict[UUID, GrantRow] = {}
        for item in self._log.recordings():
            match item.event:
                case GrantGiven() as event:
                    found[event.grant] = GrantRow(
                        id=event.grant,
                        principal_type=event.principal_type,
                        principal=event.principal,
                        principal_name=None,
                        target_type=event.target_type,
                        target=event.target,
                        target_name=None,
                        actions=event.actions,
                        created_at=item.at,
                        updated_at=item.at,
                    )
                case GrantRevoked() as event:
                    found.pop(event.grant, None)
        return found
