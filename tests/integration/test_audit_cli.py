"""`artifact-keeper audit` against a registry that answers on a loopback port, and against its exports."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner, Result
from granian.constants import Interfaces
from granian.server.embed import Server

from api.__main__ import main
from api.app import App
from api.cli.audit import audit
from api.http.transparency import TransparencyController
from api.management import management
from application.log import Change
from domain.checkpoint import CheckpointNamed
from domain.permissions import Principal
from infrastructure.postgres.migrate import migrate
from infrastructure.signing.ed25519 import Ed25519Signer
from projections.runner import Projector
from projections.transparency.fold import Transparency
from projections.transparency.view import TransparencyView
from tests.integration.folding import Registry, registry

ADMIN = Principal(id=UUID(int=1), kind="user", username="admin", via="session", admin=True)


@contextmanager
def served(view: TransparencyView) -> Iterator[str]:
    """The management API with nothing but the log, and the token `secret` for its administrator."""
    unused: dict[str, Any] = dict.fromkeys(App.__struct_fields__)
    settings = SimpleNamespace(swagger=False, production=True, cors_origins=())
    access = SimpleNamespace(denied=lambda *_, **__: None)
    inner = management(
        App(**(unused | {"settings": settings, "access": access, "transparency": view})), [TransparencyController], "1"
    )

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        principal = ADMIN if headers.get(b"authorization") == b"Bearer secret" else Principal()
        incoming = SimpleNamespace(client="127.0.0.1", headers={})
        await inner(scope | {"principal": principal, "request_id": "r", "incoming": incoming}, receive, send)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = Server(gate, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    task = asyncio.run_coroutine_threadsafe(server.serve(), loop)
    eventually(lambda: listens(port))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(server.stop)
        task.result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Audited:
    """A log whose projection really runs, and the command line beside it."""

    def __init__(self, running: Registry) -> None:
        self.running = running
        self.view = TransparencyView(running.connect)
        self.key = Ed25519Signer.generate("registry.example/log")
        self.url = ""
        self.start()

    def start(self) -> None:
        self.projector = Projector(self.running.dsn, [Transparency(self.key)], self.running.log.recorded)
        self.projector.start()

    def append(self, count: int) -> None:
        events = [CheckpointNamed(name=f"n{number}", position=number) for number in range(count)]
        position = self.running.log.append([Change(uuid4(), 0, events)]).position
        eventually(lambda: bool(self.running.rows("SELECT 1 FROM log_checkpoint WHERE size = %s", position)))

    def tamper(self, statement: str) -> None:
        with psycopg.connect(self.running.dsn, autocommit=True) as owner:
            owner.execute("ALTER TABLE es_events DISABLE TRIGGER es_events_append_only")
            owner.execute(statement.encode())
            owner.execute("ALTER TABLE es_events ENABLE TRIGGER es_events_append_only")

    def run(self, *arguments: str | Path, token: str = "secret") -> Result:
        environment = {"AK_URL": self.url, "AK_TOKEN": token}
        return CliRunner(env=environment).invoke(audit, [str(argument) for argument in arguments])

    def verify(self, *arguments: str | Path) -> Result:
        return self.run("verify", "--key", self.key.verifier_key, *arguments)


@pytest.fixture
def audited(empty_postgres_dsn: str) -> Iterator[Audited]:
    migrate(empty_postgres_dsn)
    with registry(empty_postgres_dsn) as running:
        audited = Audited(running)
        try:
            with served(audited.view) as url:
                audited.url = url
                audited.append(700)
                yield audited
        finally:
            audited.projector.stop()


def test_a_running_registry_verifies_until_a_row_is_altered(audited: Audited) -> None:
    result = audited.verify()
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("VERIFIED     700 events up to 700")
    audited.tamper("UPDATE es_events SET state = state || ' ' WHERE notification_id = 313")
    result = audited.verify()
    assert result.exit_code == 1
    first, last = result.stdout.splitlines()
    assert first.startswith("ALTERED      event 313 (checkpoint.named, stream ")
    assert last.startswith("NOT VERIFIED 1 finding in 700 events")


def test_an_export_is_checked_without_the_registry(audited: Audited, tmp_path: Path) -> None:
    bundle = tmp_path / "log.ndjson"
    result = audited.run("export", "--to", bundle)
    assert result.exit_code == 0, result.output
    assert audited.key.verifier_key in result.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["log.ndjson"]
    audited.url = "http://127.0.0.1:9"
    assert audited.verify("--bundle", bundle).exit_code == 0
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(b'"position":42,', b'"position":43,', 1))
    result = audited.verify("--bundle", bundle)
    assert result.exit_code == 1
    assert "event 42 is not there" in result.stdout
    assert audited.run("verify", "--bundle", bundle).exit_code == 2
    other = Ed25519Signer.generate(audited.key.name)
    assert audited.run("verify", "--bundle", bundle, "--key", other.verifier_key).exit_code == 1


def test_a_remembered_checkpoint_finds_out_a_rewritten_past(audited: Audited, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    result = audited.run("verify", "--state", state)
    assert result.exit_code == 0, result.output
    assert "warning" in result.stderr
    assert json.loads(state.read_text())["key"] == audited.key.verifier_key
    audited.append(10)
    result = audited.run("verify", "--state", state, "--new-only")
    assert result.exit_code == 0, result.output
    assert "warning" not in result.stderr
    assert result.stdout.startswith("VERIFIED     198 events up to 710")
    kept = state.read_text()
    audited.projector.stop()
    audited.tamper("UPDATE es_events SET state = state || ' ' WHERE notification_id = 313")
    audited.tamper("TRUNCATE log_tile, log_checkpoint, es_tracking")
    audited.start()  # and so the true key signs another past
    eventually(lambda: bool(audited.running.rows("SELECT 1 FROM log_checkpoint WHERE size = 710")))
    assert audited.verify().exit_code == 0
    for arguments in ([], ["--new-only"]):
        result = audited.run("verify", "--state", state, *arguments)
        assert result.exit_code == 1
        assert result.stdout.startswith("FORKED ")
    assert state.read_text() == kept


def test_a_kept_checkpoint_may_be_a_file(audited: Audited, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint"
    kept.write_text(audited.view.checkpoint())
    assert audited.verify("--checkpoint", kept).exit_code == 0
    kept.write_text("not a checkpoint")
    assert audited.verify("--checkpoint", kept).exit_code != 0


def test_the_report_is_there_as_json(audited: Audited) -> None:
    report = json.loads(audited.verify("--json", "--every-checkpoint").stdout)
    assert report["verified"] is True
    assert (report["events"], report["proven"], report["findings"]) == (700, 700, [])


def test_exit_statuses_tell_wrong_use_from_absence(audited: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    def status(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["artifact-keeper", "audit", "verify", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    key = audited.key.verifier_key
    assert status("--url", audited.url, "--key", key, "--token", "secret") == 0
    assert status("--url", audited.url, "--key", key) == 2
    assert status("--url", audited.url, "--key", "nonsense") == 2
    assert status("--url", "ftp://registry.example") == 2
    assert status("--new-only") == 2
    monkeypatch.setattr("api.cli.remote_log._RETRIES", 0)
    assert status("--url", "http://127.0.0.1:9", "--key", key) == 3
