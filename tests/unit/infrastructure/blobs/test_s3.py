"""The parts of the S3 store that need no service: resuming reads, part sizes, file names in headers."""

from __future__ import annotations

import io
import os
from email.message import Message

import pytest
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from domain.errors import NotFound, Unavailable
from infrastructure.blobs.s3 import attachment, part_bytes
from infrastructure.blobs.s3_reader import S3Reader

CONTENT = os.urandom(1000)


class Cut(io.BytesIO):
    """A transfer that breaks after some bytes."""

    def __init__(self, content: bytes, after: int) -> None:
        super().__init__(content)
        self.after = after

    def read(self, size: int | None = -1) -> bytes:
        if self.after <= 0:
            raise ProtocolError("broken")
        data = super().read(min(size if size is not None and size >= 0 else self.after, self.after))
        self.after -= len(data)
        return data


class Service:
    """Hands out CONTENT; each transfer breaks after so many bytes, in turn."""

    def __init__(self, *breaks: int) -> None:
        self.breaks = list(breaks)
        self.offsets: list[int] = []

    def __call__(self, offset: int) -> HTTPResponse | None:
        self.offsets.append(offset)
        if offset >= len(CONTENT):
            return None
        after = self.breaks.pop(0) if self.breaks else len(CONTENT) + 1
        return answer(Cut(CONTENT[offset:], after), 206 if offset else 200, len(CONTENT) - offset)


def answer(body: io.BytesIO, status: int, length: int | None) -> HTTPResponse:
    headers = {} if length is None else {"Content-Length": str(length)}
    return HTTPResponse(body, headers=headers, status=status, preload_content=False)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("breaks", [(), (1,), (999,), (0, 0, 0, 0, 5), (100,) * 9])
def test_a_broken_transfer_goes_on_at_its_offset(breaks: tuple[int, ...]) -> None:
    service = Service(*breaks)

    with io.BufferedReader(S3Reader(service), 64) as file:
        assert file.read() == CONTENT

    assert len(service.offsets) == len(breaks) + 1
    assert service.offsets == sorted(service.offsets)


def test_transfers_that_bring_nothing_are_given_up(no_pauses: list[float]) -> None:
    with pytest.raises(Unavailable), S3Reader(Service(*[0] * 5)) as file:
        file.read(1)
    assert sum(no_pauses) == pytest.approx(1.5)


def test_a_transfer_that_ends_early_without_an_error_is_continued() -> None:
    bodies = [CONTENT[:300], CONTENT[300:]]

    def fetch(offset: int) -> HTTPResponse:
        return answer(io.BytesIO(bodies.pop(0)), 206 if offset else 200, len(CONTENT) - offset)

    with io.BufferedReader(S3Reader(fetch)) as file:
        assert file.read() == CONTENT


def test_a_service_that_ignores_the_range_is_not_believed() -> None:
    with pytest.raises(Unavailable):
        S3Reader(lambda _: answer(io.BytesIO(CONTENT), 200, len(CONTENT)), 5)


def test_an_answer_without_a_length_is_not_believed() -> None:
    with pytest.raises(Unavailable):
        S3Reader(lambda _: answer(io.BytesIO(CONTENT), 200, None))


def test_a_blob_that_vanishes_between_two_attempts_is_not_found() -> None:
    service = Service(10)

    def fetch(offset: int) -> HTTPResponse | None:
        if offset:
            raise NotFound("no such blob")
        return service(offset)

    with pytest.raises(NotFound), io.BufferedReader(S3Reader(fetch)) as file:
        file.read()


def test_moving_opens_a_new_transfer_only_when_reading() -> None:
    service = Service()
    with S3Reader(service) as file:
        assert file.seek(-10, io.SEEK_END) == 990
        assert file.seek(-5, io.SEEK_CUR) == 985
        assert service.offsets == [0]
        assert file.read() == CONTENT[985:]
        assert file.read() == b""
        assert service.offsets == [0, 985]
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)


@pytest.mark.parametrize("offset", [1000, 1001])
def test_reading_from_the_end_gives_nothing(offset: int) -> None:
    with S3Reader(Service(), offset) as file:
        assert file.read() == b""


@pytest.mark.parametrize(
    ("size_bytes", "expected_mebibytes"),
    [(0, 8), (1, 8), (10_000 * 8 * 2**20, 8), (10_000 * 8 * 2**20 + 1, 9), (5 * 2**40, 525)],
)
def test_parts_grow_only_where_their_number_is_limited(size_bytes: int, expected_mebibytes: int) -> None:
    assert part_bytes(size_bytes) == expected_mebibytes * 2**20
    assert -(-size_bytes // part_bytes(size_bytes)) <= 10_000


@pytest.mark.parametrize(
    "filename", ["pkg-1.0.tar.gz", "ü ñ.whl", 'a"b\\c', "a\r\nSet-Cookie: x", "100%.txt", "", "\ud800", "a;b=c"]
)
def test_any_file_name_makes_one_safe_header(filename: str) -> None:
    value = attachment(filename)

    assert value.isascii()
    assert value.isprintable()
    parsed = Message()
    parsed["Content-Disposition"] = value
    assert parsed.get_content_disposition() == "attachment"
    assert {name for name, _ in parsed.get_params(header="Content-Disposition") or []} == {"attachment", "filename"}
