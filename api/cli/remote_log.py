"""A registry's transparency log across the network. It is what is being checked: no answer is trusted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from domain.errors import Forbidden, Invalid, NotFound, Unavailable
from domain.transparency.bundle import BundleMalformed, Garbled, LoggedEvent, SignedCheckpoint, read_lines
from domain.transparency.tiles import TilePath, format_tile_path

MAX_ANSWER_BYTES = 64 << 20
"""Above the largest honest page: 8 MiB of states and one more event, in base64."""

_PREFIX = "/api/v1/audit/log"
_RETRIES = urllib3.Retry(total=4, backoff_factor=0.3, status_forcelist=(429, 502, 503, 504), raise_on_status=False)
_TIMEOUT = urllib3.Timeout(connect=5, read=60)


class RemoteLog:
    """Keeps AuditedLog over HTTP. url: of the registry, with a path prefix if it has one. token: for events."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Invalid(f"'{url}' is not the http(s) address of a registry")
        self.url = url.rstrip("/")
        headers = {"user-agent": "artifact-keeper-audit", "accept-encoding": "gzip, identity"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._http = urllib3.PoolManager(headers=headers, retries=_RETRIES, timeout=_TIMEOUT)

    def checkpoint(self) -> str:
        """See AuditedLog."""
        return self._text("/checkpoint")

    def verifier_key(self) -> str:
        """See AuditedLog."""
        return self._text("/key").strip()

    def checkpoints(self, after: int, until: int, *, spread: bool = False) -> Sequence[str]:
        """See AuditedLog."""
        query = {"from": after, "to": until, "spread": str(spread).lower()}
        notes: list[str] = []
        for line in read_lines(io.BytesIO(self._get("/checkpoints", query))):
            if not isinstance(line, SignedCheckpoint):
                raise BundleMalformed("the log lists something that is not a checkpoint")
            notes.append(line.note)
        return notes

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See TileReader."""
        return self._get(f"/tile/{format_tile_path(TilePath(level, index, width))}")

    def events(self, after: int, until: int) -> Sequence[LoggedEvent | Garbled]:
        """See AuditedLog."""
        events: list[LoggedEvent | Garbled] = []
        for line in read_lines(io.BytesIO(self._get("/events", {"from": after + 1, "limit": until - after}))):
            if not isinstance(line, LoggedEvent | Garbled):
                raise BundleMalformed("the log lists something that is not an event")
            events.append(line)
        return events

    def _text(self, path: str) -> str:
        try:
            return self._get(path).decode()
        except UnicodeDecodeError as error:
            raise BundleMalformed(f"{self.url}{_PREFIX}{path} did not answer with text") from error

    def _get(self, path: str, query: dict[str, object] | None = None) -> bytes:
        url = f"{self.url}{_PREFIX}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._http.request("GET", url, preload_content=False)
            body = answer.read(MAX_ANSWER_BYTES + 1)
        except LocationParseError as error:
            raise Invalid(f"'{self.url}' is not the address of a registry") from error
        except HTTPError as error:
            raise Unavailable(f"{self.url} cannot be reached: {error}") from error
        if len(body) > MAX_ANSWER_BYTES:
            answer.close()
            raise BundleMalformed(f"{url} answered with more than any page has")
        self._check(url, answer.status)
        return body

    @staticmethod
    def _check(url: str, status: int) -> None:
        if status == 200:
            return
        if status in (401, 403):
            raise Forbidden(f"{url} needs the token of an administrator (--token or AK_TOKEN)")
        if status == 404:
            raise NotFound(f"{url} is not there")
        if status == 429 or status >= 500:
            raise Unavailable(f"{url} answered {status}")
        raise Invalid(f"{url} answered {status}: is this the address of a registry?")
