"""The description of the API and the API agree: whatever fits the one is answered as the one says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.checks  # makes its checks known
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS

from tests.integration.product import Product, product
from tests.publishes import FORMATS, publish

EXAMPLES = int(os.environ.get("API_EXAMPLES", "5"))


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("openapi")) as started:
        for one in FORMATS:
            started.repository(f"{one}-libs", one)
            made = publish(one, f"{one}-libs", "demo", "1.0.0")
            started.done(made.method, made.target, made.body, headers=made.headers)
        yield started


@pytest.fixture(scope="module")
def document(running: Product) -> dict[str, Any]:
    found: dict[str, Any] = running.call("GET", "/api/v1/openapi.json").json()
    return found


def test_every_operation_says_in_its_own_words_what_it_does_and_needs(document: dict[str, Any]) -> None:
    seen = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            seen += 1
            assert operation["x-needs"], (method, path)
            assert re.match(r"[A-Z`]", operation["summary"]), (method, path, operation["summary"])
            assert "callable" not in operation["summary"], (method, path)
            assert {"400", "4XX", "503"} <= operation["responses"].keys(), (method, path)
    assert seen > 80


def test_whatever_fits_the_description_is_answered_as_it_says(running: Product, document: dict[str, Any]) -> None:
    real = _names(running)
    failures: list[str] = []
    with running.serve() as url:
        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = result.ok()  # type: ignore[union-attr]  # raises for a schema that is none
            if operation.path.endswith("/stream"):
                continue  # they do not end
            try:
                _check(operation, url, running, real)
            except (Exception, BaseExceptionGroup) as failure:  # all of them are told, not the first alone
                reasons = getattr(failure, "exceptions", (failure,))
                failures.append(f"{operation.label}: {'; '.join(map(str, reasons))}")
    assert not failures, "\n\n".join(failures)


def _names(running: Product) -> dict[str, str]:
    """What is there, for reads: of made-up names there is only a 404 to see."""
    artifact = running.done("GET", "/api/v1/repositories/generic-libs/artifacts")["items"][0]
    return {
        "key": "generic-libs",
        "artifact_path": artifact["path"],
        "artifact_id": artifact["id"],
        "package_id": running.done("GET", "/api/v1/packages?q=demo")["items"][0]["id"],
        "user_id": running.user_id(running.admin),
        "when": "1",
        "stream_id": running.done("GET", "/api/v1/repositories/generic-libs")["id"],
    }


def _check(operation: Any, url: str, running: Product, real: dict[str, str]) -> None:
    @given(case=operation.as_strategy(), existing=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any, existing: bool) -> None:
        if existing and operation.method.upper() == "GET":
            case.path_parameters = {name: real.get(name, value) for name, value in case.path_parameters.items()}
        response = case.call(base_url=url, headers=running.admin, timeout=30)
        case.validate_response(response, checks=CONFORMANCE)

    run()


CONFORMANCE = [
    check
    for check in CHECKS.get_all()
    if check.__name__
    in {
        *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
        *("response_headers_conformance", "response_schema_conformance"),
    }
]
assert len(CONFORMANCE) == 5, "a check has another name in this release"
