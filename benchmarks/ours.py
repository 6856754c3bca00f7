"""The registry under measurement: started as its users start it, filled, and a worker of it in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

from api.composition.api import Api, compose_api
from benchmarks.http_load import many
from benchmarks.packages import SMALL, Credential, python_upload, wheel
from tests.live import ADMIN_PASSWORD, Live

ADMIN = Credential("admin", ADMIN_PASSWORD)
VERSIONS = 50


class Index(NamedTuple):
    """Addresses within the server: the page of a project of VERSIONS files, and one of those."""

    page: str
    small: str


def index_of(running: Live, key: str, versions: int = VERSIONS) -> Index:
    """A new Python repository with one project."""
    running.repository(key, "pypi")
    made = [wheel("demo", f"1.{number}", SMALL) for number in range(versions)]
    many(running.port, [python_upload(f"/pypi/{key}/", one, ADMIN) for one in made], connections=4)
    page = f"/pypi/{key}/simple/demo/"
    return Index(page, page + made[0].filename)


@contextmanager
def worker(running: Live) -> Iterator[Api]:
    """One more worker, in this process, on the data of a registry that runs."""
    with mock.patch.dict(os.environ, running.environ, clear=True):
        api = compose_api()
    try:
        yield api
    finally:
        api.close()
