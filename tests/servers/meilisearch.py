"""Meilisearch for tests: the real server where one is installed, else a small one that keeps to its documented API.

The small one refuses what the real one refuses: unknown fields and parameters, wrong keys, filters and orders by
attributes that were not declared. Writes are tasks that a thread does in order.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, Protocol, Self

from infrastructure.processes import reap, spawn
from tests.live import _free_port

KEY = "test-master-key-of-the-test-server"
SETTINGS = {
    "searchableAttributes", "filterableAttributes", "sortableAttributes", "rankingRules", "typoTolerance",
    "pagination", "faceting",
}  # fmt: skip
SEARCH = {"q", "limit", "offset", "filter", "facets", "sort", "attributesToRetrieve", "matchingStrategy"}
_CONDITION = re.compile(r'(\w+) (?:IN \[([^\]]*)\]|(=|>=|<=) (?:"([^"]*)"|(-?[0-9]+)))')

Document = dict[str, Any]


class SearchServer(Protocol):
    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def lose_everything(self) -> None: ...


def search_server(directory: Path) -> SearchServer:
    binary = os.environ.get("MEILISEARCH_BINARY") or shutil.which("meilisearch")
    return RealServer(Path(binary), directory) if binary else SmallServer()


class RealServer:
    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary, self._directory = binary, directory
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        options = {
            "--http-addr": f"127.0.0.1:{self._port}",
            "--master-key": KEY,
            "--env": "production",
            "--db-path": str(self._directory / "data"),
            "--dump-dir": str(self._directory / "dumps"),
            "--snapshot-dir": str(self._directory / "snapshots"),
        }
        words = [word for pair in options.items() for word in pair]
        environ = {"PATH": os.defpath, "HOME": str(self._directory)}
        with (self._directory / "server.log").open("ab") as log:
            command = [str(self._binary), "--no-analytics", *words]
            self._process = spawn(command, environ=environ, cwd=self._directory, output=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
            except OSError:
                assert time.monotonic() < deadline, (self._directory / "server.log").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            reap(self._process)

    def lose_everything(self) -> None:
        self.kill()
        shutil.rmtree(self._directory / "data")
        self.start()


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status, self.code = status, code


class _Index:
    def __init__(self, primary_key: str) -> None:
        self.primary_key = primary_key
        self.created_at = datetime.now(UTC).isoformat()
        self.settings: dict[str, Any] = {}
        self.documents: dict[str, Document] = {}


class SmallServer:
    """requests: method and path of everything that was asked."""

    def __init__(self) -> None:
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.indexes: dict[str, _Index] = {}
        self.requests: list[tuple[str, str]] = []
        self._tasks: list[dict[str, Any]] = []
        self._queue: Queue[tuple[int, Callable[[], None]]] = Queue()
        threading.Thread(target=self._work, daemon=True).start()
        self._http: ThreadingHTTPServer | None = None

    def start(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                data = self.rfile.read(length)
                status, answer = server.answer(self.command, self.path, self.headers.get("authorization", ""), data)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - so the class calls them

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def kill(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def lose_everything(self) -> None:
        self.indexes.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    def answer(self, method: str, path: str, credential: str, data: bytes) -> tuple[int, Any]:
        self.requests.append((method, path))
        try:
            _check(credential)
            return self._route(method, path.partition("?")[0].strip("/").split("/"), json.loads(data) if data else None)
        except _Refused as refused:
            body = {"message": str(refused), "code": refused.code, "type": "invalid_request", "link": ""}
            return refused.status, body

    def _route(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        match method, path:
            case "GET", ["version"]:
                return 200, {"commitSha": "", "commitDate": "", "pkgVersion": "1.22.0"}
            case "GET", ["tasks", number]:
                return 200, self._tasks[int(number)]
            case "POST", ["indexes"]:
                _only(body, {"uid", "primaryKey"})
                return self._enqueue(
                    "indexCreation", body["uid"], lambda: self._create(body["uid"], body["primaryKey"])
                )
            case "GET", ["indexes", uid]:
                found = self._index(uid)
                return 200, {
                    "uid": uid,
                    "createdAt": found.created_at,
                    "updatedAt": found.created_at,
                    "primaryKey": found.primary_key,
                }
            case "DELETE", ["indexes", uid]:
                return self._enqueue("indexDeletion", uid, lambda: self._drop(uid))
            case "PATCH", ["indexes", uid, "settings"]:
                _only(body, SETTINGS)
                return self._enqueue("settingsUpdate", uid, lambda: self._index(uid).settings.update(body))
            case "POST", ["indexes", uid, "documents"]:
                return self._enqueue("documentAdditionOrUpdate", uid, lambda: self._put(uid, body))
            case "POST", ["indexes", uid, "documents", "delete"]:
                _only(body, {"filter"})
                return self._enqueue("documentDeletion", uid, lambda: self._remove(uid, body["filter"]))
            case "POST", ["indexes", uid, "search"]:
                return 200, self._search(self._index(uid), body)
            case "POST", ["swap-indexes"]:
                for pair in body:
                    _only(pair, {"indexes"})
                return self._enqueue("indexSwap", None, lambda: self._swap(body))
        raise _Refused(404, "not_found", "Not Found")

    # tasks

    def _enqueue(self, kind: str, uid: str | None, work: Callable[[], Any]) -> tuple[int, Any]:
        now = datetime.now(UTC).isoformat()
        number = len(self._tasks)
        common = {"indexUid": uid, "status": "enqueued", "type": kind, "enqueuedAt": now}
        self._tasks.append(
            common
            | {"uid": number, "canceledBy": None, "details": {}, "error": None}
            | {"duration": None, "startedAt": None, "finishedAt": None, "batchUid": None}
        )
        self._queue.put((number, work))
        return 202, common | {"taskUid": number}

    def _work(self) -> None:
        while True:
            number, work = self._queue.get()
            time.sleep(0.005)
            try:
                work()
                self._tasks[number]["status"] = "succeeded"
            except _Refused as refused:
                fault = {"message": str(refused), "code": refused.code, "type": "invalid_request", "link": ""}
                self._tasks[number] |= {"status": "failed", "error": fault}

    def _index(self, uid: str) -> _Index:
        if uid not in self.indexes:
            raise _Refused(404, "index_not_found", f"Index `{uid}` not found.")
        return self.indexes[uid]

    def _create(self, uid: str, primary_key: str) -> None:
        if uid in self.indexes:
            raise _Refused(409, "index_already_exists")
        self.indexes[uid] = _Index(primary_key)

    def _drop(self, uid: str) -> None:
        self._index(uid)
        del self.indexes[uid]

    def _swap(self, pairs: list[dict[str, list[str]]]) -> None:
        for pair in pairs:
            one, other = pair["indexes"]
            self.indexes[one], self.indexes[other] = self._index(other), self._index(one)

    def _put(self, uid: str, documents: list[Document]) -> None:
        index = self._index(uid)
        for document in documents:
            key = document.get(index.primary_key)
            if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,511}", key):
                raise _Refused(400, "invalid_document_id", f"Document identifier `{key}` is invalid.")
            index.documents[key] = document

    def _remove(self, uid: str, condition: str) -> None:
        index = self._index(uid)
        holds = _filter(index, condition)
        index.documents = {key: found for key, found in index.documents.items() if not holds(found)}

    # searching

    def _search(self, index: _Index, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, SEARCH)
        conditions = [_filter(index, condition) for condition in body.get("filter", [])]
        searchable = index.settings["searchableAttributes"]
        found = [
            document
            for document in index.documents.values()
            if all(holds(document) for holds in conditions) and _matches(document, searchable, body["q"])
        ]
        found.sort(key=lambda document: (document["name"].lower() == body["q"], document["position"]), reverse=True)
        for order in reversed(body.get("sort", [])):
            attribute, way = order.split(":")
            if attribute not in index.settings["sortableAttributes"]:
                raise _Refused(400, "invalid_search_sort", f"Attribute `{attribute}` is not sortable.")
            found.sort(key=lambda document: document[attribute], reverse=way == "desc")
        facets: dict[str, dict[str, int]] = {}
        for facet in body.get("facets", []):
            if facet not in index.settings["filterableAttributes"]:
                raise _Refused(400, "invalid_search_facets")
            counts = facets.setdefault(facet, {})
            for document in found:
                counts[document[facet]] = counts.get(document[facet], 0) + 1
        offset, limit = body.get("offset", 0), body.get("limit", 20)
        shown = body["attributesToRetrieve"]
        return {
            "hits": [{name: document[name] for name in shown} for document in found[offset : offset + limit]],
            "query": body["q"],
            "processingTimeMs": 0,
            "limit": limit,
            "offset": offset,
            "estimatedTotalHits": len(found),
        } | ({"facetDistribution": facets} if body.get("facets") else {})


def _check(credential: str) -> None:
    if not credential:
        raise _Refused(401, "missing_authorization_header")
    if credential != f"Bearer {KEY}":
        raise _Refused(403, "invalid_api_key", "The provided API key is invalid.")


def _only(body: dict[str, Any], known: set[str]) -> None:
    for name in body.keys() - known:
        raise _Refused(400, "bad_request", f"Unknown field `{name}`")


def _filter(index: _Index, condition: str) -> Callable[[Document], bool]:
    parsed = _CONDITION.fullmatch(condition)
    if parsed is None:
        raise _Refused(400, "invalid_search_filter", f"cannot parse {condition}")
    attribute, several, comparison, text, number = parsed.groups()
    if attribute not in index.settings.get("filterableAttributes", ()):
        raise _Refused(400, "invalid_search_filter", f"Attribute `{attribute}` is not filterable.")
    if several is not None:
        values = set(re.findall(r'"([^"]*)"', several))
        return lambda document: document[attribute] in values
    if text is not None:
        return lambda document: bool(document[attribute].lower() == text.lower())
    if comparison == ">=":
        return lambda document: bool(document[attribute] >= int(number))
    return lambda document: bool(document[attribute] <= int(number))


def _matches(document: Document, searchable: list[str], query: str) -> bool:
    held = [word for name in searchable for word in re.findall(r"[^\W_]+", str(document[name]).lower())]
    wanted = query.lower().split()
    return all(
        any(word == one or _near(word, one) or (last and word.startswith(one)) for word in held)
        for one, last in ((one, place == len(wanted) - 1) for place, one in enumerate(wanted))
    )


def _near(word: str, wanted: str) -> bool:
    """One letter more, less or otherwise, in words of five letters and more."""
    if len(wanted) < 5 or abs(len(word) - len(wanted)) > 1:
        return False
    start = next((place for place, (a, b) in enumerate(zip(word, wanted, strict=False)) if a != b), None)
    if start is None:
        return True
    rests = (word[start + 1 :], wanted[start + 1 :])
    return rests[0] == rests[1] or word[start:] == rests[1] or rests[0] == wanted[start:]
