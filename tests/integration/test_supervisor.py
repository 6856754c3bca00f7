"""The process tree of `serve`: what dies is started again, and a stop or a kill -9 leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis

from infrastructure.embedded import EmbeddedPostgres, EmbeddedValkey
from infrastructure.supervisor import FINAL_STATUS, described

TREE = """
import os, sys
from pathlib import Path
from infrastructure.embedded import EmbeddedPostgres, EmbeddedValkey
from infrastructure.supervisor import BackOff, Command, Supervisor

def say(text):
    print(text, flush=True)

data, *scripts = sys.argv[1:]
with Supervisor(report=say, back_off=BackOff(first_seconds=0.05, longest_seconds=0.4)) as supervisor:
    if data != "-":
        for server in (EmbeddedPostgres(Path(data)), EmbeddedValkey(Path(data))):
            server.start()
            supervisor.watch(server)
            say(f"{server.name} {server.process.pid}")
    for number, script in enumerate(scripts, start=1):
        command = Command(f"child{number}", ["sh", "-c", script], os.environ)
        supervisor.watch(command, stop_seconds=2)
        say(f"{command.name} {command.process.pid}")
    say("up 0")
    steps = iter([False, False, True])
    status = supervisor.run(lambda: next(steps) and not say("stepped"))
say(f"stopped {status}")
sys.exit(status)
"""

Start = Callable[..., "Tree"]


class Tree:
    """A supervisor in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pids: dict[str, int] = {}
        self.stepped = False
        while "up" not in self.pids:
            name, pid = self.line().split()
            self.pids[name] = int(pid)

    def line(self) -> str:
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline().strip()) == "stepped":
            self.stepped = True
        assert line, "the supervisor ended"
        return line

    def rest(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().replace("stepped\n", "")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(*scripts: str, data: Path | None = None) -> Tree:
            command = [sys.executable, "-c", TREE, str(data or "-"), *scripts]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            return Tree(process)

        yield run


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids_in(file: Path, count: int = 1) -> list[int]:
    eventually(lambda: file.exists() and len(file.read_text().split()) >= count)
    return [int(word) for word in file.read_text().split()]


def test_a_step_is_taken_until_it_is_done_while_children_are_watched(start: Start) -> None:
    tree = start("sleep 300")

    time.sleep(0.5)
    os.kill(tree.pids["child1"], signal.SIGKILL)
    assert tree.line().startswith("child1 was killed")
    assert tree.stepped
    assert tree.stop() == 0


def test_a_child_that_dies_is_started_again_and_waits_longer_each_time(start: Start) -> None:
    tree = start("exit 3")

    lines = [tree.line() for _ in range(6)]

    assert lines == [
        "child1 ended with status 3; starting it again in 0.1 s",
        "child1 started again",
        "child1 ended with status 3; starting it again in 0.1 s",
        "child1 started again",
        "child1 ended with status 3; starting it again in 0.2 s",
        "child1 started again",
    ]
    assert tree.stop() == 0


def test_a_killed_child_leaves_none_of_its_own_children_behind(start: Start, tmp_path: Path) -> None:
    tree = start(f"sleep 300 & echo $! >> {tmp_path}/grandchildren; wait")
    (grandchild,) = pids_in(tmp_path / "grandchildren")

    os.kill(tree.pids["child1"], signal.SIGKILL)

    assert tree.line() == "child1 was killed by SIGKILL; starting it again in 0.1 s"
    assert tree.line() == "child1 started again"
    eventually(lambda: not alive(grandchild))
    both = pids_in(tmp_path / "grandchildren", 2)
    assert tree.stop() == 0
    assert not any(map(alive, both))


def test_services_stop_in_reverse_order_and_get_the_time_to_do_it(start: Start, tmp_path: Path) -> None:
    script = "trap 'sleep 0.2; echo {0} >> {1}/order; exit 0' TERM; echo {0} >> {1}/ready; while :; do sleep 0.02; done"
    tree = start(*(script.format(name, tmp_path) for name in ("1", "2", "3")))
    pids_in(tmp_path / "ready", 3)

    assert tree.stop(signal.SIGINT) == 0

    assert tree.rest() == "stopped 0\n"
    assert (tmp_path / "order").read_text().split() == ["3", "2", "1"]


def test_a_child_that_ignores_the_request_is_killed_at_its_limit_or_at_a_second_signal(
    start: Start, tmp_path: Path
) -> None:
    stubborn = f"trap '' TERM; echo 1 >> {tmp_path}/ready; while :; do sleep 0.05; done"
    for extra_signals, most in ((0, 2.9), (1, 1.9)):
        tree = start(stubborn)
        pids_in(tmp_path / "ready")
        (tmp_path / "ready").unlink()
        began = time.monotonic()
        tree.process.send_signal(signal.SIGTERM)
        for _ in range(extra_signals):
            time.sleep(0.2)
            tree.process.send_signal(signal.SIGTERM)
        assert tree.process.wait(10) == 0
        assert time.monotonic() - began < most
        assert not alive(tree.pids["child1"])


def test_a_child_whose_configuration_is_wrong_ends_everything(start: Start) -> None:
    tree = start("sleep 300", f"sleep 0.3; exit {FINAL_STATUS}")

    assert tree.process.wait(10) == FINAL_STATUS
    assert tree.rest() == f"stopped {FINAL_STATUS}\n"
    assert not alive(tree.pids["child1"])


def test_a_terminals_interrupt_reaches_only_the_supervisor(start: Start) -> None:
    tree = start("sleep 300")

    assert os.getpgid(tree.pids["child1"]) == tree.pids["child1"]
    assert tree.stop(signal.SIGHUP) == 0


def test_killing_any_one_process_of_the_tree_leaves_a_system_that_recovers(
    start: Start, servers_directory: Path
) -> None:
    data = servers_directory / "tree"
    tree = start("sleep 300", data=data)
    dsn = f"postgresql://artifact_keeper@/artifact_keeper?host={data}/run"
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS value")

    for name in ("child1", "valkey", "postgres"):
        os.kill(tree.pids[name], signal.SIGKILL)
        assert tree.line().startswith(f"{name} was killed by SIGKILL")
        while tree.line() != f"{name} started again":
            pass

    def answers() -> bool:
        try:
            with psycopg.connect(dsn) as connection, redis.Redis.from_url(f"unix://{data}/run/valkey.sock") as client:
                return connection.execute("SELECT value FROM kept").fetchone() == (1,) and bool(client.ping())
        except (psycopg.OperationalError, redis.RedisError):
            return False

    eventually(answers)
    assert tree.stop() == 0


def test_killing_the_supervisor_ends_everything_and_a_new_one_comes_up_at_once(
    start: Start, servers_directory: Path
) -> None:
    data = servers_directory / "orphans"
    first = start("sleep 300", data=data)
    first.process.kill()
    first.process.wait()
    second = start("sleep 300", data=data)

    eventually(lambda: not any(alive(pid) for name, pid in first.pids.items() if name != "up"))
    assert second.stop() == 0
    with EmbeddedPostgres(data, durable=False), EmbeddedValkey(data):
        pass


def test_statuses_are_said_in_words() -> None:
    assert described(0) == "ended with status 0"
    assert described(-9) == "was killed by SIGKILL"
    assert described(-200) == "ended with status -200"
