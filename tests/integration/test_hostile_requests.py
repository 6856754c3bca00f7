"""Any bytes to any route: a 4xx in the dialect of whoever asked, never a 500, never a worker that hangs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.asgi import PROBES
from application.formats import FORMATS
from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.npm import make as npm_sample

SOURCES = str(Path(__file__).parents[2]).encode()
QUICK = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("hostile")) as started:
        for format_ in FORMATS:
            started.repository(f"{format_.key}-libs", format_.key)
            started.repository(f"{format_.key}-secret", format_.key, public=False)
        started.done("PUT", "/general/generic-libs/a/b.txt", b"hello")
        data = npm_sample.tarball()
        started.done("PUT", "/npm/npm-libs/ak-hello", npm_sample.document(data))
        started.done("POST", "/api/v1/checkpoints", {"name": "release-7"})
        yield started
        assert [path for path in started.settings.upload_staging_dir.rglob("*") if path.is_file()] == []


# what attackers write

_NASTY = (
    *(b"%2e%2e", b"%2E%2e%2f", b"..%2f", b"%2f", b"%5c", b"..", b".", b"", b"%00", b"a%00b", b"%ff", b"%c3%28"),
    *(b"%", b"%4", b"%zz", b"%25", b"%252e%252e", b"%0d%0aX-Evil: 1", b"%1f", b"%7f", b"%c2%85", b"%e2%80%ae"),
    *(b"%ef%bf%bf", b"%f0%9f%92%a9", b"%ed%a0%80", b"a" * 300, b"%61" * 300, b"~", b"-", b"@", b"@a", b"@a%2fb"),
    *(b"{path}", b"{key}", b"'; DROP TABLE es_event; --", b"${jndi}", b"<script>", b"*", b"?", b"#", b";a=b", b"CON"),
    *(b"-rev", b"-rev/1-x", b"-/npm/v1/tokens", b"simple", b"simple/", b"json", b"package.json", b"a.tgz", b"..."),
)
_SELECTORS = (
    *(b"0", b"1", b"3", b"-1", b"+1", b"007", b"1e3", b"9" * 18, b"9" * 19, b"9" * 25, b"9" * 3000, b"%39"),
    *(b"2026-01-01", b"0001-01-01", b"9999-12-31", b"2026-02-30", b"2026-13-01", b"0000-00-00", b"2026-1-1"),
    *(b"2026-01-01T00:00:00Z", b"2026-01-01T25:00:00Z", b"9999-12-31T23:59:59.999999-23:59", b"2026-01-01T"),
    *(b"0001-01-01T00:00:00+23:59", b"2026-01-01%2000:00", b"2026-01-01T00:00:00+00:00:00.1", b"2026-W01-1"),
    *(b"release-7", b"release-8", b"", b"@", b"1@1", b"%00", b"%ff", b"head", b"-", b"%2e%2e", b"%2f", b"\xd9\xa3"),
    *(b"%D9%A1", b"%C2%B2", b"2026-01-01T00:00:00%F0%9F%92%A9"),
)
_segment = st.one_of(
    st.sampled_from(_NASTY),
    st.sampled_from((b"ak-hello", b"a", b"b.txt", b"ak-hello-1.0.0.tgz", b"1.0.0", b"latest")),
    st.binary(max_size=12).map(lambda raw: b"".join(b"%%%02x" % byte for byte in raw)),
    st.binary(max_size=8).map(lambda raw: raw.replace(b"/", b"").replace(b"?", b"")),
)
_tail = st.lists(_segment, max_size=6).map(b"/".join)
_mounts = st.sampled_from(
    [prefix.encode() for one in FORMATS for prefix in (one.prefix, *one.further_prefixes)]
    + [b"api", b"api/v1", b"api/v1/repositories", b"api/v1/transparency", b"nothing", b"", b"%6epm"]
)
_keys = st.one_of(
    st.sampled_from([f"{one.key}-{kind}".encode() for one in FORMATS for kind in ("libs", "secret")]),
    st.sampled_from((b"absent", b"npm-libs%40", b"NPM-LIBS", b"npm%2dlibs", b"@1", *_NASTY)),
)
_repositories = st.one_of(_keys, st.tuples(_keys, st.sampled_from(_SELECTORS)).map(b"@".join))
_raw_paths = st.one_of(
    st.tuples(_mounts, _repositories, _tail).map(lambda parts: b"/" + b"/".join(parts)),
    st.binary(max_size=40).map(lambda raw: b"/" + raw.replace(b"?", b"")),
)
_ROUTES = [
    (route.method, one, route.pattern.encode())
    for one in FORMATS
    for route in (*one.routes, *(route for mount in one.mounts for route in mount.routes))
]


@st.composite
def _routed(draw: st.DrawFn) -> tuple[str, bytes]:
    """A method and an address that some route of a format takes, its placeholders filled with what they are not for."""
    method, one, pattern = draw(st.sampled_from(_ROUTES))
    filled = re.sub(rb"\{\w+\+?\}", lambda _: draw(_segment), pattern)
    key = draw(
        st.sampled_from([f"{one.key}-libs".encode(), f"{one.key}-libs@3".encode(), f"{one.key}-secret".encode()])
    )
    return method, b"/" + one.prefix.encode() + b"/" + key + filled


_methods = st.sampled_from(
    [
        "GET",
        "HEAD",
        "PUT",
        "POST",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "BREW",
        "get",
        "CONNECT",
        "PURGE",
    ]
)
_text = st.one_of(
    st.sampled_from(["", "\0", "%00", "%", "a" * 5000, "\xff\xfe", "-1", "9" * 30, "1e9", "null", "*", ",", ";", '"']),
    st.text(alphabet=st.characters(max_codepoint=255), max_size=20),
)
_queries = st.one_of(
    st.just(b""),
    st.sampled_from(
        [
            *(b"text=%00", b"text=%ff", b"size=-1", b"size=9" + b"9" * 30, b"from=-1", b"from=9" + b"9" * 30),
            *(b"write=true", b"ticket=%00", b"ticket=x", b"page=0&per_page=-5", b"page=9" + b"9" * 30, b"q=%00"),
            *(b"list&deep=1&depth=9" + b"9" * 20, b"archive=zip", b"properties=%00", b"&" * 5000, b"=&=&=", b"%=%"),
            *(b"a=1&" * 400, b"text=" + b"a" * 20000, b"cursor=%00", b"n=-1&last=%00", b"from=1@2&to=%00"),
        ]
    ),
    st.binary(max_size=30),
)
_header_names = st.sampled_from(
    [
        *("authorization", "x-api-key", "cookie", "accept", "accept-encoding", "range", "if-range", "if-none-match"),
        *("if-match", "if-modified-since", "if-unmodified-since", "content-type", "content-length", "content-encoding"),
        *("transfer-encoding", "expect", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
        *("x-correlation-id", "traceparent", "x-checksum-sha256", "x-checksum-deploy", "content-md5", "digest"),
        *(
            "destination",
            "depth",
            "overwrite",
            "user-agent",
            "npm-command",
            "origin",
            "x-requested-with",
            "want-digest",
        ),
        *("repr-digest", "content-digest", "content-range", "x-checksum-sha1", "x-checksum-md5", "sec-fetch-mode"),
    ]
)
_header_values = st.one_of(
    _text,
    st.sampled_from(
        [
            *("Basic", "Basic %%%", "Basic Og==", "Basic AA==", "Basic /w==", "Bearer", "Bearer x", "Bearer eyJ.a.b"),
            *("Bearer eyJhbGciOiJub25lIn0.e30.", "ApiKey x", "bytes=0-", "bytes=-0", "bytes=9-1", "bytes=5-,1-2,-3"),
            *("bytes=" + "0-0," * 500, "bytes=-" + "9" * 30, "Sun, 99 Nov 1994 08:49:37 GMT", "chunked", "gzip"),
            *("gzip, chunked", "100-continue", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 300),
            *('multipart/form-data; boundary="x"', "application/json", "text/html", "a/b;q=x", "*/*;q=2", "infinity"),
            *("http://elsewhere.example/general/generic-libs/x", "/general/generic-libs/%2e%2e/x", "[::1", "a b", "ü"),
            *("sha-256=:AAAA:", "sha-256=x", 'W/"x"', '"' + "x" * 10000 + '"', "0" * 64, "f" * 63, "bytes 0-0/*"),
        ]
    ),
)
_headers = st.lists(st.tuples(_header_names, _header_values), max_size=5)
_bodies = st.one_of(
    st.just(b""),
    st.sampled_from(
        [
            *(b"{", b"{}", b"[]", b"null", b'"x"', b"\xff\xfe", b"\0" * 100, b"[" * 20000, b'{"a":' * 5000, b"1e999"),
            *(
                b"--x\r\n",
                b"--x\r\n\r\n--x--",
                b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
            ),
            *(b'{"name": "\\ud800"}', b'{"key": null}', b'{"_attachments": {"a": 1}}', b"PK\x03\x04", b"\x1f\x8b\x08"),
            b'{"name":"ak-hello","versions":{"9.9.9":{}},"_attachments":{"x":{"data":"===="}}}',
        ]
    ),
    st.binary(max_size=200),
)
_who = st.sampled_from(["nobody", "nobody", "admin"])


_targets = st.one_of(_routed(), st.tuples(_methods, _raw_paths), st.tuples(_methods, _routed().map(lambda one: one[1])))


@QUICK
@given(_who, _targets, _queries, _headers, _bodies, st.booleans(), st.booleans())
@example("admin", ("GET", b"/npm/npm-libs/-/v1/search"), b"text=%00", [], b"", False, False)
@example("nobody", ("GET", b"/npm/npm-libs@" + b"9" * 3000 + b"/x"), b"", [], b"", False, False)
def test_whatever_bytes_are_sent_the_answer_is_no_fault_of_ours(
    running: Product,
    who: str,
    target: tuple[str, bytes],
    query: bytes,
    headers: list[tuple[str, str]],
    body: bytes,
    chunked: bool,
    truncated: bool,
) -> None:
    method, path = target
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    named = {name for name, _ in headers}
    if "host" not in named:
        sent.append((b"host", b"registry.example"))
    if who == "admin" and "authorization" not in named:
        sent.append((b"authorization", running.admin["authorization"].encode()))
    if body and not chunked and "content-length" not in named:
        sent.append((b"content-length", str(len(body)).encode()))
    chunks = [body[:7], body[7:]] if chunked else [body]
    reply = running.raw(method, path, query, sent, chunks, truncated=truncated)
    what = (method, path[:200], query[:200], headers, body[:80], reply.status, reply.body[:300])
    assert reply.status < 500 or (reply.status == 503 and path in PROBES), what
    _check_dialect(reply, method, what)


def _check_dialect(reply: Reply, method: str, what: object) -> None:
    """Errors say why, in JSON where they are of JSON; nothing of the framework, the database or this machine."""
    for name, value in reply.headers:
        assert "\r" not in value, what
        assert "\n" not in value, what
        assert name != "x-evil", what
    if method == "HEAD" or reply.status in {204, 304, 412, 416, 499}:
        return
    if reply.status >= 400:
        assert reply.body, what
        for telltale in (b"Traceback", b"psycopg", SOURCES, b"/tmp/", b"SELECT ", b"litestar"):
            assert telltale not in reply.body, what
    if reply.header("content-type").startswith("application/json") and reply.status >= 400:
        json.loads(reply.body)
