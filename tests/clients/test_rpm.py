"""dnf, rpm, createrepo_c and zypper against a running registry: what people type, and what they see."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.clients.registry import Registry, Repository
from tests.clients.rpm_desk import RpmDesk

MODULE = """---
document: modulemd
version: 2
data:
  name: demo
  stream: "1"
  version: 20260301
  context: c0ffee00
  arch: noarch
  summary: Demo
  description: Demo
  license: {module: [MIT]}
  profiles: {default: {rpms: [ak-tool]}}
  artifacts: {rpms: ["ak-tool-0:1.0-1.noarch"]}
"""
ADVISORY = """<?xml version="1.0"?>
<updates><update from="a@example.org" status="final" type="security" version="1"><id>AK-2026-1</id>
<title>A hole</title><issued date="2026-03-01 00:00:00"/><severity>Important</severity>
<description>Closed.</description><references/>
<pkglist><collection short="ours"><name>ours</name>
<package name="ak-tool" version="2.0" release="1" epoch="0" arch="noarch"><filename>ak-tool-2.0-1.noarch.rpm</filename>
</package></collection></pkglist></update></updates>
"""


@pytest.fixture
def desk(tmp_path: Path) -> RpmDesk:
    return RpmDesk(tmp_path)


@pytest.fixture
def repo(registry: Registry) -> Repository:
    """A repository with a writer `ada` and a reader `rita`."""
    return registry.repository("rpm", ada="read write delete", rita="read")


def test_what_was_published_is_installed_with_what_it_requires(
    registry: Registry, repo: Repository, desk: RpmDesk
) -> None:
    ada = registry.person("ada")
    desk.publish(repo, desk.build("ak-base", head="Epoch: 1"), ada)
    desk.publish(repo, desk.build("ak-tool", head="Requires: ak-base >= 1:1.0"), ada)
    desk.publish(repo, desk.build("ak-tool", "1.10", head="Requires: ak-base >= 1:1.0"), ada)
    desk.publish(repo, desk.build("ak-tool", "1.9", head="Requires: ak-base >= 1:1.0"), ada)
    desk.configure(repo, repo_gpgcheck="1", gpgkey=f"{repo.url()}repodata/repomd.xml.key")
    assert "Metadata cache created" in desk.dnf("makecache")
    assert "ak-base >= 1:1.0" in desk.dnf("repoquery", "--requires", "ak-tool")
    assert "/usr/share/ak-base/version" in desk.dnf("repoquery", "-l", "ak-base")
    assert "ak-base" in desk.dnf("provides", "/usr/share/ak-base/version")
    desk.dnf("install", "ak-tool")
    assert desk.installed() == ["ak-base-1.0-1.noarch", "ak-tool-1.10-1.noarch"]
    assert (desk.home / "root/usr/share/ak-tool/version").read_text().startswith("1.10")
    desk.publish(repo, desk.build("ak-tool", "1.11", head="Requires: ak-base"), ada)
    desk.dnf("--refresh", "upgrade")
    assert "ak-tool-1.11-1.noarch" in desk.installed()
    desk.configure(
        repo,
        baseurl=f"{repo.url()}zstd/",
        repo_gpgcheck="1",
        gpgkey=f"{repo.url()}zstd/repodata/repomd.xml.key",
    )
    desk.dnf("install", "ak-tool", root="zstd")
    assert "ak-tool-1.11-1.noarch" in desk.installed("zstd")


def test_signatures_of_packages_are_kept_and_shown(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    key, package = desk.make_key(), desk.build("ak-signed")
    desk.sign(package)
    said = desk.publish(repo, package, registry.person("ada"))
    assert re.search(r'"algorithm":"rsa","hash":"sha(256|512)","covers":"header"', said), said
    desk.configure(repo, gpgcheck="1", gpgkey=f"file://{key}")
    desk.dnf("install", "ak-signed")
    assert desk.installed("root")[0].startswith("ak-signed-1.0")
    fetched = desk.home / "fetched.rpm"
    fetched.write_bytes(registry.call("GET", repo.path(f"packages/{package.name}")).body)
    desk.run("rpm", "--dbpath", desk.home / "keys", "--import", key)
    assert "digests signatures OK" in desk.run("rpm", "--dbpath", desk.home / "keys", "-K", fetched)
    unsigned = desk.build("ak-unsigned")
    desk.publish(repo, unsigned, registry.person("ada"))
    assert "is not signed" in desk.dnf("--refresh", "install", "ak-unsigned", fails=True)


def test_the_registrys_own_key_is_one_that_rpm_takes(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    desk.publish(repo, desk.build("ak-tool"), registry.person("ada"))
    key = desk.home / "registry.asc"
    key.write_bytes(registry.call("GET", repo.path("repodata/repomd.xml.key")).body)
    desk.run("rpm", "--dbpath", desk.home / "keys", "--import", key)
    gnupg = desk.folder("gnupg")
    gnupg.chmod(0o700)
    desk.require("gpg")
    desk.run("gpg", "--homedir", gnupg, "--batch", "--import", key)
    for name in ("repomd.xml", "repomd.xml.asc"):
        (desk.home / name).write_bytes(registry.call("GET", repo.path(f"repodata/{name}")).body)
    said = desk.run("gpg", "--homedir", gnupg, "--verify", "repomd.xml.asc", "repomd.xml")
    assert "Good signature" in said
    desk.run("gpgconf", "--homedir", gnupg, "--kill", "all")


def test_other_bytes_under_the_same_name_are_a_conflict(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    ada = registry.person("ada")
    package = desk.build("ak-tool")
    desk.publish(repo, package, ada)
    desk.publish(repo, package, ada, status=200)
    said = desk.publish(repo, desk.build("ak-tool", mark="other"), ada, status=409)
    assert "published already with other content" in said


def test_only_who_may_reads_and_writes(registry: Registry, desk: RpmDesk) -> None:
    repo = registry.repository("rpm", public=False, ada="read write", rita="read")
    ada, rita = registry.person("ada"), registry.person("rita")
    package = desk.build("ak-tool")
    desk.publish(repo, package, None, status=401)
    desk.publish(repo, package, rita, status=403)
    desk.publish(repo, package, ada)
    desk.configure(repo)
    assert "401" in desk.dnf("makecache", fails=True)
    desk.configure(repo, username="rita", password="wrong")
    assert "401" in desk.dnf("makecache", fails=True)
    desk.configure(repo, username="rita", password=rita.password)
    assert "ak-tool" in desk.dnf("repoquery", "ak-tool")
    desk.configure(repo, baseurl=repo.url(auth=("rita", rita.token)))
    desk.dnf("--refresh", "install", "ak-tool")
    assert desk.installed() == ["ak-tool-1.0-1.noarch"]


def test_variables_of_yum_may_be_part_of_the_address(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    desk.publish(repo, desk.build("ak-tool"), registry.person("ada"))
    variables = desk.folder("vars")
    (variables / "product").write_text(repo.key)
    desk.configure(repo, baseurl=f"{registry.url}/rpm/$product/")
    assert "ak-tool" in desk.dnf("repoquery", "ak-tool")


def test_the_past_is_installed_as_it_was(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    ada = registry.person("ada")
    desk.publish(repo, desk.build("ak-tool"), ada)
    then = repo.now()
    desk.publish(repo, desk.build("ak-tool", "2.0"), ada)
    path = repo.path("packages/ak-tool-1.0-1.noarch.rpm")
    assert registry.call("DELETE", path, auth=ada).status == 204
    desk.configure(
        repo,
        baseurl=repo.url(then),
        repo_gpgcheck="1",
        gpgkey=f"{repo.url(then)}repodata/repomd.xml.key",
    )
    desk.dnf("install", "ak-tool")
    assert desk.installed() == ["ak-tool-1.0-1.noarch"]


def test_modules_and_advisories_are_seen(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    ada = registry.person("ada")
    desk.publish(repo, desk.build("ak-tool"), ada)
    desk.configure(repo)
    desk.dnf("install", "ak-tool")
    desk.publish(repo, desk.build("ak-tool", "2.0"), ada)
    for name, text in (("modules.yaml", MODULE), ("updateinfo.xml", ADVISORY)):
        reply = registry.call("PUT", repo.path(f"repodata/{name}"), text.encode(), auth=ada)
        assert reply.status == 204, reply.body
    assert "AK-2026-1 Important/Sec. ak-tool-2.0-1.noarch" in desk.dnf("--refresh", "updateinfo", "list")
    assert re.search(r"^demo +1 +default +Demo", desk.dnf("module", "list"), re.MULTILINE)


def test_documents_say_what_createrepo_says(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    desk.require("createrepo_c")
    files = "%dir /etc/ak\n%config /etc/ak/a.conf\n%ghost /etc/ak/ghost\n/usr/bin/ak\n"
    body = (
        "mkdir -p %{buildroot}/etc/ak %{buildroot}/usr/bin\ntouch %{buildroot}/etc/ak/a.conf %{buildroot}/etc/ak/ghost\n"
        "echo > %{buildroot}/usr/bin/ak\n"
    )
    log = "%changelog\n" + "".join(
        f"* {date(2026, 3, day):%a %b %d %Y} Ada <ada@example.org> - {day}\n- Change <{day}> & more\n"
        for day in (30, 30, *range(29, 16, -1))
    )
    heads = {
        "ak-one": "Epoch: 3\nRequires: ak-two >= 2:1.0-3\nRequires(pre): ak-two\nProvides: thing = 1\nConflicts: bad < 1",
        "ak-two": "Obsoletes: old < 1:2\nRecommends: more\nSuggests: (a if b)\nSupplements: c\nEnhances: d > 4\nURL: http://a/?b&c",
    }
    folder = desk.folder("createrepo")
    for name, head in heads.items():
        built = desk.build(name, head=head, body=body, files=f"{files}\n{log}")
        (folder / built.name).write_bytes(built.read_bytes())
        desk.publish(repo, built, registry.person("ada"))
    desk.run("createrepo_c", "-q", "--no-database", "--simple-md-filenames", folder)
    desk.run("sh", "-c", "gunzip createrepo/repodata/*.xml.gz")
    for kind in ("primary", "filelists", "other"):
        theirs = _neutral((folder / "repodata" / f"{kind}.xml").read_text())
        assert _neutral(registry.call("GET", repo.path(f"repodata/{kind}.xml")).body.decode()) == theirs


def _neutral(text: str) -> list[str]:
    """The packages of a document without what must differ: where they are, and when they were put there."""
    text = re.sub(r'<time file="\d+"', '<time file=""', text.replace('href="packages/', 'href="'))
    return sorted(ET.canonicalize(ET.tostring(package), strip_text=True) for package in ET.fromstring(text))


def test_zypper_installs(registry: Registry, repo: Repository, desk: RpmDesk) -> None:
    desk.require("zypper")
    ada = registry.person("ada")
    desk.publish(repo, desk.build("ak-base"), ada)
    desk.publish(repo, desk.build("ak-tool", head="Requires: ak-base"), ada)
    zypper = ("zypper", "--root", desk.folder("suse"), "--non-interactive", "--gpg-auto-import-keys")
    desk.run(*zypper, "addrepo", "--refresh", repo.url(), "ours")
    said = desk.run(*zypper, "refresh")
    assert "All repositories have been refreshed" in said
    assert "ak-tool" in desk.run(*zypper, "search", "-s", "ak")
    desk.run(*zypper, "--no-gpg-checks", "install", "--download-in-advance", "ak-tool")
    assert desk.installed("suse") == ["ak-base-1.0-1.noarch", "ak-tool-1.0-1.noarch"]


def test_other_repositories_are_installed_from_through_ours(
    registry: Registry, repo: Repository, desk: RpmDesk
) -> None:
    """A virtual repository of a hosted member and a remote one, whose upstream is a repository of the same registry."""
    ada = registry.person("ada")
    desk.publish(repo, desk.build("ak-base"), ada)
    desk.publish(repo, desk.build("ak-tool", "9.0"), ada)
    remote = registry.repository("rpm", settings={"repo_type": "remote", "upstream_url": repo.url().rstrip("/")})
    desk.configure(remote, repo_gpgcheck="1", gpgkey=f"{remote.url()}repodata/repomd.xml.key")
    desk.dnf("install", "ak-base", root="through-remote")
    assert desk.installed("through-remote") == ["ak-base-1.0-1.noarch"]
    hosted = registry.repository("rpm", ada="read write")
    desk.publish(hosted, desk.build("ak-tool", head="Requires: ak-base"), ada)
    members = [{"repo_key": remote.key}, {"repo_key": hosted.key}]
    virtual = registry.repository("rpm", settings={"repo_type": "virtual", "member_repos": members})
    desk.configure(virtual, repo_gpgcheck="1", gpgkey=f"{virtual.url()}repodata/repomd.xml.key")
    desk.dnf("--refresh", "install", "ak-tool", root="through-virtual")
    assert desk.installed("through-virtual") == ["ak-base-1.0-1.noarch", "ak-tool-1.0-1.noarch"]
    then = virtual.now()
    desk.publish(hosted, desk.build("ak-tool", "2.0", head="Requires: ak-base"), ada)
    desk.configure(virtual, baseurl=virtual.url(then))
    desk.dnf("--refresh", "install", "ak-tool", root="past")
    assert desk.installed("past") == ["ak-base-1.0-1.noarch", "ak-tool-1.0-1.noarch"]
