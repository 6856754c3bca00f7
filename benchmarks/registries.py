"""Other registries, started as their manuals say, each with one account that may publish, and empty.

They are installed by `make bench` into `.clients/peers` and `.clients/verdaccio`; what is not there is not compared.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.http_load import Request
from benchmarks.packages import Credential, npm_publish, python_upload
from benchmarks.servers import Server, free_port, started
from tests.samples.pypi.make import Sample

CLIENTS = Path(__file__).resolve().parent.parent / ".clients"
PUBLISHER = Credential("bench", "a-Password-for-tests-7")

_VERDACCIO = """
storage: {folder}/storage
auth: {{htpasswd: {{file: {folder}/htpasswd}}}}
packages: {{"**": {{access: $all, publish: $authenticated}}}}
max_body_size: 300mb
log: {{type: stdout, format: json, level: error}}
web: {{enable: false}}
"""

_HASH = """
import sys; from passlib.apache import HtpasswdFile
file = HtpasswdFile(sys.argv[1], new=True); file.set_password(*sys.argv[2:]); file.save()
"""


class Registry(NamedTuple):
    """One under measurement. page: the index of a package. upload: publishes (name, version, content)."""

    name: str
    server: Server
    page: str
    upload: Callable[[str, str, bytes], Request]

    def file(self, ending: str) -> str:
        """Where the index says that the file with this ending is."""
        page = fetched(f"http://127.0.0.1:{self.server.port}{self.page}").decode()
        found = re.search(rf'"((?:[^"]*/)?[^"/]*{re.escape(ending)})(?:[#?][^"]*)?"', page)
        assert found is not None, page[:2000]
        address = found[1]
        if "://" in address:
            return "/" + address.split("/", 3)[3]
        path = (self.page if not address.startswith("/") else "").rstrip("/").split("/")
        for part in address.lstrip("/").split("/"):
            path = path[:-1] if part == ".." else [*path, part]
        return "/" + "/".join(path).lstrip("/")


def python_publisher(path: str, credential: Credential) -> Callable[[str, str, bytes], Request]:
    """What uploads a wheel there."""

    def upload(name: str, version: str, content: bytes) -> Request:
        return python_upload(path, Sample(f"{name}-{version}-py3-none-any.whl", content), credential)

    return upload


@contextmanager
def pypiserver(folder: Path) -> Iterator[Registry]:
    """pypiserver with a password file."""
    bin_, port, packages = CLIENTS / "peers/bin", free_port(), folder / "packages"
    packages.mkdir()
    subprocess.run([bin_ / "python", "-c", _HASH, folder / "htpasswd", *PUBLISHER], check=True)
    command = [str(bin_ / "pypi-server"), "run", "-i", "127.0.0.1", "-p", str(port), "-a", "update", "-P"]
    with started([*command, str(folder / "htpasswd"), "--disable-fallback", str(packages)], port, folder) as server:
        yield Registry("pypiserver", server, "/simple/demo/", python_publisher("/", PUBLISHER))


@contextmanager
def devpi(folder: Path) -> Iterator[Registry]:
    """devpi with one user and one index, which mirrors nothing."""
    bin_, port, data = CLIENTS / "peers/bin", free_port(), folder / "data"
    subprocess.run(
        [bin_ / "devpi-init", "--serverdir", data, "--no-root-pypi"], check=True, capture_output=True, cwd=folder
    )
    command = [str(bin_ / "devpi-server"), "--serverdir", str(data), "--host", "127.0.0.1", "--port", str(port)]
    with started(command, port, folder) as server:
        base = f"http://127.0.0.1:{port}"
        sent(f"{base}/{PUBLISHER.user}", "PUT", {"password": PUBLISHER.password, "email": "bench@example.org"})
        token = sent(f"{base}/+login", "POST", PUBLISHER._asdict())["result"]["password"]
        login = b64encode(f"{PUBLISHER.user}:{token}".encode()).decode()
        index = {"bases": [], "volatile": True, "type": "stage"}
        sent(f"{base}/{PUBLISHER.user}/packages", "PUT", index, {"X-Devpi-Auth": login})
        path = f"/{PUBLISHER.user}/packages/"
        yield Registry("devpi", server, f"{path}+simple/demo/", python_publisher(path, PUBLISHER))


@contextmanager
def verdaccio(folder: Path) -> Iterator[Registry]:
    """verdaccio with one account, which mirrors nothing."""
    port, settings = free_port(), folder / "config.yaml"
    settings.write_text(_VERDACCIO.format(folder=folder))
    command = [str(CLIENTS / "verdaccio/node_modules/.bin/verdaccio"), "-c", str(settings), "-l", f"127.0.0.1:{port}"]
    with started(command, port, folder, {"NODE_ENV": "production"}) as server:
        account = {"name": PUBLISHER.user, "password": PUBLISHER.password}
        address = f"http://127.0.0.1:{port}/-/user/org.couchdb.user:{PUBLISHER.user}"
        token = sent(address, "PUT", account)["token"]
        yield Registry("verdaccio", server, "/demo", npm_publisher("", {"authorization": f"Bearer {token}"}))


def npm_publisher(path: str, headers: Mapping[str, str]) -> Callable[[str, str, bytes], Request]:
    """What publishes a package there."""
    return lambda name, version, content: npm_publish(path, name, version, content, headers)


def sent(url: str, method: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
    """The JSON answer to a JSON request."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
    return content
