"""pip (new and old), uv, Poetry, twine, Hatch and Flit against a running registry: what people type, and what they see."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Person, Registry, Repository, moment
from tests.samples.pypi.make import Sample, sdist, wheel

OLD_PIP = CLIENTS / "old-pip" / "pip-21.3.1-py3-none-any.whl"

_ENVIRONMENT = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    "UV_NO_PYTHON_DOWNLOADS": "1",
    "UV_PYTHON": sys.executable,
    "POETRY_NO_INTERACTION": "1",
    "POETRY_VIRTUALENVS_IN_PROJECT": "1",
}


class Index:
    """A repository with `wendy`, who may write and delete, and `rita`, who may read."""

    def __init__(self, registry: Registry, *, public: bool) -> None:
        self.repository: Repository = registry.repository("pypi", public=public, wendy="read write delete", rita="read")
        self.wendy, self.rita = registry.person("wendy"), registry.person("rita")
        self.registry = registry
        self.key = self.repository.key

    @property
    def upload_url(self) -> str:
        return self.repository.url()

    def simple_url(self, person: Person | None = None, at: str = "") -> str:
        return self.repository.url(at, auth=(person.name, person.password) if person else None) + "simple/"

    def change(self, method: str, path: str, body: bytes | None = None) -> None:
        """One of the changes for which no client has a command."""
        reply = self.registry.call(method, self.repository.path(path), body, auth=self.wendy)
        assert reply.status == 204, reply.body

    def now(self) -> str:
        return self.repository.now()


@pytest.fixture
def index(registry: Registry) -> Index:
    return Index(registry, public=True)


@pytest.fixture
def private(registry: Registry) -> Index:
    return Index(registry, public=False)


class Workplace(Machine):
    """A machine with the Python clients, and nothing configured."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, _ENVIRONMENT)
        self.require("pip", "uv", "poetry", "twine", "hatch", "flit")

    def dist(self, *samples: Sample) -> list[Path]:
        """Files in `dist/`, and no others."""
        folder = self.home / "dist"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        paths = [folder / sample.filename for sample in samples]
        for path, sample in zip(paths, samples, strict=True):
            path.write_bytes(sample.content)
        return paths

    # publishing

    def twine(self, index: Index, *paths: Path, token: str = "", at: str = "", fails: bool = False) -> str:
        url, token = index.repository.url(at), token or index.wendy.token
        options = ("--verbose", "--non-interactive", "--repository-url", url, "-u", "__token__", "-p", token)
        return self.run("twine", "upload", *options, *paths, fails=fails)

    def uv_publish(self, index: Index, *more: str, token: str = "", at: str = "", fails: bool = False) -> str:
        url = index.repository.url(at)
        return self.run("uv", "publish", "--publish-url", url, "-t", token or index.wendy.token, *more, fails=fails)

    def poetry_publish(self, index: Index, *more: str, token: str = "", at: str = "", fails: bool = False) -> str:
        """Of what is in `dist/`: `consumer` 0.1."""
        self.poetry_project(package=True)
        self.run("poetry", "config", "repositories.ours", index.repository.url(at))
        token = token or index.wendy.token
        return self.run("poetry", "publish", "-r", "ours", "-u", "__token__", "-p", token, *more, fails=fails)

    def hatch_publish(self, index: Index, *more: str, token: str = "", at: str = "", fails: bool = False) -> str:
        url, token = index.repository.url(at), token or index.wendy.token
        return self.run("hatch", "--no-interactive", "publish", "-r", url, "-u", "__token__", "-a", token, *more,
                        fails=fails)  # fmt: skip

    def poetry_project(self, *, package: bool) -> None:
        (self.home / "pyproject.toml").write_text(_POETRY_PROJECT.format(package=str(package).lower()))

    # installing

    def pip(self, index: Index, verb: str, *rest: str | Path, at: str = "", fails: bool = False) -> str:
        return self.run("pip", verb, "--index-url", index.simple_url(at=at), *rest, fails=fails)

    def pip_installs(self, index: Index, *wanted: str, at: str = "", fails: bool = False) -> str:
        """Into a fresh `target`; what pip said."""
        return self.pip(index, "install", "--target", self.folder("target"), *wanted, at=at, fails=fails)

    def uv_installs(self, index: Index, *wanted: str, at: str = "", fails: bool = False) -> str:
        """Into a fresh `target`; what uv said."""
        url, target = index.simple_url(at=at), self.folder("target")
        return self.run("uv", "pip", "install", "--index-url", url, "--target", target, *wanted, fails=fails)

    def poetry_installs(self, index: Index, *wanted: str, at: str = "") -> str:
        """In a fresh project; the version of `demo` there."""
        self.poetry_project(package=False)
        for made in ("poetry.lock", "poetry.toml"):
            (self.home / made).unlink(missing_ok=True)
        self.run("poetry", "source", "add", "--priority=primary", "ours", index.simple_url(at=at))
        self.run("poetry", "add", *wanted)
        return self.run(".venv/bin/python", "-c", "import demo; print(demo.__version__)").strip()

    def installed(self, module: str = "demo") -> str:
        """The version in the newest `target`."""
        targets = sorted(self.home.glob("target*"), key=lambda path: int(path.name.removeprefix("target") or 0))
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}; print({module}.__version__)"],
            env={"PYTHONPATH": str(targets[-1])},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def downloads(self, index: Index, *wanted: str, at: str = "") -> list[str]:
        """The names of the files that pip fetches."""
        folder = self.folder("got")
        self.pip(index, "download", "--no-deps", "-d", folder, *(wanted or ("demo",)), at=at)
        return sorted(path.name for path in folder.iterdir())


_POETRY_PROJECT = """
[project]
name = "consumer"
version = "0.1"
requires-python = ">=3.11,<4"

[tool.poetry]
package-mode = {package}
"""


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def changed(name: str = "demo", version: str = "1.0") -> Sample:
    """A file of the same name as `wheel(name, version)`, with other bytes."""
    return wheel(name, version, extra={"added.py": b"x = 1\n"})


TAKEN = "File already exists ('{}-py3-none-any.whl')"
NOT_YOURS = "you do not have write access to repository"
PAST = "the past cannot be written to"


# publishing


def test_twine_publishes_republishes_and_is_refused(index: Index, work: Workplace) -> None:
    paths = work.dist(wheel(), sdist())
    work.twine(index, *paths)
    work.twine(index, *paths)
    (path,) = work.dist(changed())
    refused = work.twine(index, path, fails=True)
    assert "409" in refused
    assert TAKEN.format("demo-1.0") in refused
    assert work.downloads(index) == ["demo-1.0-py3-none-any.whl"]


def test_uv_publishes_and_checks_what_is_there(index: Index, work: Workplace) -> None:
    work.dist(wheel("Demo", "1.0"), sdist("Demo", "1.0"))
    check = ("--check-url", index.simple_url())
    assert "Uploading demo-1.0" in work.uv_publish(index, *check)
    assert "already exist" in work.uv_publish(index, *check)
    work.uv_publish(index)
    work.dist(changed())
    assert TAKEN.format("demo-1.0") in work.uv_publish(index, fails=True)
    assert "Local file and index file do not match" in work.uv_publish(index, *check, fails=True)


def test_poetry_publishes_and_is_refused(index: Index, work: Workplace) -> None:
    work.dist(wheel("consumer", "0.1"), sdist("consumer", "0.1"))
    work.poetry_publish(index)
    assert work.downloads(index, "consumer") == ["consumer-0.1-py3-none-any.whl"]
    work.dist(changed("consumer", "0.1"))
    assert TAKEN.format("consumer-0.1") in work.poetry_publish(index, fails=True)
    work.poetry_publish(index, "--skip-existing")


def test_hatch_publishes_and_is_refused(index: Index, work: Workplace) -> None:
    (path,) = work.dist(wheel())
    assert "demo-1.0-py3-none-any.whl ... success" in work.hatch_publish(index, str(path))
    work.dist(changed())
    assert "409" in work.hatch_publish(index, str(path), fails=True)
    assert work.downloads(index) == ["demo-1.0-py3-none-any.whl"]


FLIT_PROJECT = """
[build-system]
requires = ["flit_core >=3.2,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "demo"
version = "1.0"
description = "Built by Flit"
"""


def test_flit_builds_and_publishes(index: Index, work: Workplace) -> None:
    (work.home / "pyproject.toml").write_text(FLIT_PROJECT)
    (work.home / "demo.py").write_text('"""Built by Flit"""\n__version__ = "1.0"\n')
    env = {"FLIT_INDEX_URL": index.upload_url, "FLIT_USERNAME": "__token__", "FLIT_PASSWORD": index.wendy.token}
    work.run("flit", "publish", env=env)
    work.pip_installs(index, "demo")
    assert work.installed() == "1.0"


def test_the_password_of_an_account_publishes_too(index: Index, work: Workplace) -> None:
    (path,) = work.dist(wheel())
    who = ("-u", index.wendy.name, "-p", index.wendy.password)
    work.run("twine", "upload", "--repository-url", index.upload_url, *who, path)
    assert work.downloads(index) == [path.name]


def test_those_who_may_not_publish_are_told_so(index: Index, work: Workplace) -> None:
    token = index.rita.token
    (path,) = work.dist(wheel())
    refused = work.twine(index, path, token=token, fails=True)
    assert "403" in refused
    assert f"{NOT_YOURS} '{index.key}'" in refused
    assert NOT_YOURS in work.uv_publish(index, token=token, fails=True)
    assert "403" in work.hatch_publish(index, str(path), token=token, fails=True)
    work.dist(wheel("consumer", "0.1"))
    assert NOT_YOURS in work.poetry_publish(index, token=token, fails=True)
    work.pip(index, "download", "-d", work.home / "nothing", "demo", fails=True)


def test_a_wrong_token_is_told_apart_from_a_missing_right(index: Index, work: Workplace) -> None:
    token = f"{index.wendy.token[:-4]}0000"
    (path,) = work.dist(wheel())
    assert "401" in work.twine(index, path, token=token, fails=True)
    said = work.uv_publish(index, token=token, fails=True)
    assert "401" in said
    assert "username or password is wrong" in said.lower() or "invalid" in said.lower()
    work.dist(wheel("consumer", "0.1"))
    assert "401" in work.poetry_publish(index, token=token, fails=True)


def test_a_broken_distribution_is_refused_with_the_reason(index: Index, work: Workplace) -> None:
    reason = "Requires-Python: 'three' is invalid"
    head = b"Metadata-Version: 2.4\nName: %s\nVersion: %s\nRequires-Python: three\n"
    (path,) = work.dist(wheel(metadata=head % (b"demo", b"1.0")))
    assert reason in work.uv_publish(index, fails=True)
    (path,) = work.dist(wheel("consumer", "0.1", metadata=head % (b"consumer", b"0.1")))
    assert reason in work.poetry_publish(index, fails=True)
    said = work.run("curl", "-sS", "-u", f"__token__:{index.wendy.token}", "-F", ":action=file_upload",
                    "-F", f"content=@{path}", "-F", "name=consumer", "-F", "version=0.1", index.upload_url)  # fmt: skip
    assert reason in said


def test_a_digest_that_differs_is_refused_with_the_reason(index: Index, work: Workplace) -> None:
    """Clients compute digests when they send; what differs then was changed on the way."""
    (path,) = work.dist(wheel())
    said = work.run(
        "curl", "-sS", "-u", f"__token__:{index.wendy.token}", "-F", ":action=file_upload", "-F", f"content=@{path}",
        "-F", "name=demo", "-F", "version=1.0", "-F", f"sha256_digest={'0' * 64}", index.upload_url,
    )  # fmt: skip
    assert "sha256" in said
    assert work.pip(index, "download", "demo", fails=True)


# installing


@pytest.fixture
def stocked(index: Index, work: Workplace) -> Index:
    """demo 1.0, 1.5 and 2.0; 2.0 also as source; 2.0 needs `helper`, and with the extra `more` also `extra-helper`."""
    more = b"Provides-Extra: more\nRequires-Dist: extra-helper; extra == 'more'\nRequires-Dist: helper>=1\n"
    head = b"Metadata-Version: 2.4\nName: demo\nVersion: 2.0\nRequires-Python: >=3.8\n"
    work.dist(
        wheel(version="1.0"), wheel(version="1.5"), wheel(version="2.0", metadata=head + more),
        sdist(version="2.0", metadata=head + more), wheel("helper", "1.0"), wheel("helper", "1.1"),
        wheel("Extra.Helper", "3.0"), wheel("demo", "3.0", requires_python=">=99"),
    )  # fmt: skip
    work.uv_publish(index)
    return index


def test_pip_installs_the_version_that_is_asked_for(stocked: Index, work: Workplace) -> None:
    work.pip_installs(stocked, "demo==1.0")
    assert work.installed() == "1.0"
    work.pip_installs(stocked, "demo[more]")
    assert (work.installed(), work.installed("helper"), work.installed("extra_helper")) == ("2.0", "1.1", "3.0")
    assert "Available versions: 2.0, 1.5, 1.0" in work.pip(stocked, "index", "versions", "DEMO")


def test_an_old_pip_installs_from_the_html_page(stocked: Index, work: Workplace) -> None:
    if sys.version_info >= (3, 12):
        pytest.skip("that pip needs modules which this Python no longer has")
    for wanted, found in (("demo<2", "1.5"), ("demo==1.0", "1.0")):
        work.run(sys.executable, OLD_PIP / "pip", "install", "--index-url", stocked.simple_url(),
                 "--target", work.folder("target"), wanted)  # fmt: skip
        assert work.installed() == found


def test_uv_installs_the_version_that_is_asked_for(stocked: Index, work: Workplace) -> None:
    work.uv_installs(stocked, "demo==1.0")
    assert work.installed() == "1.0"
    work.uv_installs(stocked, "demo[more]")
    assert (work.installed(), work.installed("helper"), work.installed("extra_helper")) == ("2.0", "1.1", "3.0")


def test_poetry_locks_and_installs_the_version_that_is_asked_for(stocked: Index, work: Workplace) -> None:
    assert work.poetry_installs(stocked, "demo==1.0") == "1.0"
    assert work.poetry_installs(stocked, "demo>=2,<3") == "2.0"
    lock = (work.home / "poetry.lock").read_text()
    assert 'name = "helper"' in lock
    assert "demo-2.0.tar.gz" in lock
    digest = hashlib.sha256(wheel("helper", "1.1").content).hexdigest()
    assert digest in lock
    (work.home / "poetry.lock").write_text(lock.replace(digest, "0" * 64))
    work.run("rm", "-r", ".venv", ".cache")
    refused = "Downloaded distributions for helper (1.1) did not match any known checksums"
    assert refused in work.run("poetry", "install", "--no-root", fails=True)


def test_pip_installs_from_source(stocked: Index, work: Workplace) -> None:
    work.pip_installs(stocked, "--no-deps", "--no-binary", "demo", "demo==2.0")
    assert work.installed() == "2.0"


def test_pip_reads_metadata_instead_of_wheels(stocked: Index, work: Workplace) -> None:
    said = work.pip(stocked, "install", "--dry-run", "--ignore-installed", "-vv", "demo==2.0")
    assert "demo-2.0-py3-none-any.whl.metadata" in said
    assert "Would install demo-2.0 helper-1.1" in said
    assert not re.search(r"Downloading \S+\.whl ", said)


def test_pip_revalidates_pages_that_it_has(stocked: Index, work: Workplace) -> None:
    for _ in range(2):
        said = work.pip(
            stocked, "download", "--no-deps", "-vvv", "--trusted-host", "127.0.0.1", "-d", work.folder("got"), "demo<2"
        )
    assert f'"GET {stocked.repository.path("simple/demo/")} HTTP/1.1" 304 0' in said


def test_hashes_that_differ_are_noticed(stocked: Index, work: Workplace) -> None:
    digest, listed = hashlib.sha256(wheel(version="1.0").content).hexdigest(), work.home / "requirements.txt"
    checked = ("--require-hashes", "--no-deps", "-r", "requirements.txt")
    listed.write_text(f"demo==1.0 --hash=sha256:{digest}\n")
    work.pip_installs(stocked, *checked)
    assert work.installed() == "1.0"
    work.uv_installs(stocked, *checked)
    assert work.installed() == "1.0"
    listed.write_text(f"demo==1.0 --hash=sha256:{'0' * 64}\n")
    assert "DO NOT MATCH THE HASHES" in work.pip_installs(stocked, *checked, fails=True)
    assert "Hash mismatch for `demo==1.0`" in work.uv_installs(stocked, *checked, fails=True)


def test_a_private_repository_needs_credentials(private: Index, work: Workplace) -> None:
    work.twine(private, *work.dist(wheel()))
    assert "401" in work.pip(private, "download", "-vv", "demo", fails=True)
    url, rita = private.simple_url(private.rita), private.rita
    work.run("pip", "download", "--no-deps", "--index-url", url, "demo")
    work.run("uv", "pip", "install", "--no-cache", "--index-url", url, "--target", work.folder("target"), "demo")
    assert work.installed() == "1.0"
    assert "401" in work.uv_installs(private, "--no-cache", "demo", fails=True)
    (work.home / ".netrc").write_text(f"machine 127.0.0.1 login __token__ password {rita.token}\n")
    (work.home / ".netrc").chmod(0o600)
    assert work.downloads(private, "demo") == ["demo-1.0-py3-none-any.whl"]
    work.uv_installs(private, "--no-cache", "demo")
    assert work.installed() == "1.0"


def test_uv_resolves_by_metadata_alone(stocked: Index, work: Workplace) -> None:
    (work.home / "requirements.in").write_text("demo[more]>=2\n")
    said = work.run("uv", "pip", "compile", "-v", "--index-url", stocked.simple_url(), "--generate-hashes",
                    "--no-header", "requirements.in", "-o", "requirements.txt")  # fmt: skip
    compiled = (work.home / "requirements.txt").read_text()
    assert re.findall(r"^([\w-]+)==([\d.]+)", compiled, re.MULTILINE) == [
        ("demo", "2.0"), ("extra-helper", "3.0"), ("helper", "1.1"),
    ]  # fmt: skip
    assert compiled.count("--hash=sha256:") == 4
    assert "demo-2.0-py3-none-any.whl.metadata" in said
    assert not re.search(r"\.whl$", said, re.MULTILINE)


UV_PROJECT = """
[project]
name = "consumer"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["demo<3"]
"""


def test_uv_locks_and_installs_from_the_lock(stocked: Index, work: Workplace) -> None:
    (work.home / "pyproject.toml").write_text(UV_PROJECT)
    index = ("--default-index", stocked.simple_url())
    work.run("uv", "lock", *index)
    lock = (work.home / "uv.lock").read_text()
    assert 'name = "helper"' in lock
    assert "upload-time = " in lock
    assert "size = " in lock
    work.run("uv", "sync", "--locked", "--no-install-project", *index)
    assert work.run(".venv/bin/python", "-c", "import demo; print(demo.__version__)").strip() == "2.0"


def test_cut_off_times_hold(stocked: Index, work: Workplace) -> None:
    (work.home / "requirements.in").write_text("demo\n")
    compile_ = ("uv", "pip", "compile", "--index-url", stocked.simple_url(), "--no-header", "--exclude-newer")
    work.run(*compile_, "2020-01-01T00:00:00Z", "requirements.in", fails=True)
    late = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "demo==2.0" in work.run(*compile_, late, "requirements.in")
    work.pip(stocked, "download", "--uploaded-prior-to", "2020-01-01T00:00:00Z", "demo", fails=True)
    work.pip(stocked, "download", "--uploaded-prior-to", late, "-d", work.folder("got"), "demo")


# judging, and the past


def test_a_yank_is_seen_by_every_client(stocked: Index, work: Workplace) -> None:
    reason = "eats your <data>"
    stocked.change("PUT", "pypi/demo/2.0/yank", reason.encode())
    work.pip_installs(stocked, "demo")
    assert work.installed() == "1.5"
    assert reason in work.pip_installs(stocked, "--no-deps", "demo==2.0")
    assert work.installed() == "2.0"
    work.uv_installs(stocked, "demo")
    assert work.installed() == "1.5"
    assert reason in work.uv_installs(stocked, "--no-deps", "demo==2.0")
    assert work.installed() == "2.0"
    assert work.poetry_installs(stocked, "demo<3") == "1.5"
    stocked.change("DELETE", "pypi/demo/2.0/yank")
    work.pip_installs(stocked, "demo")
    assert work.installed() == "2.0"


def test_an_archived_project_takes_no_files_and_is_still_installed(stocked: Index, work: Workplace) -> None:
    stocked.registry.done("PUT", stocked.repository.path("pypi/demo/status"), {"status": "archived", "reason": "done"})
    (path,) = work.dist(wheel(version="4.0"))
    assert "project demo is archived and takes no new files" in work.twine(stocked, path, fails=True)
    work.pip_installs(stocked, "demo")
    work.uv_installs(stocked, "demo")
    assert work.installed() == "2.0"


def test_a_deleted_release_is_gone_and_its_file_name_with_it(stocked: Index, work: Workplace) -> None:
    stocked.change("DELETE", "pypi/demo/1.5")
    work.pip_installs(stocked, "--no-deps", "demo==1.5", fails=True)
    work.uv_installs(stocked, "--no-deps", "demo==1.5", fails=True)
    assert "was used before and deleted" in work.twine(stocked, *work.dist(wheel(version="1.5")), fails=True)


def test_the_past_is_installed_after_everything_changed(stocked: Index, work: Workplace) -> None:
    then = stocked.now()
    stocked.change("PUT", "pypi/demo/2.0/yank", b"no")
    stocked.change("DELETE", "pypi/demo/1.5")
    stocked.change("DELETE", "simple/helper/helper-1.1-py3-none-any.whl")
    work.dist(wheel(version="2.5"))
    work.uv_publish(stocked)
    work.pip_installs(stocked, "demo")
    assert work.installed() == "2.5"
    work.pip_installs(stocked, "demo", at=then)
    assert (work.installed(), work.installed("helper")) == ("2.0", "1.1")
    work.pip_installs(stocked, "demo==1.5", at=then)
    assert work.installed() == "1.5"
    work.uv_installs(stocked, "demo", at=then)
    assert (work.installed(), work.installed("helper")) == ("2.0", "1.1")
    work.uv_installs(stocked, "demo==1.5", at=then)
    assert work.installed() == "1.5"
    assert work.poetry_installs(stocked, "demo<3", at=then) == "2.0"
    assert "helper-1.1-py3-none-any.whl" in (work.home / "poetry.lock").read_text()


def test_the_past_is_named_by_position_and_by_time_too(index: Index, work: Workplace) -> None:
    work.twine(index, *work.dist(wheel(version="1.0")))
    time = moment()
    name = index.now().removeprefix("@")
    position = index.registry.done("GET", f"/api/v1/checkpoints/{name}")["position"]
    work.twine(index, *work.dist(wheel(version="2.0")))
    for at in (f"@{position}", time):
        assert work.downloads(index, at=at) == ["demo-1.0-py3-none-any.whl"], at
        work.uv_installs(index, "demo", at=at)
        assert work.installed() == "1.0", at
    assert work.downloads(index) == ["demo-2.0-py3-none-any.whl"]


def test_nobody_publishes_into_the_past(index: Index, work: Workplace) -> None:
    then = index.now()
    (path,) = work.dist(wheel())
    said = work.twine(index, path, at=then, fails=True)
    assert "405" in said
    assert PAST in said
    assert PAST in work.uv_publish(index, at=then, fails=True)
    assert "405" in work.hatch_publish(index, str(path), at=then, fails=True)
    work.dist(wheel("consumer", "0.1"))
    assert PAST in work.poetry_publish(index, at=then, fails=True)


# other indexes, and several as one


def test_what_another_index_has_is_installed_through_ours(stocked: Index, work: Workplace) -> None:
    registry, ours = stocked.registry, Index(stocked.registry, public=True)
    fields = {"repo_type": "remote", "upstream_url": stocked.repository.url().rstrip("/")}
    remote = registry.repository("pypi", settings=fields, rita="read")
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    every = registry.repository(
        "pypi", settings={"repo_type": "virtual", "member_repos": members, "publish_to": ours.key}, wendy="read write"
    )
    for repository in (remote, every):
        url = f"{repository.url()}simple/"
        work.run("pip", "install", "--index-url", url, "--target", work.folder("target"), "demo<2")
        assert work.installed() == "1.5"
        work.run("uv", "pip", "install", "--index-url", url, "--target", work.folder("target"), "demo")
        assert (work.installed(), work.installed("helper")) == ("2.0", "1.1")
    then = every.now()
    mine = work.dist(wheel("mine", "1.0", requires_dist=("demo",)))
    token = stocked.wendy.token
    work.run("twine", "upload", "--repository-url", every.url(), "-u", "__token__", "-p", token, *mine)
    work.run("pip", "install", "--index-url", f"{every.url()}simple/", "--target", work.folder("target"), "mine")
    assert (work.installed("mine"), work.installed()) == ("1.0", "2.0")
    old = f"{every.url(then)}simple/"
    work.run("pip", "install", "--index-url", old, "--target", work.folder("target"), "mine", fails=True)
    work.run("pip", "install", "--index-url", old, "--target", work.folder("target"), "demo")
    refused = work.run(
        "twine",
        "upload",
        "--verbose",
        "--repository-url",
        remote.url(),
        "-u",
        "__token__",
        "-p",
        token,
        *mine,
        fails=True,
    )
    assert "filled from its upstream" in refused or "403" in refused
