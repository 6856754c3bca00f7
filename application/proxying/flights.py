"""One fetch at a time for the same thing within a process: those who come later look on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor
from typing import BinaryIO, Generic, TypeVar

from domain.errors import Unavailable

T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
POLL_SECONDS = 0.5


class Flight(Generic[T]):
    """A fetch under way. size_bytes, media_type: as announced, from `begin` on; None when the upstream did not say."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._result: T | None = None
        self._fault: BaseException | None = None
        self._done = False
        self._open: Callable[[], BinaryIO] | None = None
        self.size_bytes: int | None = None
        self.media_type = ""

    # for who fetches

    def begin(self, open_growing: Callable[[], BinaryIO], size_bytes: int | None, media_type: str) -> None:
        """Bytes are coming; open_growing gives a file to which they are appended."""
        with self._changed:
            self._open, self.size_bytes, self.media_type = open_growing, size_bytes, media_type
            self._changed.notify_all()

    def grown(self) -> None:
        """More bytes are there."""
        with self._changed:
            self._changed.notify_all()

    def finish(self, result: T) -> None:
        """All is there, verified and kept."""
        with self._changed:
            self._result, self._done = result, True
            self._changed.notify_all()

    def fail(self, fault: BaseException) -> None:
        """Nothing was kept."""
        with self._changed:
            self._fault, self._done = fault, True
            self._changed.notify_all()

    @property
    def begun_already(self) -> bool:
        """Whether bytes have come, which somebody may have been given."""
        return self._open is not None

    # for who waits

    def result(self) -> T:
        """What came of it; raises what went wrong."""
        with self._changed:
            while not self._done:
                self._changed.wait()
        return self._landed()

    def begun(self) -> bool:
        """Wait until bytes are coming, True, or it is over, False."""
        with self._changed:
            while not self._done and self._open is None:
                self._changed.wait()
            return not self._done

    def follow(self) -> Iterator[bytes] | None:
        """The bytes as they come; the last ones only when all were verified. Raises when they are not good.

        None when there is nothing to follow any more: the result says what came of it.
        """
        with self._changed:
            if self._done or self._open is None:
                return None
            try:
                growing = self._open()
            except Unavailable:  # it was kept, or given up, this moment
                return None
        return self._follow(growing)

    def _follow(self, growing: BinaryIO) -> Iterator[bytes]:
        with growing:
            held = b""
            while True:
                with self._changed:
                    done = self._done
                chunk = growing.read(CHUNK_BYTES)
                if chunk:
                    if held:
                        yield held
                    held = chunk
                elif done:
                    self._landed()
                    yield held
                    return
                else:
                    with self._changed:
                        if not self._done:
                            self._changed.wait(POLL_SECONDS)

    def _landed(self) -> T:
        if self._fault is not None:
            raise self._fault
        return self._result  # type: ignore[return-value]


class Flights(Generic[T]):
    """The fetches of this process by key."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight[T]] = {}

    def join(self, key: Hashable, fetch: Callable[[Flight[T]], T]) -> Flight[T]:
        """The flight under this key; one that begins now runs `fetch` in a thread of its own."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight
            flight = self._flights[key] = Flight()
        try:
            self._executor.submit(self._run, key, flight, fetch)
        except RuntimeError:  # the process is ending
            with self._lock:
                del self._flights[key]
            raise
        return flight

    def _run(self, key: Hashable, flight: Flight[T], fetch: Callable[[Flight[T]], T]) -> None:
        try:
            result = fetch(flight)
        except BaseException as fault:  # noqa: BLE001 - whoever waits is told
            self._leave(key)
            flight.fail(fault)
        else:
            self._leave(key)
            flight.finish(result)

    def _leave(self, key: Hashable) -> None:
        with self._lock:
            del self._flights[key]
