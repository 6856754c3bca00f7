"""A cable between us and a server, for tests that cut it: connections end at once, new ones are refused."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.05
WAIT_SECONDS = 10.0
_RESET = struct.pack("ii", 1, 0)


class Relay:
    """Passes bytes from a loopback port on to another address. Use as a context manager; it begins whole.

    target: a port of this machine, or the path of a Unix socket.
    """

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._cut = threading.Event()
        self._cut.set()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._open: set[socket.socket] = set()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def cut(self) -> None:
        """End every connection by a reset, and refuse new ones."""
        with self._lock:
            self._cut.set()
            for one in self._open:
                _end(one)
        self._flowing.set()  # who was held is cut too
        while threads := list(self._threads):
            for thread in threads:
                thread.join(WAIT_SECONDS)
                assert not thread.is_alive()
                self._threads.discard(thread)

    def mend(self) -> None:
        """Listen again, and pass on what was held."""
        self._flowing.set()
        if self._cut.is_set():
            listening = socket.create_server(("127.0.0.1", self.port))
            listening.settimeout(POLL_SECONDS)
            self._cut.clear()
            self._begin(self._listen, listening)

    def hold(self) -> None:
        """Keep every connection, take new ones, and pass nothing on: a server that hangs."""
        self._flowing.clear()

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()

    def _begin(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="relay", daemon=True)  # type: ignore[arg-type]
        self._threads.add(thread)
        thread.start()

    def _listen(self, listening: socket.socket) -> None:
        with listening:
            while not self._cut.is_set():
                with suppress(TimeoutError):
                    near, _ = listening.accept()
                    self._begin(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX if isinstance(self._target, Path) else socket.AF_INET) as far:
            with suppress(OSError):
                far.connect(str(self._target) if isinstance(self._target, Path) else ("127.0.0.1", self._target))
                self._join(near, far)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        with self._lock:
            if self._cut.is_set():
                return
            self._open |= {near, far}
        back = threading.Thread(target=self._pass, args=(far, near), name="relay", daemon=True)
        back.start()
        self._pass(near, far)
        back.join()
        with self._lock:
            self._open -= {near, far}

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
            return
        _end(source)
        _end(sink)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
