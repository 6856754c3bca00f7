"""The real processes over real sockets, spoken to by clients that are broken, slow, gone, or mean it."""

from __future__ import annotations

import gzip
import io
import json
import re
import socket
import struct
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.integration.harness import multipart
from tests.live import ADMIN_PASSWORD, Live, live
from tests.publishes import FORMATS, publish, upload_form
from tests.samples.npm import make as npm_make
from tests.samples.pypi.make import Sample, metadata_text, pack_zip, sdist, wheel, wheel_files
from tests.servers.relay import Relay

AUTH = b"Authorization: Basic " + b64encode(f"admin:{ADMIN_PASSWORD}".encode()) + b"\r\n"
HOST = b"Host: registry.example\r\n"
IDLE_SECONDS = 2


class Site:
    """The running registry, and the cable to its database."""

    def __init__(self, running: Live, database: Relay) -> None:
        self.running, self.database = running, database

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.running.port), timeout=20)

    def say(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send and read until the server closes or has nothing to say for a while."""
        with closing(self.connect()) as line:
            try:
                for part in parts:
                    line.sendall(part)
                    time.sleep(pause)
            except OSError:
                pass  # it has closed already; what it said is still to be read
            return _read(line)

    def spooled(self) -> list[Path]:
        return [path for path in (self.running.folder).rglob("*") if path.is_file() and _is_spool(path)]


def _is_spool(path: Path) -> bool:
    return "upload" in str(path.parent.name) or "spool" in str(path.parent.name) or "staging" in str(path.parent.name)


def _read(line: socket.socket, quiet: float = 1.5) -> bytes:
    line.settimeout(quiet)
    received = b""
    try:
        while data := line.recv(1 << 16):
            received += data
            if _complete(received):
                line.settimeout(0.15)
    except OSError:
        pass
    return received


def _complete(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return bool(separator) and length is not None and len(body) >= int(length[1])


def statuses(received: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


@pytest.fixture(scope="module")
def site(postgres_dsn: str) -> Iterator[Site]:
    parts = urlsplit(postgres_dsn)
    with Relay(Path(unquote(parse_qs(parts.query)["host"][0])) / ".s.PGSQL.5432") as database:
        environ = {
            "DATABASE_URL": f"postgresql://{parts.username}@127.0.0.1:{database.port}{parts.path}",
            "AK_BODY_IDLE_SECS": str(IDLE_SECONDS),
            "AK_API_WORKERS": "2",
            "DATABASE_ACQUIRE_TIMEOUT_SECS": "1",
        }
        with live(environ) as running:
            for one in FORMATS:
                running.repository(f"{one}-libs", one)
            assert running.request("PUT", "/generic/generic-libs/a.txt", b"hello", user="admin").status == 201
            yield Site(running, database)


@pytest.fixture(autouse=True)
def unharmed(site: Site) -> Iterator[None]:
    """Whatever a client did: the next one is answered, the same processes run, and nobody stumbled."""
    before = site.running.children()
    size = site.running.log.stat().st_size
    yield
    assert site.running.request("GET", "/generic/generic-libs/a.txt").body == b"hello"
    assert site.running.children() == before
    said = site.running.log.read_bytes()[size:].decode()
    assert "Traceback" not in said, said[-3000:]
    deadline = time.monotonic() + IDLE_SECONDS + 5
    while site.spooled():
        assert time.monotonic() < deadline, site.spooled()
        time.sleep(0.1)


def absent(site: Site, path: str) -> None:
    assert site.running.request("GET", path, user="admin").status == 404, path


# heads


def test_a_mebibyte_of_headers_is_refused(site: Site) -> None:
    for junk in (b"X-Long: " + b"a" * (1 << 20) + b"\r\n", b"Cookie: " + b"a=b; " * 200_000 + b"\r\n"):
        said = site.say(b"GET /generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + junk + b"\r\n")
        assert all(400 <= status < 500 for status in statuses(said)), said[:300]
        assert b"hello" not in said


def test_a_hundred_thousand_header_lines_are_refused(site: Site) -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(100_000))
    said = site.say(b"GET /generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    assert all(400 <= status < 500 for status in statuses(said)), said[:300]
    assert b"hello" not in said


def test_an_endless_request_line_is_refused(site: Site) -> None:
    said = site.say(b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert all(400 <= status < 500 for status in statuses(said)), said[:300]


def test_many_who_never_finish_their_headers_keep_nobody_waiting(site: Site) -> None:
    lines = []
    try:
        for number in range(400):
            line = site.connect()
            line.sendall(b"GET /generic/generic-libs/a.txt HTTP/1.1\r\nX-%d: " % number)
            lines.append(line)
        for _ in range(10):
            for line in lines[::7]:
                line.sendall(b"a")
            started = time.monotonic()
            assert site.running.request("GET", "/generic/generic-libs/a.txt", timeout=10).status == 200
            assert time.monotonic() - started < 9
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /generic/generic-libs/a.txt HTTP/1.1\r\n\r\n",  # no Host
        b"GET /generic/generic-libs/a.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /generic/generic-libs/a.txt HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"X Y: z\r\n\r\n",
        b"GET /generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"X-A: b\0c\r\n\r\n",
        b"GET /generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"X-A: b\r\n folded\r\n\r\n",
        b"GET /generic/generic-libs/a.txt HTTP/9.9\r\n" + HOST + b"\r\n",
        b"GET /generic/generic-libs/a .txt HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET  /generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60),
        b"\r\n\r\n\r\n\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
        b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /generic/generic-libs/%ff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /generic/generic-libs/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /generic/generic-libs/../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /generic//generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT registry.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\xff\xfe\xfd / HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_heads_that_are_none_get_a_refusal_or_nothing(site: Site, head: bytes) -> None:
    said = site.say(head)
    assert all(400 <= status < 500 for status in statuses(said)), (head, said[:400])
    assert b"hello" not in said


def test_the_forms_of_a_target_that_http_allows(site: Site) -> None:
    absolute = b"GET http://registry.example/generic/generic-libs/a.txt HTTP/1.1\r\n" + HOST + b"\r\n"
    said = site.say(absolute)
    assert statuses(said) == [200], said[:400]
    assert said.endswith(b"hello")
    assert statuses(site.say(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"))[0] in {200, 204, 400, 404, 405}


def test_absolute_targets_do_not_choose_the_address_in_answers(site: Site) -> None:
    said = site.say(b"GET http://evil.example/npm/npm-libs/none HTTP/1.1\r\n" + HOST + b"\r\n")
    assert b"evil.example" not in said


def test_http_1_0_is_answered_and_the_line_closed(site: Site) -> None:
    said = site.say(b"GET /generic/generic-libs/a.txt HTTP/1.0\r\n\r\n")
    assert statuses(said) in ([200], [400]), said[:300]
    with closing(site.connect()) as line:
        line.sendall(b"GET /generic/generic-libs/a.txt HTTP/1.0\r\nHost: registry.example\r\n\r\n")
        line.settimeout(10)
        received = b""
        while data := line.recv(1 << 16):  # until the server closes
            received += data
    assert statuses(received) == [200]
    assert received.endswith(b"hello")


def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    asked = b"".join(
        b"GET /generic/generic-libs/%s HTTP/1.1\r\n" % name + HOST + b"\r\n" for name in [b"a.txt", b"none.txt"] * 10
    )
    said = site.say(asked + b"GET /livez HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    assert statuses(said) == [200, 404] * 10 + [200]


# bodies and their framing


def put(path: str, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"PUT /generic/generic-libs/" + path.encode() + b" HTTP/1.1\r\n" + HOST + AUTH + lines + b"\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        (b"zz\r\nabc\r\n0\r\n\r\n"),
        (b"-1\r\na\r\n0\r\n\r\n"),
        (b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        (b"3\r\nabcd\r\n0\r\n\r\n"),
        (b"5\r\nabc\r\n0\r\n\r\n"),
        (b"0x3\r\nabc\r\n0\r\n\r\n"),
        (b"3 \t;" + b"e" * 200_000 + b"\r\nabc\r\n0\r\n\r\n"),
        (b"\r\n\r\n"),
        (b"3\nabc\n0\n\n"),
    ],
)
def test_broken_chunks_publish_nothing(site: Site, framing: bytes) -> None:
    said = site.say(put("broken.txt", b"Transfer-Encoding: chunked"), framing)
    assert statuses(said) == [400], (framing[:40], said[:300])
    absent(site, "/generic/generic-libs/broken.txt")


@pytest.mark.parametrize("framing", [b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{}\r\n0\r\n\r\n"])
def test_broken_chunks_to_the_management_api_are_the_clients_fault(site: Site, framing: bytes) -> None:
    head = b"POST /api/v1/repositories HTTP/1.1\r\n" + HOST + AUTH + b"Content-Type: application/json\r\n"
    said = site.say(head + b"Transfer-Encoding: chunked\r\n\r\n", framing)
    assert statuses(said) == [400], said[:300]
    assert b'"code"' in said


def test_who_vanishes_amid_a_management_request_is_no_fault_of_ours(site: Site) -> None:
    with closing(site.connect()) as line:
        line.sendall(b"POST /api/v1/repositories HTTP/1.1\r\n" + HOST + AUTH + b"Content-Length: 100\r\n\r\n{")
        time.sleep(0.2)
    time.sleep(0.3)  # the check for stumbling comes after


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 300"),
        (b"Content-Length: 5, 300",),
        (b"Content-Length: +5",),
        (b"Content-Length: 5 ", b"Transfer-Encoding: xchunked"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked, identity"),
        (b"Content-Length: 5", b"Transfer-Encoding:\x0bchunked"),
        (b"Content-Length: 5", b"Transfer-Encoding : chunked"),
        (b"Content-Length: 5", b" Transfer-Encoding: chunked"),
        (b"Content-Length: 0x5",),
        (b"Content-Length: -5",),
        (b"Content-Length: 99999999999999999999999",),
        (b"Content-Length : 5",),
        (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    ],
)
def test_a_request_is_never_read_in_two_ways(site: Site, headers: tuple[bytes, ...]) -> None:
    """Whatever front server may stand before us: nothing hidden in a body is carried out, and nothing is half stored."""
    name = f"smuggled-{abs(hash(headers))}.txt"
    smuggled = put(name, b"Content-Length: 4") + b"evil"
    said = site.say(put(f"carrier-{name}", *headers) + b"0\r\n\r\n" + smuggled)
    found = statuses(said)
    assert len(found) <= 1, (headers, said)
    absent(site, f"/generic/generic-libs/{name}")
    if found == [201]:  # RFC 9112, 6.3: Transfer-Encoding overrides, and the line is closed
        assert set(headers) == {b"Content-Length: 5", b"Transfer-Encoding: chunked"}, headers
        assert site.running.request("GET", f"/generic/generic-libs/carrier-{name}").body == b""
    else:
        assert all(400 <= status < 500 for status in found), (headers, said)
        absent(site, f"/generic/generic-libs/carrier-{name}")


def test_a_body_that_stops_coming_is_given_up(site: Site) -> None:
    for head, first in [
        (put("slow.txt", b"Content-Length: 100000"), b"a" * 10),
        (put("slow.txt", b"Transfer-Encoding: chunked"), b"5\r\nhello\r\n"),
        (
            b"POST /api/v1/repositories HTTP/1.1\r\n" + HOST + AUTH + b"Content-Length: 500\r\n"
            b"Content-Type: application/json\r\n\r\n",
            b"{",
        ),
    ]:
        with closing(site.connect()) as line:
            line.sendall(head + first)
            started = time.monotonic()
            said = _read(line, IDLE_SECONDS + 26)
            assert time.monotonic() - started < IDLE_SECONDS + 25
        assert statuses(said) == [408], (head, said[:300])
    absent(site, "/generic/generic-libs/slow.txt")


def test_many_slow_bodies_keep_nobody_waiting(site: Site) -> None:
    lines = []
    try:
        for number in range(100):
            line = site.connect()
            line.sendall(put(f"slow{number}.txt", b"Content-Length: 1000000") + b"a" * 100)
            lines.append(line)
        started = time.monotonic()
        for number in range(20):
            answer = site.running.request("PUT", f"/generic/generic-libs/quick{number}.txt", b"q", user="admin")
            assert answer.status in {200, 201}
        assert time.monotonic() - started < 40
    finally:
        for line in lines:
            line.close()
    absent(site, "/generic/generic-libs/slow0.txt")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("how", ["closed", "reset", "chunked"])
def test_who_vanishes_amid_an_upload_leaves_nothing(site: Site, format: str, how: str) -> None:
    one = publish(format, f"{format}-libs", f"gone{how}", "1.0.0")
    padded = one.body if format != "generic" else one.body * 4000
    head = f"{one.method} {one.target} HTTP/1.1\r\n".encode() + HOST + AUTH
    head += b"".join(f"{name}: {value}\r\n".encode() for name, value in one.headers.items())
    half = padded[: len(padded) // 2]
    with closing(site.connect()) as line:
        if how == "chunked":
            line.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(half) + half + b"\r\n")
        else:
            line.sendall(head + b"Content-Length: %d\r\n\r\n" % len(padded) + half)
        time.sleep(0.2)
        if how == "reset":
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.2)
    absent(site, one.file)
    page = site.running.request("GET", one.page)
    assert page.status == 404 or one.told not in page.body


# archives


def bomb_wheel() -> Sample:
    return Sample("demo-1.0-py3-none-any.whl", pack_zip({**wheel_files(), "demo/zeros.bin": bytes(100 << 20)}))


def renamed(sample: Sample, filename: str) -> Sample:
    return Sample(filename, sample.content)


def odd_tar(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> Sample:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in (("demo-1.0/PKG-INFO", metadata_text()), (name, b"x")):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            if path == name:
                member.type, member.linkname = kind, target
                member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return Sample("demo-1.0.tar.gz", buffer.getvalue())


def nested_metadata() -> Sample:
    huge = metadata_text(description="x" * (64 << 20))
    return Sample("demo-1.0-py3-none-any.whl", pack_zip(wheel_files(metadata=huge)))


PYPI_ATTACKS = {
    "a wheel cut short": Sample("demo-1.0-py3-none-any.whl", wheel().content[:-40]),
    "a tar cut short": Sample("demo-1.0.tar.gz", sdist().content[:-60]),
    "a tar called wheel": renamed(sdist(), "demo-1.0-py3-none-any.whl"),
    "a wheel called tar": renamed(wheel(), "demo-1.0.tar.gz"),
    "text called wheel": Sample("demo-1.0-py3-none-any.whl", b"hello"),
    "nothing": Sample("demo-1.0-py3-none-any.whl", b""),
    "metadata of 64 MiB": nested_metadata(),
    "a name that climbs out": Sample(
        "demo-1.0-py3-none-any.whl", pack_zip({**wheel_files(), "../../evil.py": b"evil"})
    ),
    "an absolute name": Sample("demo-1.0-py3-none-any.whl", pack_zip({**wheel_files(), "/etc/evil": b"evil"})),
    "a tar that climbs out": odd_tar("demo-1.0/../../evil"),
    "a file name that climbs out": renamed(wheel(), "../demo-1.0-py3-none-any.whl"),
    "another project's metadata": Sample("demo-1.0-py3-none-any.whl", wheel("other", "1.0").content),
}


@pytest.mark.parametrize("attack", PYPI_ATTACKS)
def test_python_archives_that_are_not_what_they_say_are_refused(site: Site, attack: str) -> None:
    sample = PYPI_ATTACKS[attack]
    body, content_type = upload_form(sample, name="demo", version="1.0")
    started = time.monotonic()
    reply = site.running.request("POST", "/pypi/pypi-libs/", body, user="admin", headers={"Content-Type": content_type})
    assert 400 <= reply.status < 500, (attack, reply.status, reply.body)
    assert reply.body.strip()
    assert time.monotonic() - started < 40
    absent(site, "/pypi/pypi-libs/simple/demo/")


def test_a_bomb_costs_neither_time_nor_memory(site: Site) -> None:
    """A hundred mebibytes of zeros in a wheel, more in an npm package: both are small files, and stay small to us."""
    sample = bomb_wheel()
    assert len(sample.content) < 1 << 20
    before = max(map(_resident, site.running.children()["api"]))
    body, content_type = upload_form(sample, name="demo", version="1.0")
    started = time.monotonic()
    reply = site.running.request("POST", "/pypi/pypi-libs/", body, user="admin", headers={"Content-Type": content_type})
    assert reply.status < 500
    bomb = npm_make.bomb(256 << 20)
    document = npm_make.document(bomb, "ak-hello", "1.0.0")
    reply = site.running.request("PUT", "/npm/npm-libs/ak-hello", document, user="admin")
    assert 400 <= reply.status < 500, reply.body
    assert time.monotonic() - started < 50
    assert max(map(_resident, site.running.children()["api"])) - before < 96 << 20
    absent(site, "/npm/npm-libs/ak-hello")


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


NPM_ATTACKS: dict[str, Callable[[], bytes]] = {
    "cut short": lambda: npm_make.tarball()[:-30],
    "a zip": lambda: wheel().content,
    "not packed": lambda: gzip.decompress(npm_make.tarball()),
    "nothing": lambda: b"",
    "climbing out": lambda: npm_make.gz(
        npm_make.tar(
            npm_make.member("package/package.json", npm_make.package_json()),
            npm_make.member("package/../../evil", b"x"),
        )
    ),
    "another name inside": lambda: npm_make.tarball(name="another"),
    "another version inside": lambda: npm_make.tarball(version="9.9.9"),
    "gzip of gzip": lambda: gzip.compress(npm_make.tarball()),
}


@pytest.mark.parametrize("attack", NPM_ATTACKS)
def test_node_archives_that_are_not_what_they_say_are_refused(site: Site, attack: str) -> None:
    data = NPM_ATTACKS[attack]()
    reply = site.running.request("PUT", "/npm/npm-libs/ak-hello", npm_make.document(data), user="admin")
    assert 400 <= reply.status < 500, (attack, reply.status, reply.body)
    assert set(reply.json()) == {"error", "reason"}
    absent(site, "/npm/npm-libs/ak-hello")


def test_wrong_digests_publish_nothing(site: Site) -> None:
    sample = wheel()
    for field in ("sha256_digest", "md5_digest", "blake2_256_digest"):
        body, content_type = upload_form(sample, **{field: "0" * (32 if field == "md5_digest" else 64)})
        reply = site.running.request(
            "POST", "/pypi/pypi-libs/", body, user="admin", headers={"Content-Type": content_type}
        )
        assert reply.status == 400, (field, reply.status, reply.body)
    absent(site, "/pypi/pypi-libs/simple/demo/")
    data = npm_make.tarball()
    for change in ({"integrity": npm_make.integrity(b"other")}, {"shasum": "0" * 40}):
        document = npm_make.document(data)
        document["versions"]["1.0.0"]["dist"].update(change)
        reply = site.running.request("PUT", "/npm/npm-libs/ak-hello", document, user="admin")
        assert reply.status == 400, (change, reply.status, reply.body)
    absent(site, "/npm/npm-libs/ak-hello")
    for header, value in (
        ("X-Checksum-Sha256", "0" * 64),
        ("X-Checksum-Sha1", "0" * 40),
        ("X-Checksum-Md5", "0" * 32),
        ("Content-MD5", b64encode(bytes(16)).decode()),
        ("Digest", "sha-256=" + b64encode(bytes(32)).decode()),
        ("Repr-Digest", "sha-256=:" + b64encode(bytes(32)).decode() + ":"),
    ):
        reply = site.running.request(
            "PUT", "/generic/generic-libs/wrong.txt", b"right", user="admin", headers={header: value}
        )
        assert reply.status in {400, 422}, (header, reply.status, reply.body)
    absent(site, "/generic/generic-libs/wrong.txt")


def test_fields_that_come_twice_are_not_chosen_from(site: Site) -> None:
    sample, other = wheel(), wheel("other", "1.0")
    fields = [(":action", "file_upload"), ("name", "demo"), ("version", "1.0"), ("filetype", "bdist_wheel")]
    once = [("content", sample.filename, sample.content)]
    for more_fields, files in [
        ([("name", "other")], once),
        ([("version", "2.0")], once),
        ([(":action", "submit")], once),
        ([("sha256_digest", "0" * 64), ("sha256_digest", "1" * 64)], once),
        ([], [*once, ("content", other.filename, other.content)]),
        ([], [*once, *once]),
        ([("content", "text")], once),
    ]:
        body, content_type = multipart([*fields, *more_fields], files)
        reply = site.running.request(
            "POST", "/pypi/pypi-libs/", body, user="admin", headers={"Content-Type": content_type}
        )
        assert reply.status == 400, (more_fields, [file[1] for file in files], reply.status, reply.body)
    absent(site, "/pypi/pypi-libs/simple/demo/")
    absent(site, "/pypi/pypi-libs/simple/other/")
    document = npm_make.document(npm_make.tarball())

    text = json.dumps(document)
    for doubled in (
        text.replace('"name": "ak-hello"', '"name": "ak-hello", "name": "other"', 1),
        text.replace('"versions":', '"versions": {}, "versions":', 1),
        text.replace('"_attachments":', '"_attachments": {}, "_attachments":', 1),
    ):
        assert doubled != text
        reply = site.running.request("PUT", "/npm/npm-libs/ak-hello", doubled.encode(), user="admin")
        assert reply.status == 400, (reply.status, reply.body)
    absent(site, "/npm/npm-libs/ak-hello")


def test_forms_that_are_none(site: Site) -> None:
    for content_type, body in [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=", b"----\r\n"),
        ("multipart/form-data; boundary=" + "x" * 5000, b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 50_000 + b"\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 3_000_000),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 5000 + b"--x--\r\n",
        ),
        ("application/x-www-form-urlencoded", b":action=file_upload&name=demo"),
        ("application/json", b"{}"),
    ]:
        reply = site.running.request(
            "POST", "/pypi/pypi-libs/", body, user="admin", headers={"Content-Type": content_type}
        )
        assert 400 <= reply.status < 500, (content_type[:60], body[:40], reply.status, reply.body)


def test_who_may_not_upload_is_told_before_the_bytes(site: Site) -> None:
    head = b"PUT /generic/generic-libs/big.bin HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000000\r\n"
    with closing(site.connect()) as line:
        line.sendall(head + b"Expect: 100-continue\r\n\r\n")
        said = _read(line)
    assert statuses(said) == [401], said[:300]


# the database


def test_the_processes_outlive_their_database(site: Site) -> None:
    """All of them, without a restart: cut in the midst of work, mended later."""
    running = site.running
    made = [publish(one, f"{one}-libs", "outlived", "1.0.0") for one in FORMATS]
    for one in made:
        assert running.request(one.method, one.target, one.body, user="admin", headers=one.headers).status in {200, 201}
    before = running.children()
    with ThreadPoolExecutor(8) as threads:
        site.database.cut()
        lost = [publish(one, f"{one}-libs", "outlived", "2.0.0") for one in FORMATS] * 2

        def send(number: int) -> int:
            one = lost[number]
            answer = running.request(one.method, one.target, one.body, user="admin", headers=one.headers, timeout=30)
            assert answer.status == 503, (one.target, answer.status, answer.body)
            assert int(answer.headers["retry-after"]) > 0
            return answer.status

        assert list(threads.map(send, range(len(lost)))) == [503] * len(lost)
    assert running.request("GET", "/livez").status == 200
    assert running.request("GET", "/readyz").status == 503
    site.database.mend()
    deadline = time.monotonic() + 20
    for one in lost[:3]:
        while True:
            answer = running.request(one.method, one.target, one.body, user="admin", headers=one.headers)
            if answer.status in {200, 201}:
                break
            assert answer.status == 503, (one.target, answer.status, answer.body)
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert one.told in running.request("GET", one.page).body
        assert running.request("GET", one.file).body == one.content
    while running.request("GET", "/readyz").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert running.children() == before
