"""The whole process tree: it starts, survives the death of any of its processes, and loses no acknowledged write."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.live import Live, live


@pytest.fixture(scope="module")
def running() -> Iterator[Live]:
    with live() as started:
        started.repository("files", "generic", overwrite="once")
        yield started


class Uploader:
    """Several threads that publish small files until told to stop, and remember what was acknowledged."""

    def __init__(self, running: Live, prefix: str, threads: int = 4) -> None:
        self.acknowledged: list[str] = []
        self.failed = 0
        self._running = running
        self._prefix = prefix
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            path = f"/general/files/{self._prefix}/{number}/{count}.txt"
            count += 1
            try:
                answer = self._running.request("PUT", path, path.encode(), user="admin", timeout=30)
            except OSError:
                self.failed += 1
                time.sleep(0.05)
                continue
            if answer.status == 201:
                self.acknowledged.append(path)
            else:
                assert answer.status in {503, 409}, (answer.status, answer.body)
                self.failed += 1
                time.sleep(0.05)


def _everything_is_there(running: Live, paths: list[str]) -> None:
    for path in paths:
        answer = running.request("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body)
        assert answer.body == path.encode()


@pytest.mark.parametrize("victim", ["api worker", "api", "project", "work", "valkey-server", "postgres"])
def test_a_process_that_is_killed_costs_no_acknowledged_write(running: Live, victim: str) -> None:
    pids = running.children()
    name = victim.split(maxsplit=1)[0]
    target = pids[name][-1] if victim == "api worker" else pids[name][0]
    with Uploader(running, victim.replace(" ", "-")) as uploads:
        time.sleep(1.0)
        before = len(uploads.acknowledged)
        os.kill(target, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(uploads.acknowledged) < before + 20:
            assert time.monotonic() < deadline, f"{uploads.failed} failed; {running.log.read_text()[-3000:]}"
            time.sleep(0.05)
    _everything_is_there(running, uploads.acknowledged)


def test_the_read_models_are_what_the_log_says_after_all_that(running: Live) -> None:
    running.wait_until_ready()
    found = running.command("verify")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "agree with the log" in found.stdout


def test_the_log_proves_that_it_was_not_altered(running: Live) -> None:
    made = running.request("POST", "/api/v1/auth/tokens", {"name": "audit", "scopes": ["admin"]}, user="admin")
    found = running.command("audit", "verify", "--url", running.url, "--token", made.json()["token"])
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_stopped_registry_starts_again_with_all_its_data(running: Live) -> None:
    assert running.request("PUT", "/general/files/kept.txt", b"kept", user="admin").status == 201
    started = time.monotonic()
    assert running.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < 20
    assert running.children() == {}
    running.start()
    assert running.request("GET", "/general/files/kept.txt").body == b"kept"


def test_the_death_of_the_supervisor_ends_everything_and_the_next_start_recovers(running: Live) -> None:
    with Uploader(running, "supervisor", threads=2) as uploads:
        time.sleep(1.0)
        children = [pid for pids in running.children().values() for pid in pids]
        assert running.process is not None
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + 30
        while any(_alive(pid) for pid in children):
            assert time.monotonic() < deadline, "something outlived the supervisor"
            time.sleep(0.1)
    running.start()
    _everything_is_there(running, uploads.acknowledged)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_bad_setting_stops_the_start_with_a_message_that_names_it(running: Live) -> None:
    found = running.command("serve", AK_API_WORKERS="many")
    assert found.returncode == 2
    assert "AK_API_WORKERS" in found.stderr
    assert "Traceback" not in found.stderr
