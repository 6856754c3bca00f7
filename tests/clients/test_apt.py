"""apt, dput and apt-file against the running registry: update, install, sources, refusals, the past.

Everything apt knows is below the home of a test: neither its lists nor what is installed on this machine are touched.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.clients.machine import Machine
from tests.clients.registry import Registry, Repository
from tests.samples.debian import make

POOL = "pool/main/h/hello"
ARCHITECTURE = "amd64"


class Desk(Machine):
    """A machine with an apt of its own, which has installed nothing yet."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.require("apt-get", "dpkg", "dput", "apt-file")
        for folder in (
            "root/etc/apt/sources.list.d",
            "root/etc/apt/apt.conf.d",
            "root/etc/apt/auth.conf.d",
            "root/etc/apt/trusted.gpg.d",
            "root/etc/apt/preferences.d",
            "root/var/lib/apt/lists/partial",
            "root/var/cache/apt/archives/partial",
            "root/var/lib/dpkg/info",
            "root/var/lib/dpkg/updates",
            "root/var/lib/dpkg/triggers",
            "root/var/log/apt",
        ):
            (home / folder).mkdir(parents=True)
        self.root = home / "root"
        self.status = self.root / "var/lib/dpkg/status"
        self.status.touch()
        options = {
            "Dir": self.root,
            "Dir::State::status": self.status,
            "APT::Sandbox::User": "root",
            "APT::Architecture": ARCHITECTURE,
            "APT::Architectures": ARCHITECTURE,
            "Acquire::http::Proxy": "DIRECT",
            "Acquire::Retries": "0",
        }
        lines = [f'{name} "{value}";' for name, value in options.items()]
        lines += [f'DPkg::Options:: "{option}";' for option in (f"--root={self.root}", "--force-not-root")]
        config = home / "apt.conf"
        config.write_text("\n".join(lines))
        self.env["APT_CONFIG"] = str(config)

    def apt(self, *arguments: str, fails: bool = False, folder: Path | None = None) -> str:
        return self.run("apt-get", "-y", *arguments, fails=fails, folder=folder)

    def use(self, libs: Repository, suite: str = "stable", at: str = "", auth: tuple[str, str] | None = None) -> None:
        """Name the repository in a deb822 source, with its key, and nothing else."""
        key = self.root / "etc/apt/libs.asc"
        key.write_bytes(libs.registry.call("GET", libs.path("gpg-key.asc")).body)
        source = (
            f"Types: deb deb-src\nURIs: {libs.url(at, auth)}\nSuites: {suite}\nComponents: main\nSigned-By: {key}\n"
        )
        (self.root / "etc/apt/sources.list.d/libs.sources").write_text(source)

    def candidates(self, name: str = "hello") -> list[str]:
        """The versions that apt would offer, newest first."""
        said = self.run("apt-cache", "madison", name)
        return [line.split("|")[1].strip() for line in said.splitlines() if line.rstrip().endswith("Packages")]

    def downloaded(self, name: str) -> bytes:
        return (self.root / "var/cache/apt/archives" / name).read_bytes()


@pytest.fixture
def libs(registry: Registry) -> Repository:
    return registry.repository("debian", ada="read write delete", rita="read")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def put(libs: Repository, path: str, data: bytes, user: str = "ada") -> int:
    return libs.registry.call("PUT", libs.path(path), data, auth=libs.registry.person(user)).status


def test_a_package_is_installed_by_name_with_what_it_depends_on(desk: Desk, libs: Repository) -> None:
    packages = {
        f"{POOL}/hello_1.0-1_amd64.deb": make.deb(Depends="hello-data (>= 1.0~rc1)"),
        f"{POOL}/hello-data_1.0-1_all.deb": make.deb("hello-data", architecture="all", packing=".zst"),
    }
    for path, data in packages.items():
        assert put(libs, path, data) == 201
    desk.use(libs)
    said = desk.apt("update")
    assert "InRelease" in said
    assert "W:" not in said, said
    desk.apt("install", "--download-only", "hello")
    for path, data in packages.items():
        assert desk.downloaded(path.rpartition("/")[2]) == data
    desk.apt("install", "hello")
    assert (desk.root / "usr/share/doc/hello/greeting").read_text() == "hello from hello \n"
    assert "hello-data" in desk.status.read_text()


def test_versions_are_ordered_and_a_deleted_one_goes(desk: Desk, libs: Repository) -> None:
    for version in ("1.0~rc1-1", "1.0-1", "1.10-1", "1.9-1"):
        assert put(libs, f"{POOL}/hello_{version}_amd64.deb", make.deb(version=version)) == 201
    desk.use(libs)
    desk.apt("update")
    assert desk.candidates() == ["1.10-1", "1.9-1", "1.0-1", "1.0~rc1-1"]
    ada = libs.registry.person("ada")
    libs.registry.call("DELETE", libs.path(f"{POOL}/hello_1.10-1_amd64.deb"), auth=ada)
    desk.apt("update")
    assert desk.candidates() == ["1.9-1", "1.0-1", "1.0~rc1-1"]


def test_a_source_package_comes_with_its_tarballs(desk: Desk, libs: Repository) -> None:
    for name, data in make.source().items():
        assert put(libs, f"{POOL}/{name}", data) == 201
    desk.use(libs)
    desk.apt("update")
    folder = desk.folder("sources")
    desk.apt("source", "--download-only", "hello", folder=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == make.source()


def test_dput_uploads_a_build_as_one(desk: Desk, libs: Repository) -> None:
    files = {**make.source(), "hello_1.0-1_amd64.deb": make.deb()}
    build = desk.folder("build")
    for name, data in {**files, "hello_1.0-1_amd64.changes": make.changes(files, suites="unstable")}.items():
        (build / name).write_bytes(data)
    ada = libs.registry.person("ada")
    host = libs.registry.url.partition("://")[2]
    (desk.home / ".dput.cf").write_text(
        f"[libs]\nfqdn = {host}\nmethod = http\nincoming = {libs.path('incoming')}\nlogin = {ada.name}\n"
        "allow_unsigned_uploads = 1\nrun_dinstall = 0\ncheck_version = 0\n"
    )
    command = ["setsid", "--wait", "dput", "-U", "-u", "libs", str(build / "hello_1.0-1_amd64.changes")]
    said = desk.answer(command, {"Password for debian": ada.password})
    assert "Successfully uploaded packages." in said
    desk.use(libs, "unstable")
    desk.apt("update")
    assert desk.candidates() == ["1.0-1"]
    desk.apt("source", "--download-only", "hello", folder=desk.folder("sources"))


def test_other_bytes_of_a_version_are_refused(desk: Desk, libs: Repository) -> None:
    ada = libs.registry.person("ada")
    url = f"{libs.url()}{POOL}/hello_1.0-1_amd64.deb"
    for mark, status in (("", "201"), ("", "200"), ("other", "409")):
        (desk.home / "hello.deb").write_bytes(make.deb(mark=mark))
        said = desk.run("curl", "-s", "-w", " %{http_code}", "-u", f"{ada.name}:{ada.password}", "-T", "hello.deb", url)
        assert said.endswith(status), said
    desk.use(libs)
    desk.apt("update")
    desk.apt("install", "--download-only", "hello")
    assert desk.downloaded("hello_1.0-1_amd64.deb") == make.deb()


def test_without_a_permission_there_is_nothing(desk: Desk, registry: Registry) -> None:
    libs = registry.repository("debian", public=False, ada="read write", rita="read")
    assert put(libs, f"{POOL}/hello_1.0-1_amd64.deb", make.deb(), "rita") == 403
    assert put(libs, f"{POOL}/hello_1.0-1_amd64.deb", make.deb()) == 201
    rita = registry.person("rita")
    desk.use(libs)
    key = registry.call("GET", libs.path("gpg-key.asc"), auth=rita).body
    (desk.root / "etc/apt/libs.asc").write_bytes(key)
    assert "401" in desk.apt("update", fails=True)
    login = f"machine {libs.url()} login {rita.name} password {rita.token}\n"
    (desk.root / "etc/apt/auth.conf.d/libs.conf").write_text(login)
    desk.apt("update")
    desk.apt("install", "--download-only", "hello")


def test_a_changed_index_and_a_foreign_key_are_refused(desk: Desk, libs: Repository, registry: Registry) -> None:
    assert put(libs, f"{POOL}/hello_1.0-1_amd64.deb", make.deb()) == 201
    desk.use(libs)
    desk.apt("update")
    other = registry.repository("debian")
    key = registry.call("GET", other.path("gpg-key.asc")).body
    (desk.root / "etc/apt/libs.asc").write_bytes(key)
    said = desk.apt("update", "-o", "APT::Update::Error-Mode=any", fails=True)
    assert "NO_PUBKEY" in said or "Missing key" in said, said
    desk.use(libs)
    mirror = desk.folder("mirror")
    suite = mirror / "dists/stable"
    (suite / "main/binary-amd64").mkdir(parents=True)
    release = registry.call("GET", libs.path("dists/stable/InRelease")).body
    (suite / "InRelease").write_bytes(release.replace(b"Suite: stable", b"Suite: staple"))
    sources = desk.root / "etc/apt/sources.list.d/libs.sources"
    copied = sources.read_text().replace(libs.url(), f"file:{mirror}/").replace(" deb-src", "")
    sources.write_text(copied)
    said = desk.apt("update", "-o", "APT::Update::Error-Mode=any", fails=True)
    assert "BADSIG" in said or "is not signed" in said or "sqv returned an error" in said, said


def test_the_past_is_an_archive_of_its_own(desk: Desk, libs: Repository) -> None:
    assert put(libs, f"{POOL}/hello_1.0-1_amd64.deb", make.deb()) == 201
    then = libs.now()
    assert put(libs, f"{POOL}/hello_2.0-1_amd64.deb", make.deb(version="2.0-1")) == 201
    desk.use(libs)
    desk.apt("update")
    assert desk.candidates() == ["2.0-1", "1.0-1"]
    desk.use(libs, at=then)
    desk.apt("update")
    assert desk.candidates() == ["1.0-1"]
    desk.apt("install", "--download-only", "hello")
    digest = hashlib.sha256(desk.downloaded("hello_1.0-1_amd64.deb")).hexdigest()
    assert digest == hashlib.sha256(make.deb()).hexdigest()


def test_files_are_found_in_what_is_not_installed(desk: Desk, libs: Repository) -> None:
    assert put(libs, f"{POOL}/hello_1.0-1_amd64.deb", make.deb()) == 201
    desk.use(libs)
    real = Path("/etc/apt/apt.conf.d/50apt-file.conf")
    (desk.root / "etc/apt/apt.conf.d/50apt-file.conf").write_bytes(real.read_bytes())
    desk.apt("update")
    assert desk.run("apt-file", "search", "share/doc/hello/greet").strip() == "hello: /usr/share/doc/hello/greeting"


def test_other_archives_and_ours_are_one(desk: Desk, libs: Repository, registry: Registry) -> None:
    """Through a remote repository with the upstream's own signature, and joined with ours under another."""
    assert put(libs, f"{POOL}/hello_9.0-1_amd64.deb", make.deb(version="9.0-1")) == 201
    assert put(libs, "pool/main/w/world/world_1.0-1_amd64.deb", make.deb("world", Depends="hello")) == 201
    for name, data in make.source().items():
        assert put(libs, f"{POOL}/{name}", data) == 201
    upstream = {"repo_type": "remote", "upstream_url": libs.url().rstrip("/")}
    remote = registry.repository("debian", settings=upstream)
    desk.use(remote)
    desk.apt("update")
    desk.apt("install", "--download-only", "world")
    assert desk.downloaded("world_1.0-1_amd64.deb") == make.deb("world", Depends="hello")
    desk.apt("source", "--download-only", "hello", folder=desk.folder("sources"))
    own = registry.repository("debian", ada="read write")
    assert put(own, f"{POOL}/hello_1.0-1_amd64.deb", make.deb()) == 201
    members = [{"repo_key": own.key}, {"repo_key": remote.key}]
    every = registry.repository("debian", settings={"repo_type": "virtual", "member_repos": members})
    desk.use(every)
    assert "W:" not in desk.apt("update")
    assert desk.candidates() == ["1.0-1"]
    desk.apt("install", "world")
    assert (desk.root / "usr/share/doc/hello/greeting").read_text() == "hello from hello \n"
