"""pip (new and old), uv, twine and Poetry against a registry on a loopback port: what people type, and what they see."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from application.formats.pypi import FORMAT
from tests.integration.conftest import (  # noqa: F401 - fixtures
    migrated_template,
    postgres_dsn,
    postgres_server,
    servers_directory,
)
from tests.integration.harness import Registry, registry
from tests.samples.pypi.make import Sample, sdist, wheel

pytestmark = pytest.mark.client

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("AK_CLIENTS", ROOT / ".clients"))
OLD_PIP = CLIENTS / "old-pip" / "pip-21.3.1-py3-none-any.whl"
_numbers = count(1)


@pytest.fixture(scope="module")
def served(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, str]]:  # noqa: F811
    with registry(postgres_dsn, tmp_path_factory.mktemp("clients"), [FORMAT]) as running, running.serve() as url:
        yield running, url


class Index:
    """A repository with a writer `wendy` and a reader `rita`."""

    def __init__(self, running: Registry, base_url: str, key: str, *, public: bool) -> None:
        self.running, self.base_url, self.key = running, base_url, key
        self.id: UUID = running.repository(key, "pypi", public=public).id
        running.person("wendy", **{key: "read write delete"})
        running.person("rita", **{key: "read"})

    @property
    def upload_url(self) -> str:
        return f"{self.base_url}/pypi/{self.key}/"

    def simple_url(self, user: str = "", at: str = "") -> str:
        credentials = f"{user}:secret@" if user else ""
        return self.base_url.replace("://", f"://{credentials}") + f"/pypi/{self.key}{at}/simple/"

    def change(self, method: str, path: str, body: bytes = b"") -> None:
        assert self.running.request(method, f"/pypi/{self.key}{path}", body, user="wendy").status == 204

    def downloads(self) -> int:
        return sum(repository == self.id for _, repository, _ in self.running.downloads)

    def position(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def index(served: tuple[Registry, str]) -> Index:
    return Index(*served, f"libs{next(_numbers)}", public=True)


@pytest.fixture
def private(served: tuple[Registry, str]) -> Index:
    return Index(*served, f"private{next(_numbers)}", public=False)


class Machine:
    """A clean home with the clients on its path and nothing configured."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            "HOME": str(home),
            "PATH": f"{CLIENTS / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "COLUMNS": "500",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "UV_NO_PYTHON_DOWNLOADS": "1",
            "POETRY_NO_INTERACTION": "1",
            "POETRY_VIRTUALENVS_IN_PROJECT": "1",
        }

    def run(self, *command: str | Path, fails: bool = False, **env: str) -> str:
        """Standard output and error together; the command must succeed, or fail, as expected."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.home,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def dist(self, *samples: Sample) -> list[Path]:
        """Files in `dist/`."""
        folder = self.home / "dist"
        folder.mkdir(exist_ok=True)
        paths = [folder / sample.filename for sample in samples]
        for path, sample in zip(paths, samples, strict=True):
            path.write_bytes(sample.content)
        return paths

    def pip(self, index: Index, *arguments: str | Path, user: str = "", at: str = "", fails: bool = False) -> str:
        verb, *rest = arguments
        return self.run("pip", verb, "--index-url", index.simple_url(user, at), *rest, fails=fails)

    def twine(self, index: Index, *paths: Path, user: str = "wendy", fails: bool = False) -> str:
        return self.run(
            "twine", "upload", "--verbose", "--non-interactive", "--repository-url", index.upload_url,
            "-u", user, "-p", "secret", *paths, fails=fails,
        )  # fmt: skip

    def installed(self) -> str:
        """The version of `demo` in the folder `target`, after installing into it."""
        done = subprocess.run(
            [sys.executable, "-c", "import demo; print(demo.__version__)"],
            env={"PYTHONPATH": str(self.home / "target")},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if not (CLIENTS / "bin" / "pip").exists():
        if os.environ.get("CI"):
            pytest.fail("the clients are not installed: make clients")
        pytest.skip("the clients are not installed: make clients")
    return Machine(tmp_path)


def changed(sample: Sample) -> Sample:
    assert sample.filename == wheel().filename
    return wheel(extra={"demo/changed.py": b"x = 1\n"})


# publishing


def test_twine_publishes_republishes_and_is_refused(index: Index, machine: Machine) -> None:
    paths = machine.dist(wheel(), sdist())
    machine.twine(index, *paths)
    machine.twine(index, *paths)
    machine.dist(changed(wheel()))
    refused = machine.twine(index, *paths, fails=True)
    assert "409" in refused
    assert "File already exists ('demo-1.0-py3-none-any.whl')" in refused
    assert sorted(file.name for file in download(machine, index)) == ["demo-1.0-py3-none-any.whl"]


def download(machine: Machine, index: Index, *arguments: str, at: str = "") -> list[Path]:
    folder = machine.home / f"got{next(_numbers)}"
    machine.pip(index, "download", "--no-deps", "-d", folder, *(arguments or ("demo",)), at=at)
    return list(folder.iterdir())


def test_uv_publishes_and_checks_what_is_there(index: Index, machine: Machine) -> None:
    machine.dist(wheel("Demo", "1.0"), sdist("Demo", "1.0"))
    publish = ("uv", "publish", "--publish-url", index.upload_url, "-u", "wendy", "-p", "secret")
    check = ("--check-url", index.simple_url())
    assert "Uploading demo-1.0" in machine.run(*publish, *check)
    assert "already exist" in machine.run(*publish, *check)
    machine.run(*publish)
    machine.dist(changed(wheel()))
    assert "File already exists ('demo-1.0-py3-none-any.whl')" in machine.run(*publish, fails=True)
    assert "Local file and index file do not match" in machine.run(*publish, *check, fails=True)


POETRY_PROJECT = """
[project]
name = "consumer"
version = "0.1"
requires-python = ">=3.11,<4"

[tool.poetry]
package-mode = {package}
"""


def poetry_project(machine: Machine, *, package: bool) -> None:
    (machine.home / "pyproject.toml").write_text(POETRY_PROJECT.format(package=str(package).lower()))


def test_poetry_publishes_and_is_refused(index: Index, machine: Machine) -> None:
    poetry_project(machine, package=True)
    machine.dist(wheel("consumer", "0.1"), sdist("consumer", "0.1"))
    machine.run("poetry", "config", "repositories.r", index.upload_url)
    publish = ("poetry", "publish", "-r", "r", "-u", "wendy", "-p", "secret")
    machine.run(*publish)
    assert {file.name for file in download(machine, index, "consumer")} == {"consumer-0.1-py3-none-any.whl"}
    machine.dist(wheel("consumer", "0.1", extra={"x.py": b""}))
    assert "File already exists ('consumer-0.1-py3-none-any.whl')" in machine.run(*publish, fails=True)
    machine.run(*publish, "--skip-existing")


def test_those_who_may_not_publish_are_told_so(index: Index, private: Index, machine: Machine) -> None:
    paths = machine.dist(wheel())
    refused = machine.twine(index, *paths, user="rita", fails=True)
    assert "403" in refused
    assert f"you do not have write access to repository '{index.key}'" in refused
    assert "401" in machine.twine(index, *paths, user="nobody", fails=True)
    publish = ("uv", "publish", "--publish-url", private.upload_url, "-u", "rita", "-p", "secret")
    assert "you do not have write access" in machine.run(*publish, fails=True)
    machine.pip(index, "download", "-d", machine.home / "nothing", "demo", fails=True)


def test_a_broken_distribution_is_refused_with_the_reason(index: Index, machine: Machine) -> None:
    broken = wheel(metadata=b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\nRequires-Python: three\n")
    publish = ("uv", "publish", "--publish-url", index.upload_url, "-u", "wendy", "-p", "secret")
    (path,) = machine.dist(Sample(broken.filename, broken.content))
    said = machine.run(*publish, path, fails=True)
    assert "Requires-Python: 'three' is invalid" in said


# installing


@pytest.fixture
def stocked(index: Index, machine: Machine) -> Index:
    """demo 1.0, 1.5 and 2.0; 2.0 also as source; 2.0 needs `helper`, and with the extra `more` also `extra-helper`."""
    more = b"Provides-Extra: more\nRequires-Dist: extra-helper; extra == 'more'\nRequires-Dist: helper>=1\n"
    head = b"Metadata-Version: 2.4\nName: demo\nVersion: 2.0\nRequires-Python: >=3.8\n"
    machine.twine(
        index,
        *machine.dist(
            wheel(version="1.0"), wheel(version="1.5"), wheel(version="2.0", metadata=head + more),
            sdist(version="2.0", metadata=head + more), wheel("helper", "1.0"), wheel("helper", "1.1"),
            wheel("Extra.Helper", "3.0"), wheel("demo", "3.0", requires_python=">=99"),
        ),
    )  # fmt: skip
    for path in (machine.home / "dist").iterdir():
        path.unlink()
    return index


def test_pip_installs_the_version_that_is_asked_for(stocked: Index, machine: Machine) -> None:
    machine.pip(stocked, "install", "--target", "target", "demo==1.0")
    assert machine.installed() == "1.0"
    machine.pip(stocked, "install", "--upgrade", "--target", "target", "demo[more]")
    assert machine.installed() == "2.0"
    assert {path.name for path in (machine.home / "target").iterdir()} >= {"helper", "extra_helper"}
    listed = machine.pip(stocked, "index", "versions", "DEMO")
    assert "Available versions: 2.0, 1.5, 1.0" in listed


def test_an_old_pip_installs_from_the_html_page(stocked: Index, machine: Machine) -> None:
    if sys.version_info >= (3, 12):
        pytest.skip("that pip needs modules which this Python no longer has")
    machine.run(
        sys.executable, OLD_PIP / "pip", "install", "--index-url", stocked.simple_url(), "--target", "target", "demo<2"
    )
    assert machine.installed() == "1.5"


def test_pip_installs_from_source(stocked: Index, machine: Machine) -> None:
    machine.pip(stocked, "install", "--target", "target", "--no-deps", "--no-binary", "demo", "demo==2.0")
    assert machine.installed() == "2.0"


def test_pip_reads_metadata_instead_of_wheels(stocked: Index, machine: Machine) -> None:
    said = machine.pip(stocked, "install", "--dry-run", "--ignore-installed", "-vv", "demo==2.0")
    assert "demo-2.0-py3-none-any.whl.metadata" in said
    assert "Would install demo-2.0 helper-1.1" in said
    assert stocked.downloads() == 0


def test_pip_revalidates_pages_that_it_has(stocked: Index, machine: Machine) -> None:
    for _ in range(2):
        said = machine.pip(
            stocked,
            "download",
            "--no-deps",
            "-vvv",
            "--trusted-host",
            "127.0.0.1",
            "-d",
            f"got{next(_numbers)}",
            "demo==1.0",
        )
    assert '"GET /pypi/' in said
    assert " 304 " in said


def test_hashes_that_differ_are_noticed(stocked: Index, machine: Machine) -> None:
    digest = hashlib.sha256(wheel(version="1.0").content).hexdigest()
    for expected, fails in ((digest, False), ("0" * 64, True)):
        (machine.home / "requirements.txt").write_text(f"demo==1.0 --hash=sha256:{expected}\n")
        said = machine.pip(
            stocked,
            "install",
            "--require-hashes",
            "--no-deps",
            "--target",
            f"t{fails}",
            "-r",
            "requirements.txt",
            fails=fails,
        )
    assert "DO NOT MATCH THE HASHES" in said


def test_a_private_repository_needs_credentials(private: Index, machine: Machine) -> None:
    machine.twine(private, *machine.dist(wheel()))
    assert "401" in machine.pip(private, "download", "-vv", "demo", fails=True)
    machine.pip(private, "download", "--no-deps", "demo", user="rita")
    host = private.base_url.removeprefix("http://").partition(":")[0]
    (machine.home / ".netrc").write_text(f"machine {host} login rita password secret\n")
    (machine.home / ".netrc").chmod(0o600)
    machine.pip(private, "download", "--no-deps", "-d", "netrc", "demo")
    machine.run(
        "uv", "pip", "install", "--no-cache", "--index-url", private.simple_url("rita"), "--target", "target", "demo"
    )
    assert machine.installed() == "1.0"
    machine.run("uv", "pip", "install", "--no-cache", "--index-url", private.simple_url(), "--target", "t", "demo",
                fails=True, NETRC=os.devnull)  # fmt: skip


def test_uv_resolves_by_metadata_alone(stocked: Index, machine: Machine) -> None:
    (machine.home / "requirements.in").write_text("demo[more]>=2\n")
    compiled = machine.run(
        "uv",
        "pip",
        "compile",
        "--index-url",
        stocked.simple_url(),
        "--generate-hashes",
        "--no-header",
        "requirements.in",
    )
    assert re.findall(r"^([\w-]+)==([\d.]+)", compiled, re.MULTILINE) == [
        ("demo", "2.0"), ("extra-helper", "3.0"), ("helper", "1.1"),
    ]  # fmt: skip
    assert compiled.count("--hash=sha256:") == 4
    assert stocked.downloads() == 0


UV_PROJECT = """
[project]
name = "consumer"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["demo<3"]
"""


def test_uv_locks_and_installs_from_the_lock(stocked: Index, machine: Machine) -> None:
    (machine.home / "pyproject.toml").write_text(UV_PROJECT)
    machine.run("uv", "lock", "--default-index", stocked.simple_url())
    lock = (machine.home / "uv.lock").read_text()
    assert 'name = "helper"' in lock
    assert "upload-time = " in lock
    assert "size = " in lock
    assert stocked.downloads() == 0
    machine.run("uv", "sync", "--locked", "--no-install-project", "--default-index", stocked.simple_url())
    assert machine.run(".venv/bin/python", "-c", "import demo; print(demo.__version__)").strip() == "2.0"


def test_cut_off_times_hold(stocked: Index, machine: Machine) -> None:
    (machine.home / "requirements.in").write_text("demo\n")
    compile_ = ("uv", "pip", "compile", "--index-url", stocked.simple_url(), "--no-header", "--exclude-newer")
    machine.run(*compile_, "2020-01-01T00:00:00Z", "requirements.in", fails=True)
    late = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 60, UTC).isoformat(timespec="seconds")
    assert "demo==2.0" in machine.run(*compile_, late.replace("+00:00", "Z"), "requirements.in")
    machine.pip(stocked, "download", "--uploaded-prior-to", "2020-01-01T00:00:00Z", "demo", fails=True)


def test_poetry_locks_and_installs(stocked: Index, machine: Machine) -> None:
    poetry_project(machine, package=False)
    machine.run("poetry", "source", "add", "--priority=primary", "ours", stocked.simple_url())
    machine.run("poetry", "add", "--lock", "demo>=2,<3")
    lock = (machine.home / "poetry.lock").read_text()
    assert 'name = "helper"' in lock
    assert "demo-2.0.tar.gz" in lock
    machine.run("poetry", "install", "--no-root")
    assert machine.run(".venv/bin/python", "-c", "import demo; print(demo.__version__)").strip() == "2.0"


# judging


def test_a_yank_is_seen_by_every_client(stocked: Index, machine: Machine) -> None:
    before = stocked.position()
    stocked.change("PUT", "/pypi/demo/2.0/yank", b"eats your <data>")
    machine.pip(stocked, "install", "--target", "target", "demo")
    assert machine.installed() == "1.5"
    said = machine.pip(stocked, "install", "--no-deps", "--upgrade", "--target", "target", "demo==2.0")
    assert "eats your <data>" in said
    assert machine.installed() == "2.0"
    (machine.home / "requirements.in").write_text("demo\n")
    compile_ = ("uv", "pip", "compile", "--no-header", "--index-url")
    assert "demo==1.5" in machine.run(*compile_, stocked.simple_url(), "requirements.in")
    assert "demo==2.0" in machine.run(*compile_, stocked.simple_url(at=before), "requirements.in")
    (machine.home / "requirements.in").write_text("demo==2.0\n")
    assert "eats your <data>" in machine.run(*compile_, stocked.simple_url(), "requirements.in")
    stocked.change("DELETE", "/pypi/demo/2.0/yank")
    machine.pip(stocked, "install", "--upgrade", "--target", "target", "demo")
    assert machine.installed() == "2.0"


def test_a_deleted_release_is_gone_now_and_there_then(stocked: Index, machine: Machine) -> None:
    before = stocked.position()
    stocked.change("DELETE", "/pypi/demo/1.5")
    machine.pip(stocked, "install", "--target", "t", "--no-deps", "demo==1.5", fails=True)
    machine.pip(stocked, "install", "--target", "target", "--no-deps", "demo==1.5", at=before)
    assert machine.installed() == "1.5"
    refused = machine.twine(stocked, *machine.dist(wheel(version="1.5")), fails=True)
    assert "was used before and deleted" in refused


def test_the_past_is_installed_by_position_and_by_time(stocked: Index, machine: Machine) -> None:
    position = stocked.position()
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    machine.twine(stocked, *machine.dist(wheel(version="2.5")))
    stocked.change("PUT", "/pypi/demo/2.0/yank")
    for number, at in enumerate((position, f"@{moment}")):
        (file,) = download(machine, stocked, "demo", at=at)
        assert file.name == "demo-2.0-py3-none-any.whl", number
    (file,) = download(machine, stocked, "demo")
    assert file.name == "demo-2.5-py3-none-any.whl"
    machine.run(
        "uv", "pip", "install", "--no-cache", "--index-url", stocked.simple_url(at=f"@{moment}"), "--target", "target",
        "demo",
    )  # fmt: skip
    assert machine.installed() == "2.0"
    refused = machine.run(
        "twine", "upload", "--verbose", "--non-interactive", "-u", "wendy", "-p", "secret", "--repository-url",
        stocked.upload_url.rstrip("/") + position + "/", *machine.dist(wheel(version="2.6")), fails=True,
    )  # fmt: skip
    assert "the past cannot be written to" in refused
