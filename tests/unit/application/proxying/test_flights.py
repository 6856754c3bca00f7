from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from application.proxying.flights import Flight, Flights
from domain.errors import Unavailable

SECONDS = 20


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_who_comes_later_looks_on(threads: ThreadPoolExecutor) -> None:
    flights: Flights[int] = Flights(threads)
    go, runs = threading.Event(), []

    def fetch(_: Flight[int]) -> int:
        runs.append(1)
        assert go.wait(SECONDS)
        return len(runs)

    joined = [flights.join("key", fetch) for _ in range(5)]
    go.set()
    assert [flight.result() for flight in joined] == [1] * 5
    assert flights.join("key", fetch).result() == 2


def test_a_fault_is_told_to_everybody_and_the_next_one_tries_anew(threads: ThreadPoolExecutor) -> None:
    flights: Flights[int] = Flights(threads)

    def fail(_: Flight[int]) -> int:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        flights.join("key", fail).result()
    assert flights.join("key", lambda _: 7).result() == 7


def test_bytes_are_followed_as_they_come_and_the_last_ones_wait_for_the_verdict(
    threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    flights: Flights[str] = Flights(threads)
    path, more, verdict = tmp_path / "growing", threading.Event(), threading.Event()
    pieces = [b"a" * 300_000, b"b" * 300_000]

    def fetch(flight: Flight[str]) -> str:
        with path.open("wb", buffering=0) as file:
            flight.begin(lambda: path.open("rb"), 600_000, "text/plain")
            file.write(pieces[0])
            flight.grown()
            assert more.wait(SECONDS)
            file.write(pieces[1])
            flight.grown()
            assert verdict.wait(SECONDS)
        return "good"

    flight = flights.join("key", fetch)
    assert flight.begun()
    followed = flight.follow()
    assert followed is not None
    received = next(followed)
    assert 0 < len(received) < 300_000
    more.set()
    verdict.set()
    assert received + b"".join(followed) == b"".join(pieces)
    assert flight.result() == "good"


def test_what_turns_out_bad_never_comes_whole(threads: ThreadPoolExecutor, tmp_path: Path) -> None:
    flights: Flights[str] = Flights(threads)
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 1000)

    def fetch(flight: Flight[str]) -> str:
        flight.begin(lambda: path.open("rb"), 1000, "text/plain")
        raise ValueError("wrong digest")

    flight = flights.join("key", fetch)
    with pytest.raises(ValueError, match="wrong digest"):
        flight.result()
    assert flight.follow() is None


def test_one_that_ends_before_any_byte_has_not_begun(threads: ThreadPoolExecutor) -> None:
    flight = Flights[int](threads).join("key", lambda _: 1)
    flight.result()
    assert not flight.begun()


def test_who_is_late_is_told_to_take_the_result(threads: ThreadPoolExecutor) -> None:
    go = threading.Event()

    def moved() -> BinaryIO:
        raise Unavailable("it was kept under its digest this moment")

    def fetch(flight: Flight[int]) -> int:
        flight.begin(moved, 10, "text/plain")
        assert go.wait(SECONDS)
        return 7

    flight = Flights[int](threads).join("key", fetch)
    assert flight.begun()
    assert flight.follow() is None
    go.set()
    assert flight.result() == 7


def test_a_verdict_that_comes_late_ends_the_bytes(threads: ThreadPoolExecutor, tmp_path: Path) -> None:
    path, go = tmp_path / "growing", threading.Event()
    path.write_bytes(b"x" * 1000)

    def fetch(flight: Flight[int]) -> int:
        flight.begin(lambda: path.open("rb"), 1000, "text/plain")
        assert go.wait(SECONDS)
        raise ValueError("wrong digest")

    followed = Flights[int](threads).join("key", fetch)
    assert followed.begun()
    pieces = followed.follow()
    assert pieces is not None
    go.set()
    with pytest.raises(ValueError, match="wrong digest"):
        next(pieces)
