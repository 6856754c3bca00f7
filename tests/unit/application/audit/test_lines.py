"""The forms in which the audit is handed out."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.audit.entries import entry_of
from application.audit.lines import COLUMNS, AuditItem, Describer, collector_line, csv_header, csv_lines, json_line
from application.catalogue import RepositoryRow
from application.identity.clients import Client
from application.log import Envelope, Recorded
from domain.artifact import ArtifactPublished
from domain.errors import Invalid
from domain.event import Event, Metadata, Origin
from domain.repository import Settings
from domain.sign_in import AccessDenied, LoginFailed

ALICE, LIBS, GONE = uuid4(), uuid4(), uuid4()
NOW = datetime(2026, 3, 3, 12, 0, 1, tzinfo=UTC)


class _Repositories:
    def repository_by_id(self, repository: UUID, at: int | None = None) -> RepositoryRow | None:
        key = {(LIBS, None): "libs", (GONE, 7): "gone"}.get((repository, at))
        if key is None:
            return None
        return RepositoryRow(
            repository, key, "", None, "pypi", "local", False, Settings(), None, None, NOW, None, NOW, 1
        )


def _open(meta: Metadata) -> Client | None:
    if meta.client == b"broken":
        raise Invalid("not sealed for them")
    return Client("10.0.0.9", "pip/24") if meta.client == b"sealed" else None


DESCRIBER = Describer(lambda ids: {ALICE: "alice"} if ALICE in ids else {}, _open, _Repositories())


def item(event: Event, meta: Metadata, repository: UUID | None = None) -> AuditItem:
    state = msgspec.json.encode(Envelope(meta=meta, data=event))
    recorded = Recorded(7, NOW, uuid4(), 1, event.TOPIC, repository, event, meta, state)
    return DESCRIBER.items([entry_of(recorded)])[0]


def _published(path: str = "six-1.whl", repository: UUID = LIBS) -> ArtifactPublished:
    return ArtifactPublished(repository=repository, path=path, sha256="00", size_bytes=1, media_type="x")


def _by_alice(client: bytes = b"sealed") -> Metadata:
    return Metadata(by=ALICE, kind="user", via="password", request="r-1", client=client, origin=Origin("peer", 3))


def test_an_item_has_names_addresses_and_keys() -> None:
    found = item(_published(), _by_alice(), LIBS)
    assert (found.actor_username, found.ip_address, found.user_agent) == ("alice", "10.0.0.9", "pip/24")
    assert (found.repository_key, found.resource_name, found.request_id) == ("libs", "six-1.whl", "r-1")


def test_people_who_were_erased_and_clients_that_cannot_be_opened_leave_their_events() -> None:
    stranger = Metadata(by=uuid4(), kind="user", client=b"erased")
    assert (item(_published(), stranger).actor_username, item(_published(), stranger).ip_address) == (None, None)
    assert item(_published(), _by_alice(b"broken")).ip_address is None


def test_a_repository_that_is_gone_is_called_as_it_was() -> None:
    assert item(_published(repository=GONE), _by_alice(), GONE).repository_key == "gone"


def test_whoever_could_not_sign_in_is_named() -> None:
    found = item(LoginFailed(user=ALICE, failures=1), Metadata(kind="anonymous"))
    assert (found.resource_name, found.actor_username) == ("alice", None)


def test_a_line_of_json_holds_the_event_as_it_was_stored() -> None:
    line = json_line(item(_published(), _by_alice(), LIBS))
    assert line.endswith(b"}\n")
    assert msgspec.json.decode(line)["event"]["path"] == "six-1.whl"
    assert b"\n" not in line[:-1]


def _table(*items: AuditItem) -> list[dict[str, str]]:
    text = (csv_header() + csv_lines(items)).decode()
    assert text.count("\r\n") == len(items) + 1
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_table_has_every_column_in_order() -> None:
    (row,) = _table(item(_published(), _by_alice(), LIBS))
    assert tuple(row) == COLUMNS
    assert (row["position"], row["origin_instance"], row["origin_position"]) == ("7", "peer", "3")
    assert row["recorded_at"] == "2026-03-03T12:00:01+00:00"
    assert msgspec.json.decode(row["event"])["path"] == "six-1.whl"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)"]
)
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert _table(item(_published(text), _by_alice()))[0]["path"] == f"'{text}"


@given(st.text(min_size=1))
def test_every_text_survives_in_a_table(text: str) -> None:
    (row,) = list(csv.DictReader(io.StringIO((csv_header() + csv_lines([item(_published(text), _by_alice())])).decode(), newline="")))  # fmt: skip
    assert row["path"].removeprefix("'") == text.removeprefix("'")
    assert not row["path"].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_the_line_for_collectors_is_that_of_the_contract() -> None:
    line = msgspec.json.decode(collector_line(item(_published(), _by_alice(), LIBS)))
    assert line["schema_version"] == 1
    assert line["category"] == "audit"
    assert (line["action"], line["outcome"]) == ("ARTIFACT_UPLOADED", "success")
    assert line["actor"] == {"id": str(ALICE), "name": "alice", "type": "user"}
    assert line["resource"]["type"] == "artifact"
    assert line["resource"]["name"] == "six-1.whl"
    assert (line["source_ip"], line["correlation_id"]) == ("10.0.0.9", "r-1")
    assert {"event_id", "timestamp", "details"} <= set(line)


def test_kinds_of_actors_have_the_names_of_the_contract() -> None:
    robot = Metadata(by=uuid4(), kind="service")
    assert msgspec.json.decode(collector_line(item(_published(), robot)))["actor"]["type"] == "service_account"
    refused = item(AccessDenied(action="write", resource="libs", repository=LIBS), Metadata(kind="anonymous"))
    line = msgspec.json.decode(collector_line(refused))
    assert (line["outcome"], line["actor"]) == ("denied", {"id": None, "name": None, "type": "anonymous"})
