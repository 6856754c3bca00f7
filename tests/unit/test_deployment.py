"""What ships beside the code: the containers, the locks and the scripts agree with the code they run."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.cli.root import artifact_keeper
from infrastructure.setting_table import SETTINGS

PROJECT = Path(__file__).parents[2]
LOCKS = ("runtime", "embedded", "dev", "clients", "old-pip", "peers")
SECRETS = {
    "JWT_SECRET",
    "AK_INSTANCE_KEY",
    "POSTGRES_PASSWORD",
    "S3_SECRET_ACCESS_KEY",
    "MINIO_ROOT_PASSWORD",
    "MEILI_MASTER_KEY",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="module")
def ours(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services.items() if service["image"].startswith("artifact-keeper")}


def pins(lock: str) -> dict[str, str]:
    text = (PROJECT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_every_part_is_a_service_that_runs_an_existing_command(ours: dict[str, dict[str, Any]]) -> None:
    assert {name: service["command"] for name, service in ours.items()} == {
        name: [name] for name in ("api", "project", "work", "migrate")
    }
    assert set(ours) <= set(artifact_keeper.commands)


def test_every_service_is_locked_down_and_restarts_unless_it_runs_once(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert not service["image"].endswith(":latest"), name
        once = service["restart"] == "no"
        assert once == (name in {"migrate", "database", "bucket"}), name
        assert once or "healthcheck" in service or name == "api", f"{name}: the image has the check of the API"


def test_services_wait_for_what_they_need(services: dict[str, dict[str, Any]]) -> None:
    once = {name for name, service in services.items() if service["restart"] == "no"}
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in once else "service_healthy"
            assert how["condition"] == expected, f"{name} needs {needed}"
    assert "migrate" in services["api"]["depends_on"]
    assert "database" in services["migrate"]["depends_on"]


def test_containers_of_ours_are_given_only_settings_that_exist(ours: dict[str, dict[str, Any]]) -> None:
    known = {setting.name for setting in SETTINGS} | {"PGPASSWORD"}
    for name, service in ours.items():
        assert set(service["environment"]) <= known, name
    dockerfile = (PROJECT / "Dockerfile").read_text()
    final = dockerfile.rsplit("\nFROM ", 1)[1]
    assert set(re.findall(r"([A-Z][A-Z_]+)=", re.sub(r"\nHEALTHCHECK.*", "", final, flags=re.DOTALL))) <= known | {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    }


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    text = (PROJECT / "compose.yaml").read_text()
    for secret in SECRETS:
        uses = re.findall(r"(?<!\$)\$\{" + secret + r"([^}]*)\}", text)
        assert uses, secret
        assert all(use.startswith(":?") for use in uses), secret
    hidden = {setting.name for setting in SETTINGS if setting.secret} - {"DATABASE_URL", "REDIS_URL"}
    for name, value in re.findall(r"^\s+([A-Z_]+): (\S.*)$", text, re.MULTILINE):
        if name in hidden or "PASSWORD" in name:
            assert value.startswith("${"), f"{name} is written down"


def test_only_the_api_is_published_and_only_to_this_machine_unless_asked(services: dict[str, dict[str, Any]]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["api"]
    assert services["api"]["ports"] == ["${AK_PUBLISH:-127.0.0.1:8080}:8080"]
    assert {name for name, service in services.items() if "outside" in service["networks"]} == {"api", "work"}


def test_the_image_runs_as_nobody_special_and_leaves_build_tools_behind() -> None:
    build, final = (PROJECT / "Dockerfile").read_text().split("\nFROM ")[1:]

    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "pip" not in final
    assert "venv" not in re.sub("/opt/artifact-keeper", "", final)
    assert "--require-hashes" in build
    assert "HEALTHCHECK" in final


def test_the_image_gets_every_package_of_the_product() -> None:
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    wanted = {pattern.rstrip("*") for pattern in packages["include"]}
    sent = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert wanted <= sent
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements/runtime.txt"} <= sent


def test_every_dependency_is_locked_with_hashes_and_names_no_index() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = {
        "runtime": project["dependencies"],
        "embedded": project["dependencies"] + project["optional-dependencies"]["embedded"],
        "dev": project["optional-dependencies"]["dev"],
    }
    for lock, requirements in wanted.items():
        names = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in requirements} - {"artifact-keeper"}
        assert names <= set(pins(lock)), f"requirements/{lock}.txt: run `make lock`"
    for lock in LOCKS:
        text = (PROJECT / "requirements" / f"{lock}.txt").read_text()
        assert "://" not in text
        assert "index-url" not in text
        for block in re.split(r"\n(?=\S)", text.strip()):
            assert "--hash=sha256:" in block, block


def test_what_is_tested_is_what_is_shipped() -> None:
    runtime, embedded, dev = pins("runtime"), pins("embedded"), pins("dev")

    assert runtime.items() <= embedded.items() <= dev.items()


def test_the_makefile_explains_itself_and_has_what_ci_calls() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    text = subprocess.run(
        ["make", "--no-print-directory"], cwd=PROJECT, env=environ, capture_output=True, text=True, check=True
    ).stdout
    listed = {line.split()[0] for line in text.splitlines()}

    assert {"run", "test", "check", "unit", "integration", "clients", "bench", "lock", "clean", "settings"} <= listed
    assert re.findall(r"for step in (.*);", (PROJECT / ".ci" / "run").read_text()) == ["check test clients"]


@pytest.mark.parametrize("script", [".ci/run", "requirements/venv.sh", "requirements/node.sh"])
def test_scripts_are_free_of_syntax_errors(script: str) -> None:
    shell = "bash" if script == ".ci/run" else "sh"

    subprocess.run([shell, "-n", PROJECT / script], check=True)
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)
