"""Users, tokens and grants in a real database: claims that collide, rows that a rebuild gives again, changes told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from application.catalogue import NIL
from application.identity.accounts import Accounts, NewUser, UserChange
from application.identity.directory import GrantFilter, UserFilter
from application.identity.grants import Grants, NewGrant
from application.identity.passwords import PasswordRules
from application.identity.people import People
from application.identity.tickets import TicketHolder
from application.identity.tokens import NewToken, Tokens
from application.log import Change
from domain.claim import NameTaken
from domain.event import SYSTEM, Metadata
from domain.passwords import PasswordPolicy
from domain.permissions import SYSTEM_TARGET, Principal
from domain.repository import RepositoryCreated, RepositoryDeleted
from domain.session import SessionEnded, SessionStarted
from domain.sign_in import LoginFailed
from domain.token import TokenCreated
from infrastructure.auth.tickets import StoredTickets
from infrastructure.auth.token_use import TokenUse
from infrastructure.personal import InstanceKeyWrong, PersonErased, PersonKeys, SealBroken
from infrastructure.postgres.pool import connection, open_pool
from projections.access import AccessChanges, AccessProjection, AccessView
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.view import CatalogueView
from projections.rebuild import Rebuild
from tests.fakes.identity import NoWaiting, PlainPasswords
from tests.integration.folding import Registry, registry

SECRET = "an instance secret of at least thirty-two bytes"
PASSWORD = "correct horse battery"
ROOT = Principal(id=UUID(int=1), kind="user", admin=True)


class World:
    """Commands on a real log; `fold` brings the read models to its head."""

    def __init__(self, running: Registry) -> None:
        self.running = running
        self.log = running.log
        self.keys = PersonKeys(running.connect, SECRET)
        self.projection = AccessProjection(self.keys)
        self.catalogue = CatalogueProjection()
        self.view = AccessView(running.connect)
        people = People(self.log, self.keys)
        rules = PasswordRules(PasswordPolicy(), frozenset, lambda *_: 4)
        self.accounts = Accounts(self.log, self.view, people, PlainPasswords(), rules, _Folding(self))
        self.tokens = Tokens(self.log, _Folding(self), now=lambda: datetime(2026, 3, 1, tzinfo=UTC))
        self.grants = Grants(self.log, self.view, CatalogueView(running.connect), _Folding(self))

    def fold(self, batch: int = 5_000) -> None:
        self.running.fold(self.projection, self.catalogue, batch=batch)

    def user(self, name: str, *, admin: bool = False) -> UUID:
        new = NewUser(username=name, email=f"{name}@example.org", password=PASSWORD, admin=admin)
        return self.accounts.create(new, SYSTEM)[0].id

    def repository(self, key: str) -> UUID:
        created = RepositoryCreated(repository=uuid4(), key=key, name=key, format="generic", kind="local")
        self.log.append([Change(created.repository, 0, [created], created.repository)])
        self.fold()
        return created.repository

    def grant(self, principal: UUID, target: UUID, *actions: str) -> UUID:
        target_type = "system" if target == SYSTEM_TARGET else "repository"
        new = NewGrant(
            principal_type="user", principal=principal, target_type=target_type, target=target, actions=list(actions)
        )
        return self.grants.give(new, SYSTEM).id

    def token(self, user: UUID, *scopes: str) -> UUID:
        new = NewToken(name="ci", scopes=list(scopes or ("read:artifacts",)), description="for tests")
        return self.tokens.create(user, new, ROOT, Metadata(by=user, kind="user")).id

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        return {name: self.running.rows(f"SELECT * FROM {name} ORDER BY 1") for name in AccessProjection.tables}


class _Folding(NoWaiting):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def reached(self, names: object, position: int, timeout_seconds: float = 6.0) -> bool:
        self._world.fold()
        return True


@pytest.fixture
def world(fresh_postgres_dsn: str) -> Iterator[World]:
    with registry(fresh_postgres_dsn) as running:
        yield World(running)


# accounts


def test_a_user_is_found_by_id_name_and_address(world: World) -> None:
    user = world.user("Ann")
    row = world.view.user(user)
    assert row is not None
    assert (row.username, row.email, row.admin, row.active, row.deleted) == (
        "Ann",
        "Ann@example.org",
        False,
        True,
        False,
    )
    assert world.view.user_by_username("aNN") == row
    assert world.view.user_by_email("ann@EXAMPLE.org") == row
    assert world.view.user(uuid4()) is None


def test_users_are_listed_by_page_search_and_state(world: World) -> None:
    world.user("root", admin=True)
    for name in ("carol", "bob", "a_b", "acb"):
        world.user(name)
    bob = world.view.user_by_username("bob")
    assert bob is not None
    world.accounts.update(bob.id, UserChange(active=False, display_name="Robert 100%"), SYSTEM)

    def names(**wanted: object) -> list[str]:
        rows, total = world.view.users(UserFilter(**wanted), limit=100)  # type: ignore[arg-type]
        assert total == len(rows)
        return [row.username for row in rows]

    assert names() == ["a_b", "acb", "bob", "carol", "root"]
    assert names(search="A_B") == ["a_b"]
    assert names(search="0%") == ["bob"]
    assert names(search="EXAMPLE") == ["a_b", "acb", "bob", "carol", "root"]
    assert names(search="\\") == []
    assert names(search="\0") == ["a_b", "acb", "bob", "carol", "root"]
    assert names(active=False) == ["bob"]
    assert names(admin=True) == ["root"]
    assert names(kind="service") == []
    page, total = world.view.users(UserFilter(), limit=2, offset=2)
    assert ([row.username for row in page], total) == (["bob", "carol"], 5)
    assert world.view.administrators() == 1


def test_a_name_has_one_holder_across_processes(fresh_postgres_dsn: str) -> None:
    """Two logs that know nothing of each other want one name at the same time; the log lets one have it."""
    with registry(fresh_postgres_dsn) as first, registry(fresh_postgres_dsn) as second:
        worlds = [World(first), World(second)]
        barrier = threading.Barrier(2)
        outcomes: list[str] = []

        def create(world: World, email: str) -> None:
            barrier.wait(5)
            try:
                world.accounts.add(NewUser(username="ann", email=email), PASSWORD, SYSTEM)
                outcomes.append("created")
            except NameTaken:
                outcomes.append("taken")

        for world in worlds:
            world.accounts._finish = lambda _: None  # type: ignore[method-assign,assignment]
        threads = [
            threading.Thread(target=create, args=(world, f"{number}@example.org"))
            for number, world in enumerate(worlds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(outcomes) == ["created", "taken"]
        worlds[0].fold()
        assert worlds[0].view.users(UserFilter(), limit=10)[1] == 1


def test_nothing_personal_is_in_the_log_in_the_clear(world: World) -> None:
    user = world.user("ann.doe")
    world.accounts.change_password(user, "another good one", SYSTEM)
    states = [row[0] for row in world.running.rows("SELECT state FROM es_events")]
    assert states
    for secret in (b"ann.doe", b"example.org", b"another good one", b"hash of"):
        assert not any(secret in state for state in states)


# rows and rebuilds


def everything_happens(world: World) -> None:
    root, ann, bob, eve = (world.user(name, admin=name == "root") for name in ("root", "ann", "bob", "eve"))
    libs, apps = world.repository("libs"), world.repository("apps")
    session = uuid4()
    world.log.append([Change(session, 0, [SessionStarted(session=session, user=ann, method="password")])])
    world.log.append([Change(session, 1, [SessionEnded(session=session, user=ann, reason="logout")])])
    world.grant(ann, libs, "read", "write")
    world.grants.revoke(world.grant(ann, apps, "admin"), SYSTEM)
    world.grant(bob, libs, "read")
    world.grant(root, SYSTEM_TARGET, "admin")
    world.token(ann, "read:artifacts", "write:artifacts")
    world.tokens.revoke(world.token(bob), SYSTEM)
    confined = TokenCreated(
        token=uuid4(), user=ann, name="repo", prefix="0" * 8, hash="f" * 64, scopes=("*",), repositories=(libs,)
    )
    world.log.append([Change(confined.token, 0, [confined])])
    world.accounts.update(ann, UserChange(admin=True), SYSTEM)
    world.accounts.update(ann, UserChange(admin=False, email="new@example.org"), SYSTEM)
    world.accounts.reset_password(bob, SYSTEM)
    world.token(bob)
    world.accounts.delete(bob, SYSTEM)
    world.accounts.erase(eve, "asked for it", SYSTEM)
    world.grant(ann, apps, "delete")
    world.log.append([Change(apps, 1, [RepositoryDeleted(repository=apps, key="apps")], apps)])
    locked = LoginFailed(user=ann, failures=5, locked_until=datetime(2030, 1, 1, tzinfo=UTC))
    world.log.append([Change(uuid4(), 0, [locked])])
    world.fold()


@pytest.mark.parametrize("batch", [1, 3, 5_000])
def test_rows_do_not_depend_on_batches_and_a_rebuild_gives_them_again(world: World, batch: int) -> None:
    everything_happens(world)
    live = world.tables()
    for table in AccessProjection.tables:
        with world.running.connect() as open_connection:
            open_connection.execute(f"TRUNCATE {table}")
    world.running.forget("access")
    world.running.fold(AccessProjection(PersonKeys(world.running.connect, SECRET)), batch=batch)
    assert world.tables() == live


def test_a_rebuild_beside_the_live_tables_agrees_with_them(world: World) -> None:
    everything_happens(world)
    with world.running.connect() as open_connection:
        open_connection.execute(
            "INSERT INTO es_tracking (projection, position) VALUES ('access', %s)", (world.log.head(),)
        )
    with Rebuild(world.running.dsn, world.projection, world.log.recorded) as shadow:
        found = shadow.verify()
    assert found.equal
    assert found.rows > 10


def test_what_belongs_to_the_deleted_goes_with_them(world: World) -> None:
    everything_happens(world)
    rows, total = world.view.grants(GrantFilter(), limit=10)
    assert [(row.principal_name, row.target_name, row.actions) for row in rows] == [
        ("ann", "libs", ("read", "write")),
        ("root", None, ("admin",)),
    ]
    assert total == 2
    [bob] = [user for user, name in world.view.usernames(_users(world)).items() if name == "bob"]
    assert world.view.tokens_of(bob) == []
    row = world.view.user(bob)
    assert row is not None
    assert (row.deleted, row.username) == (True, "bob")
    assert world.view.user_by_username("bob") is None


def _users(world: World) -> list[UUID]:
    return [row[0] for row in world.running.rows("SELECT user_id FROM view_user")]


def test_an_erased_person_is_gone_from_rows_and_unreadable_in_history(world: World) -> None:
    user = world.user("ann")
    before = [item.state for item in world.log.read(0, 100)]
    world.accounts.erase(user, "request 7", SYSTEM)

    assert world.running.rows("SELECT username, email, display_name, username_key FROM view_user") == [
        ("", "", None, "")
    ]
    assert world.view.usernames([user]) == {}
    history = world.log.read(0, 100)
    assert [item.state for item in history][: len(before)] == before
    assert all(item.topic == type(item.event).TOPIC for item in history)
    assert world.running.rows("SELECT wrapped FROM person_key WHERE person = %s", user) == [(None,)]


def test_sessions_of_a_user_are_void_from_the_change_on(world: World) -> None:
    user = world.user("ann")
    assert world.view.user(user).sessions_after == 0  # type: ignore[union-attr]
    world.accounts.change_password(user, "another good one", SYSTEM)
    changed = world.log.head()
    assert world.view.user(user).sessions_after == changed  # type: ignore[union-attr]
    world.accounts.update(user, UserChange(display_name="Ann"), SYSTEM)
    assert world.view.user(user).sessions_after == changed  # type: ignore[union-attr]
    world.user("root", admin=True)
    world.accounts.update(user, UserChange(active=False), SYSTEM)
    assert world.view.user(user).sessions_after == world.log.head()  # type: ignore[union-attr]


def test_ended_sessions_are_forgotten_when_no_token_can_be_left(world: World) -> None:
    old, new = uuid4(), uuid4()
    user = world.user("ann")
    for session in (old, new):
        world.log.append([Change(session, 0, [SessionEnded(session=session, user=user, reason="logout")])])
        world.fold()
        if session == old:
            with world.running.connect() as open_connection:
                past = datetime.now(UTC) - timedelta(days=500)
                open_connection.execute("UPDATE view_session_end SET ended_at = %s", (past,))
    assert world.view.session_ended(new)
    assert not world.view.session_ended(old)
    assert not world.view.session_ended(uuid4())


# tokens and grants


def test_tokens_are_found_by_hash_and_listed_by_owner_and_repository(world: World) -> None:
    ann, libs = world.user("ann"), world.repository("libs")
    first = world.token(ann, "read:artifacts", "write:artifacts")
    created = TokenCreated(
        token=uuid4(),
        user=ann,
        name="repo",
        prefix="0" * 8,
        hash="f" * 64,
        scopes=("*",),
        repositories=(libs,),
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
    )
    world.log.append([Change(created.token, 0, [created])], Metadata(by=ann))
    world.fold()
    row = world.view.token_by_hash("f" * 64)
    assert row is not None
    assert (row.id, row.repositories, row.scopes, row.created_by) == (created.token, (libs,), ("*",), ann)
    assert row.expires_at == created.expires_at
    assert [token.id for token in world.view.tokens_of(ann)] == [first, created.token]
    assert [token.id for token in world.view.tokens_for(libs)] == [created.token]
    world.tokens.revoke(created.token, SYSTEM)
    assert [token.id for token in world.view.tokens_of(ann)] == [first]
    assert [token.revoked for token in world.view.tokens_for(libs)] == [True]
    assert world.view.token_by_hash("0" * 64) is None


def test_the_last_use_of_tokens_is_kept_outside_the_log(world: World) -> None:
    ann = world.user("ann")
    token, head = world.token(ann), world.log.head()
    use = TokenUse(world.running.connect)
    use.touch(token)
    use.flush()
    row = world.view.token(token)
    assert row is not None
    assert row.last_used_at is not None
    use.touch(token)
    use.start()
    use.stop()
    later = world.view.token(token)
    assert later is not None
    assert later.last_used_at is not None
    assert later.last_used_at > row.last_used_at
    assert world.log.head() == head


def test_grants_are_filtered_and_paged(world: World) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    libs, apps = world.repository("libs"), world.repository("apps")
    ids = [world.grant(ann, libs, "read"), world.grant(ann, apps, "write"), world.grant(bob, libs, "admin")]

    def found(**wanted: object) -> list[UUID]:
        return [row.id for row in world.view.grants(GrantFilter(**wanted), limit=10)[0]]  # type: ignore[arg-type]

    assert found() == ids
    assert found(principal=ann) == ids[:2]
    assert found(target=libs, principal_type="user") == [ids[0], ids[2]]
    assert found(target_type="system") == []
    page, total = world.view.grants(GrantFilter(), limit=1, offset=1)
    assert ([row.id for row in page], total) == ([ids[1]], 3)
    assert world.view.grants_of(ann) == {libs: frozenset({"read"}), apps: frozenset({"write"})}
    assert world.view.grant(uuid4()) is None


# changes


def test_a_process_is_told_whose_access_changed_and_of_nobody_else(world: World) -> None:
    told: list[frozenset[UUID] | None] = []
    changes = AccessChanges(world.view, [told.append])
    ann, bob, libs = world.user("ann"), world.user("bob"), world.repository("libs")
    changes.advance(world.log.head())
    assert told == [None], "what happened before is not known"
    told.clear()

    session = uuid4()
    world.log.append([Change(session, 0, [SessionStarted(session=session, user=ann, method="password")])])
    world.log.append([Change(uuid4(), 0, [LoginFailed(user=ann, failures=1)])])
    world.repository("apps")
    changes.advance(world.log.head())
    assert told == []

    world.grant(ann, libs, "read")
    changes.advance(world.log.head())
    world.tokens.revoke(world.token(bob), SYSTEM)
    changes.advance(world.log.head())
    assert told == [frozenset({ann}), frozenset({bob})]
    changes.reset()
    assert told[-1] is None


def test_an_earlier_change_of_somebody_who_changed_again_is_not_missed(world: World) -> None:
    """The table keeps one position a person; the notification of the first change may come when it holds the second."""
    told: list[frozenset[UUID] | None] = []
    changes = AccessChanges(world.view, [told.append])
    ann = world.user("ann")
    changes.advance(world.log.head())
    world.accounts.change_password(ann, "another good one", SYSTEM)
    first = world.log.head()
    world.accounts.change_password(ann, "yet another one", SYSTEM)
    changes.advance(first)
    assert told[1:] == [frozenset({ann})]


def test_what_a_group_may_concerns_everybody(world: World) -> None:
    told: list[frozenset[UUID] | None] = []
    changes = AccessChanges(world.view, [told.append])
    changes.advance(world.log.head())
    with world.running.connect() as open_connection:
        open_connection.execute("INSERT INTO view_access_change VALUES (%s, 1000)", (NIL,))
    changes.advance(1000)
    assert told == [None, None]


# keys of people


def test_what_one_process_seals_another_opens_and_for_nobody_else(world: World) -> None:
    person, other = uuid4(), uuid4()
    again = PersonKeys(world.running.connect, SECRET)
    sealed = world.keys.seal(person, b"Ann Doe")
    assert again.open(person, sealed) == b"Ann Doe"
    assert world.keys.seal(person, b"Ann Doe") != sealed
    world.keys.seal(other, b"")
    for broken in (sealed[:-1], sealed[:5], b"", b"\x02" + sealed[1:], sealed[:20] + b"\x00" + sealed[21:]):
        with pytest.raises(SealBroken):
            again.open(person, broken)
    with pytest.raises(SealBroken):
        again.open(other, sealed)
    assert again.open(uuid4(), sealed) is None


def test_an_erased_person_is_unreadable_in_every_process_that_heard_of_it(world: World) -> None:
    person = uuid4()
    elsewhere = PersonKeys(world.running.connect, SECRET)
    sealed = world.keys.seal(person, b"Ann Doe")
    assert elsewhere.open(person, sealed) == b"Ann Doe"
    world.keys.erase(person)
    world.keys.erase(person)
    assert world.keys.open(person, sealed) is None
    with pytest.raises(PersonErased):
        world.keys.seal(person, b"again")
    elsewhere.forget(frozenset({person}))
    assert elsewhere.open(person, sealed) is None
    assert world.keys.open(uuid4(), sealed) is None


def test_somebody_can_be_erased_before_having_a_key(world: World) -> None:
    person = uuid4()
    world.keys.erase(person)
    with pytest.raises(PersonErased):
        world.keys.seal(person, b"x")


def test_another_instance_key_is_noticed_at_once(world: World) -> None:
    world.keys.check()
    world.keys.check()
    with pytest.raises(InstanceKeyWrong):
        PersonKeys(world.running.connect, SECRET[::-1]).check()


def test_digests_of_names_need_the_instance_key(world: World) -> None:
    digest = world.keys.name_digest("username", "Ann")
    assert digest == PersonKeys(world.running.connect, SECRET).name_digest("username", "aNN")
    assert digest != world.keys.name_digest("email", "Ann")
    assert digest != PersonKeys(world.running.connect, SECRET[::-1]).name_digest("username", "Ann")


def test_many_first_seals_at_once_share_one_key(world: World) -> None:
    person = uuid4()
    barrier = threading.Barrier(4)
    sealed: list[bytes] = []

    def seal() -> None:
        keys = PersonKeys(world.running.connect, SECRET)
        barrier.wait(5)
        sealed.append(keys.seal(person, b"x"))

    threads = [threading.Thread(target=seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [world.keys.open(person, item) for item in sealed] == [b"x"] * 4


# tickets


def test_a_ticket_is_taken_once_by_any_process_for_its_path(world: World) -> None:
    holder = TicketHolder(uuid4(), repositories=(uuid4(),), all_repositories=True)
    here, there = StoredTickets(world.running.connect), StoredTickets(world.running.connect)
    ticket = here.issue(holder, "/generic/libs/a.bin")
    assert not any(ticket.encode() in bytes(row[0]) for row in world.running.rows("SELECT hash FROM download_ticket"))
    assert there.redeem(ticket, "/generic/libs/b.bin") is None
    assert there.redeem(ticket, "/generic/libs/a.bin") == holder
    assert here.redeem(ticket, "/generic/libs/a.bin") is None
    assert there.redeem(here.issue(holder, None), "/anything") == holder
    assert here.redeem("unknown\0", "/x\0") is None


def test_a_ticket_ends_in_time_and_leaves_nothing(world: World) -> None:
    expired = StoredTickets(world.running.connect, lifetime_seconds=-1)
    ticket = expired.issue(TicketHolder(uuid4()), None)
    assert expired.redeem(ticket, "/x") is None
    expired.issue(TicketHolder(uuid4()), None)
    StoredTickets(world.running.connect).issue(TicketHolder(uuid4()), None)
    assert world.running.rows("SELECT count(*) FROM download_ticket") == [(1,)]


def test_two_requests_with_one_ticket_do_not_both_get_in(fresh_postgres_dsn: str) -> None:
    with open_pool(fresh_postgres_dsn, 1, 8) as pool:
        tickets = StoredTickets(lambda: connection(pool))
        for _ in range(10):
            ticket = tickets.issue(TicketHolder(uuid4()), None)
            barrier = threading.Barrier(4)
            taken: list[object] = []

            def redeem(ticket: str = ticket, barrier: threading.Barrier = barrier, taken: list[object] = taken) -> None:
                barrier.wait(5)
                taken.append(tickets.redeem(ticket, "/x"))

            threads = [threading.Thread(target=redeem) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert sum(holder is not None for holder in taken) == 1
