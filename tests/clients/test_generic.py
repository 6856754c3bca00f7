"""curl, wget, aria2, rclone and a library for Artifactory against the running registry: plain files, as people move them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path
from textwrap import dedent
from urllib.parse import quote

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Person, Registry, Repository

LIBRARY = CLIENTS / "python" / "bin" / "python"

TREE = {
    "readme.txt": b"read me\n",
    "docs/a b.html": b"<p>spaces</p>",
    "docs/100% #1?.txt": b"signs",
    "docs/deep/caf\u00e9.txt": "caf\u00e9".encode(),
    "bin/tool-1.2.3.bin": bytes(range(256)) * 64,
}


@pytest.fixture
def files(registry: Registry) -> Repository:
    return registry.repository("generic", "general", ada="read write delete", rita="read")


@pytest.fixture
def private(registry: Registry) -> Repository:
    return registry.repository("generic", "general", public=False, ada="read write delete", rita="read")


@pytest.fixture
def ada(registry: Registry) -> Person:
    return registry.person("ada")


@pytest.fixture
def rita(registry: Registry) -> Person:
    return registry.person("rita")


def fill(files: Repository, person: Person, tree: dict[str, bytes] = TREE) -> None:
    for path, content in tree.items():
        assert files.registry.call("PUT", files.path(quote(path, safe="/;=,")), content, auth=person).status in {
            200,
            201,
        }


def in_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, tree: dict[str, bytes]) -> Path:
    for path, content in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def login(person: Person) -> str:
    return f"{person.name}:{person.token}"


# curl


def curl(machine: Machine, *arguments: str | Path, fails: bool = False) -> str:
    machine.require("curl")
    return machine.run("curl", "--silent", "--show-error", *arguments, fails=fails)


def test_curl_uploads_with_a_checksum_and_downloads(machine: Machine, files: Repository, ada: Person) -> None:
    content = os.urandom(3 << 20)
    (machine.home / "f.bin").write_bytes(content)
    url = files.url() + "a/f.bin"
    told = curl(machine, "-fT", "f.bin", "-H", f"X-Checksum-Sha256: {sha256(content)}", "-u", login(ada), url)
    assert json.loads(told)["checksums"]["sha256"] == sha256(content)
    curl(machine, "-f", "-o", "back.bin", url)
    assert (machine.home / "back.bin").read_bytes() == content
    curl(machine, "-f", "-J", "-O", url + "?revision=1", "--output-dir", machine.folder("named"))
    assert in_folder(machine.home / "named") == {"f.bin": content}


def test_curl_is_told_why_an_upload_is_refused(machine: Machine, files: Repository, ada: Person, rita: Person) -> None:
    (machine.home / "f").write_bytes(b"content")
    url, status = files.url() + "f", ("-w", "%{http_code}")
    wrong = curl(machine, "-T", "f", "-H", f"X-Checksum-Sha256: {sha256(b'other')}", "-u", login(ada), *status, url)
    assert "sha256" in wrong
    assert wrong.endswith("422")
    assert curl(machine, "-T", "f", *status, url).endswith("401")
    assert curl(machine, "-T", "f", "-u", "ada:wrong", *status, url).endswith("401")
    forbidden = curl(machine, "-T", "f", "-u", login(rita), *status, url)
    assert "you do not have write access" in forbidden
    assert forbidden.endswith("403")
    assert curl(machine, *status, "-o", os.devnull, url) == "404"
    assert curl(machine, "-fT", "f", "-u", login(ada), *status, "-o", os.devnull, url) == "201"
    again = curl(machine, "-T", "f", "-H", "If-None-Match: *", "-u", login(ada), *status, url)
    assert "exists already" in again
    assert again.endswith("412")


def test_curl_reads_parts_resumes_and_does_not_read_twice(machine: Machine, files: Repository, ada: Person) -> None:
    content = bytes(range(256)) * 4096
    fill(files, ada, {"f.bin": content})
    url = files.url() + "f.bin"
    assert curl(machine, "-r", "65-74", url) == "ABCDEFGHIJ"
    curl(machine, "-r", "-5", "-o", "tail", url)
    assert (machine.home / "tail").read_bytes() == content[-5:]
    parts = curl(machine, "-r", "65-66,70-71", url)
    assert parts.count("Content-Range: bytes") == 2
    (machine.home / "half").write_bytes(content[:1000])
    curl(machine, "-f", "-C", "-", "-o", "half", url)
    assert (machine.home / "half").read_bytes() == content
    curl(machine, "-f", "-R", "-o", "dated", url)
    assert curl(machine, "-z", "dated", "-o", "not-again", "-w", "%{http_code}", url) == "304"
    curl(machine, "-f", "--compressed", "-o", "same", url)
    assert (machine.home / "same").read_bytes() == content
    curl(machine, "-f", "--etag-save", "tag", "-o", os.devnull, url)
    assert curl(machine, "--etag-compare", "tag", "-o", os.devnull, "-w", "%{http_code}", url) == "304"


def test_curl_sends_forms_archives_and_bodies_without_a_length(
    machine: Machine, files: Repository, ada: Person
) -> None:
    write(machine.home, {"one.txt": b"1", "two.txt": b"2"})
    curl(machine, "-f", "-F", "file=@one.txt", "-F", "file=@two.txt", "-u", login(ada), files.url() + "form/")
    assert curl(machine, "-f", files.url() + "form/two.txt") == "2"
    with zipfile.ZipFile(machine.home / "a.zip", "w") as archive:
        archive.writestr("x/y.txt", b"packed")
    curl(machine, "-fT", "a.zip", "-H", "X-Explode-Archive: true", "-u", login(ada), files.url() + "out/")
    assert curl(machine, "-f", files.url() + "out/x/y.txt") == "packed"
    machine.run("sh", "-c", f"printf piped | curl -sfT - -u {login(ada)} {files.url()}piped")
    assert curl(machine, "-f", files.url() + "piped") == "piped"


def test_curl_uses_the_management_routes(machine: Machine, files: Repository, ada: Person, rita: Person) -> None:
    write(machine.home, {"one.txt": b"1"})
    base = f"{files.registry.url}/api/v1/repositories/{files.key}"
    told = json.loads(curl(machine, "-fT", "one.txt", "-u", login(ada), f"{base}/artifacts/d/one.txt"))
    assert (told["path"], told["checksum_sha256"]) == ("d/one.txt", sha256(b"1"))
    curl(machine, "-f", "-F", "file=@one.txt", "-F", "path=e/", "-u", login(ada), f"{base}/artifacts")
    listed = json.loads(curl(machine, "-f", f"{base}/artifacts?path_prefix=e/"))
    assert [item["path"] for item in listed["items"]] == ["e/one.txt"]
    assert curl(machine, "-f", f"{base}/download/e/one.txt") == "1"
    assert "403" in curl(machine, "-fX", "DELETE", "-u", login(rita), f"{base}/artifacts/e/one.txt", fails=True)
    assert curl(machine, "-fX", "DELETE", "-u", login(ada), f"{base}/artifacts/e/one.txt") == ""
    assert "404" in curl(machine, "-f", f"{base}/download/e/one.txt", fails=True)
    assert "HTTP/1.1 200" in curl(machine, "-fI", f"{base}/download/d/one.txt")


def test_curl_sees_files_and_properties_as_they_were(machine: Machine, files: Repository, ada: Person) -> None:
    fill(files, ada, {"d/a;stage=old": b"old", "d/gone": b"gone"})
    then = files.now()
    fill(files, ada, {"d/a;stage=new": b"newer", "d/b": b"b"})
    curl(machine, "-fX", "DELETE", "-u", login(ada), files.url() + "d/gone")

    def names(at: str = "") -> list[str]:
        return [
            child["name"] for child in json.loads(curl(machine, "-f", files.url(at) + "d/?format=json"))["children"]
        ]

    assert (names(), names(then)) == (["a", "b"], ["a", "gone"])
    assert curl(machine, "-f", files.url(then) + "d/a") == "old"
    assert curl(machine, "-f", files.url(then) + "d/gone") == "gone"
    held = json.loads(curl(machine, "-f", files.url(then) + "d/a?properties"))["properties"]
    assert held == {"stage": ["old"]}
    (machine.home / "x").write_bytes(b"x")
    for arguments in (["-T", "x"], ["-X", "DELETE"], ["-X", "PUT", "-G", "-d", "properties=k=v"]):
        refused = curl(machine, *arguments, "-u", login(ada), "-w", "%{http_code}", files.url(then) + "d/a")
        assert "the past cannot be written to" in refused
        assert refused.endswith("405")


# wget and aria2


def test_wget_mirrors_a_tree_now_and_as_it_was(machine: Machine, files: Repository, ada: Person) -> None:
    machine.require("wget")
    fill(files, ada)
    then = files.now()
    assert files.registry.call("DELETE", files.path("readme.txt"), auth=ada).status == 204
    fill(files, ada, {"bin/tool-1.2.3.bin": b"other"})

    def mirror(at: str) -> dict[str, bytes]:
        folder = machine.folder("mirror")
        machine.run("wget", "-q", "-r", "-np", "-nH", "--cut-dirs=2", "-R", "index.html*", files.url(at), folder=folder)
        return in_folder(folder)

    assert mirror(then) == TREE
    now = {path: content for path, content in TREE.items() if path != "readme.txt"}
    assert mirror("") == {**now, "bin/tool-1.2.3.bin": b"other"}


def test_a_tree_of_another_server_is_one_with_ours(
    registry: Registry, machine: Machine, files: Repository, ada: Person
) -> None:
    machine.require("curl", "wget")
    fill(files, ada)
    remote = registry.repository(
        "generic", "general", settings={"repo_type": "remote", "upstream_url": files.url().rstrip("/")}
    )
    ours = registry.repository("generic", "general", ada="read write")
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    settings = {"repo_type": "virtual", "member_repos": members, "publish_to": ours.key}
    every = registry.repository("generic", "general", settings=settings, ada="read write")
    note = machine.home / "note.txt"
    note.write_bytes(b"ours\n")
    machine.run("curl", "-fsS", "-u", f"{ada.name}:{ada.password}", "-T", str(note), every.url() + "docs/note.txt")
    for path, content in TREE.items():
        machine.run("curl", "-fsS", "-o", "got", every.url() + quote(path))
        assert (machine.home / "got").read_bytes() == content, path
    machine.run("curl", "-fsS", "-r", "2-5", "-o", "got", every.url() + "bin/tool-1.2.3.bin")
    assert (machine.home / "got").read_bytes() == TREE["bin/tool-1.2.3.bin"][2:6]
    then = every.now()
    assert files.registry.call("PUT", files.path("readme.txt"), b"read me again", auth=ada).status in {200, 201}
    registry.done("POST", f"/api/v1/repositories/{remote.key}/cache/invalidate")
    machine.run("curl", "-fsS", "-o", "got", every.url() + "readme.txt")
    assert (machine.home / "got").read_bytes() == b"read me again"
    everything = {**TREE, "docs/note.txt": b"ours\n"}
    for at, readme in (("", b"read me again"), (then, TREE["readme.txt"])):
        folder = machine.home / f"mirror{at}"
        machine.run(
            "wget", "-q", "-r", "-np", "-nH", "--cut-dirs=2", "-R", "index.html*", "-P", folder.name, every.url(at)
        )
        assert in_folder(folder) == {**everything, "readme.txt": readme}, at


def test_wget_continues_checks_dates_and_answers_challenges(
    machine: Machine, private: Repository, ada: Person, rita: Person
) -> None:
    machine.require("wget")
    content = os.urandom(200_000)
    fill(private, ada, {"f.bin": content})
    url = private.url() + "f.bin"
    assert "401 Unauthorized" in machine.run("wget", url, fails=True)
    who = (f"--user={rita.name}", f"--password={rita.password}")
    (machine.home / "f.bin").write_bytes(content[:70_000])
    said = machine.run("wget", "-c", *who, url)
    assert "206 Partial Content" in said
    assert (machine.home / "f.bin").read_bytes() == content
    assert "Not Modified" in machine.run("wget", "-N", *who, url)


def test_aria2_downloads_in_parallel_parts(machine: Machine, private: Repository, ada: Person, rita: Person) -> None:
    machine.require("aria2c")
    content = os.urandom(12 << 20)
    fill(private, ada, {"big.bin": content})
    who = (f"--http-user={rita.name}", f"--http-passwd={rita.password}")
    fast = (
        "-x8",
        "-s8",
        "-k1M",
        "--max-overall-download-limit=8M",
        f"--checksum=sha-256={sha256(content)}",
        "--log=log",
        "--log-level=info",
    )
    machine.run("aria2c", "-q", *fast, *who, private.url() + "big.bin")
    assert (machine.home / "big.bin").read_bytes() == content
    assert (machine.home / "log").read_text().count("206 Partial Content") > 1
    wrong = f"--checksum=sha-256={sha256(b'')}"
    machine.run("aria2c", "-q", wrong, *who, "-o", "wrong", private.url() + "big.bin", fails=True)


# rclone


def rclone(machine: Machine, repository: Repository, person: Person, *arguments: str | Path, at: str = "") -> str:
    machine.require("rclone")
    hidden = machine.run("rclone", "obscure", person.password).strip()
    (machine.home / "rclone.conf").touch()
    remote = {
        "RCLONE_CONFIG": str(machine.home / "rclone.conf"),
        "RCLONE_CONFIG_AK_TYPE": "webdav",
        "RCLONE_CONFIG_AK_URL": repository.url(at),
        "RCLONE_CONFIG_AK_VENDOR": "other",
        "RCLONE_CONFIG_AK_USER": person.name,
        "RCLONE_CONFIG_AK_PASS": hidden,
        "RCLONE_CONFIG_WEB_TYPE": "http",
        "RCLONE_CONFIG_WEB_URL": repository.url(at),
    }
    return machine.run("rclone", "--retries", "1", *arguments, env=remote)


def test_rclone_copies_from_listings(machine: Machine, files: Repository, ada: Person) -> None:
    fill(files, ada)
    copied = machine.folder("copied")
    rclone(machine, files, ada, "copy", "web:", copied)
    assert in_folder(copied) == TREE


def test_rclone_keeps_a_folder_and_a_repository_in_step(machine: Machine, private: Repository, ada: Person) -> None:
    local = write(machine.folder("local"), TREE)
    rclone(machine, private, ada, "sync", local, "ak:")
    then = private.now()
    (local / "readme.txt").unlink()
    write(local, {"docs/new.txt": b"new", "bin/tool-1.2.3.bin": b"changed and longer or shorter"})
    rclone(machine, private, ada, "sync", local, "ak:")
    rclone(machine, private, ada, "check", "--download", local, "ak:")
    rclone(machine, private, ada, "moveto", "ak:docs/new.txt", "ak:moved/newer.txt")
    rclone(machine, private, ada, "copyto", "ak:moved/newer.txt", "ak:copied.txt")
    rclone(machine, private, ada, "delete", "ak:docs/deep")
    rclone(machine, private, ada, "mkdir", "ak:empty")
    seen = set(rclone(machine, private, ada, "lsf", "-R", "--files-only", "ak:").splitlines())
    gone = {"readme.txt", "docs/deep/caf\u00e9.txt"}
    assert seen == TREE.keys() - gone | {"moved/newer.txt", "copied.txt"}
    past = machine.folder("past")
    rclone(machine, private, ada, "copy", "ak:", past, at=then)
    assert in_folder(past) == TREE


# a library for Artifactory


def library(machine: Machine, repository: Repository, person: Person, script: str, at: str = "") -> str:
    """Run a script with `root`, the ArtifactoryPath of the repository; what it printed."""
    present = LIBRARY.exists() and subprocess.run([LIBRARY, "-c", "import artifactory"], check=False).returncode == 0
    if not present:
        message = "the client dohq-artifactory is not installed: make clients"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    prelude = f"""
        from artifactory import ArtifactoryPath
        base = "{repository.registry.url}/artifactory"
        auth = ({person.name!r}, {person.token!r})
        root = ArtifactoryPath(base + "/{repository.key}{at}", auth=auth)
    """
    (machine.home / "script.py").write_text(dedent(prelude) + dedent(script))
    return machine.run(LIBRARY, "script.py")


def test_the_library_deploys_tells_lists_and_deletes(machine: Machine, private: Repository, ada: Person) -> None:
    write(machine.home, {"b.txt": b"hello"})
    script = f"""
        path = root / "a" / "b.txt"
        path.deploy_file("b.txt", parameters={{"k": "v", "many": ["1", "2"]}})
        stat = path.stat()
        assert (stat.size, stat.sha256, stat.created_by, stat.is_dir) == (5, "{sha256(b"hello")}", "ada", False), stat
        assert path.properties == {{"k": ["v"], "many": ["1", "2"]}}, path.properties
        assert path.open().read() == b"hello"
        path.properties = {{"stage": ["live, really"]}}
        assert path.properties == {{"stage": ["live, really"]}}, path.properties
        (root / "d" / "e").mkdir()
        path.copy(root / "d" / "c.txt")
        path.move(root / "d" / "m.txt")
        assert not path.exists() and (root / "d" / "c.txt").exists()
        (root / "d" / "f").deploy_by_checksum(sha256="{sha256(b"hello")}")
        assert sorted(str(found.relative_to(root)) for found in root.glob("**/*.txt")) == ["d/c.txt", "d/m.txt"]
        assert sorted(child.name for child in root / "d") == ["c.txt", "f", "m.txt"]
        assert (root / "d").is_dir() and (root / "d" / "f").is_file()
        assert (root / "d" / "c.txt").properties == {{"stage": ["live, really"]}}
        assert (root / "d" / "f").download_stats().download_count == 0
        (root / "d" / "f").unlink()
        assert not (root / "d" / "f").exists()
        (root / "d").rmdir()
        assert list(root) == []
        try:
            (root / "missing").stat()
        except OSError as error:
            print(error)
    """
    assert "No such file or directory" in library(machine, private, ada, script)


def test_the_library_finds_by_query_and_sees_the_past(machine: Machine, private: Repository, ada: Person) -> None:
    fill(private, ada, {"a/one.bin;n=1": b"1", "a/two.bin;n=2": b"22", "b/three.txt": b"333"})
    query = f"""
        found = root.aql("items.find", {{"repo": "{private.key}", "name": {{"$match": "*.bin"}}}},
                         ".include", ["name", "path", "repo", "type", "size", "property"],
                         ".sort", {{"$desc": ["size"]}})
        print([str(root.from_aql(item).relative_to(root)) for item in found])
    """
    assert "['a/two.bin', 'a/one.bin']" in library(machine, private, ada, query)
    then = private.now()
    assert private.registry.call("DELETE", private.path("a/?recursive=true"), auth=ada).status == 204
    past = """
        print((root / "a" / "one.bin").open().read(), (root / "a" / "one.bin").properties, [p.name for p in root / "a"])
        try:
            (root / "a" / "one.bin").touch(exist_ok=True)
            (root / "a" / "new.bin").touch()
        except Exception as error:
            print(error)
    """
    said = library(machine, private, ada, past, at=then)
    assert "b'1' {'n': ['1']} ['one.bin', 'two.bin']" in said
    assert "the past cannot be written to" in said


def test_the_library_prints_why_it_was_refused(
    machine: Machine, private: Repository, ada: Person, rita: Person
) -> None:
    write(machine.home, {"b.txt": b"hello"})
    script = """
        try:
            root.deploy_file("b.txt")
        except Exception as error:
            print(error)
    """
    assert "you do not have write access" in library(machine, private, rita, script)
