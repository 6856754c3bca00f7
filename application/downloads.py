"""Downloads as events, for repositories that record every access: off the request, in batches, each of them once."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import msgspec

from application.catalogue import ArtifactRow, Catalogue
from application.finding import Finder
from application.log import Change, EventLog
from application.resolving import Resolved
from domain.artifact import ArtifactDownloaded
from domain.errors import RegistryError, Unavailable
from domain.event import Metadata
from domain.permissions import Principal

_log = logging.getLogger(__name__)

LINGER_SECONDS = 0.1
"""How long the first download of a batch waits for company; so much is lost when the process is killed."""

RETRY_SECONDS = 0.5
BATCH = 500
MAX_PENDING = 100_000
CLOSE_SECONDS = 10.0
MAX_RANGE = 100

MetadataOf = Callable[[Principal, str, str, str], Metadata]
"""Principal, request id, address and user agent to the metadata of an event."""


class Download(msgspec.Struct, frozen=True):
    """One answer with bytes of an artifact. range: the header that asked for a part, or nothing."""

    artifact: UUID
    sha256: str
    resolved: Resolved
    principal: Principal
    request: str
    client: str
    agent: str
    range: str = ""


def may_be_recorded(resolved: Resolved) -> bool:
    """Whether to hand a download to the recorder: for a snapshot its source decides too, which only a query tells."""
    repository = resolved.repository
    return repository.settings.record_access or repository.id != resolved.content


class DownloadRecorder:
    """Appends downloads to the log. `record` costs microseconds; who must record cannot be outrun: when too many wait,
    it refuses, and so does the download.
    """

    def __init__(self, log: EventLog, catalogue: Catalogue, finder: Finder, metadata: MetadataOf) -> None:
        self._log = log
        self._catalogue = catalogue
        self._finder = finder
        self._metadata = metadata
        self._waiting: deque[Download] = deque()
        self._batch: tuple[UUID, list[Change]] | None = None
        self._flushing = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="downloads-recorder", daemon=True)

    def record(self, download: Download) -> None:
        """Record one, soon. Never waits; raises Unavailable while MAX_PENDING are not in the log yet."""
        if len(self._waiting) >= MAX_PENDING:
            raise Unavailable("downloads of this repository are recorded, and the log is behind; try again later")
        self._waiting.append(download)
        self._news.set()

    @property
    def pending(self) -> int:
        """Downloads that are not in the log yet."""
        batch = self._batch
        return len(self._waiting) + (len(batch[1]) if batch else 0)

    def start(self) -> None:
        """Begin to append."""
        self._thread.start()

    def stop(self) -> None:
        """Append the rest. What cannot be appended within CLOSE_SECONDS is lost, and logged."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_SECONDS)
        deadline = time.monotonic() + CLOSE_SECONDS
        while not self.flush():
            if time.monotonic() > deadline:
                _log.error("the database is away: %d downloads are not in the log", self.pending)
                return
            time.sleep(RETRY_SECONDS)

    def flush(self) -> bool:
        """Append what waits; False when the database is away and it is kept for later."""
        with self._flushing:
            while self._batch is not None or self._waiting:
                try:
                    if self._batch is None:
                        self._batch = self._next_batch()
                    command, changes = self._batch
                    self._log.append(changes, command_id=command)
                except Unavailable as error:
                    _log.warning("%d downloads are not in the log yet: %s", self.pending, error)
                    return False
                except RegistryError as error:
                    lost = len(self._batch[1]) if self._batch else 1
                    _log.error("%d downloads are not in the log: %s", lost, error)
                    if self._batch is None:
                        self._waiting.popleft()
                self._batch = None
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            self._stopping.wait(LINGER_SECONDS)
            try:
                done = self.flush()
            except Exception:  # noqa: BLE001 - the thread must go on, and what waits is kept
                _log.exception("downloads cannot be recorded; trying again")
                done = False
            if not done:
                self._stopping.wait(RETRY_SECONDS)
                self._news.set()

    def _next_batch(self) -> tuple[UUID, list[Change]]:
        """The first of those that wait, as events; they wait no more once all of them are made."""
        taken = [self._waiting[number] for number in range(min(BATCH, len(self._waiting)))]
        changes = self._changes(taken)
        for _ in taken:
            self._waiting.popleft()
        return uuid4(), changes

    def _changes(self, downloads: Sequence[Download]) -> list[Change]:
        recording: dict[UUID, bool] = {}
        rows: dict[tuple[UUID, int | None], ArtifactRow | None] = {}
        changes = []
        for download in downloads:
            resolved = download.resolved
            if resolved.repository.id not in recording:
                recording[resolved.repository.id] = self._is_recorded(resolved)
            if not recording[resolved.repository.id]:
                continue
            key = download.artifact, resolved.at
            if key not in rows:
                rows[key] = self._artifact(*key)
            changes.append(self._change(download, rows[key]))
        return changes

    def _is_recorded(self, resolved: Resolved) -> bool:
        if resolved.repository.settings.record_access:
            return True
        source = self._catalogue.repository_by_id(resolved.content)
        return source is not None and source.settings.record_access

    def _artifact(self, artifact: UUID, at: int | None) -> ArtifactRow | None:
        """What is there, or was until a moment ago."""
        row = self._catalogue.artifact_by_id(artifact, at)
        return row if row is not None else next(iter(self._finder.revisions(artifact)), None)

    def _change(self, download: Download, row: ArtifactRow | None) -> Change:
        event = ArtifactDownloaded(
            artifact=download.artifact,
            repository=download.resolved.content,
            path=row.path if row else "",
            package=row.package if row else "",
            version=row.version if row else "",
            sha256=download.sha256,
            range=download.range[:MAX_RANGE],
        )
        meta = self._metadata(download.principal, download.request, download.client, download.agent)
        # streams of their own: an artifact that is downloaded a million times must not become slow to publish
        return Change(uuid4(), 0, [event], download.resolved.content, meta)
