"""A machine of somebody who builds and installs RPM packages: rpmbuild, dnf and zypper, each on roots of its own."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path

import pytest

from tests.clients.machine import Machine
from tests.clients.registry import Person, Repository

_numbers = count(1)


class RpmDesk(Machine):
    """A home with the tools; what it installs goes into roots below it, so that nothing of this machine changes."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.require("rpmbuild", "rpm", "curl", "dnf")
        if os.geteuid() != 0:
            pytest.skip("dnf installs for nobody but root")
        self.sources = self.folder("repos.d")

    # building

    def build(
        self, name: str, version: str = "1.0", *, head: str = "", body: str = "", files: str = "", mark: str = ""
    ) -> Path:
        """Build a package without an architecture; it has one file that says its version, and `mark`."""
        folder = self.folder(f"build-{name}-{version}-{next(_numbers)}")
        spec = folder / f"{name}.spec"
        spec.write_text(
            f"%global __os_install_post %{{nil}}\nName: {name}\nVersion: {version}\nRelease: 1\nSummary: The sample {name}\nLicense: MIT\n"
            f"BuildArch: noarch\n{head}\n%description\nSays its version.\n%install\n"
            f"mkdir -p %{{buildroot}}/usr/share/{name}\n"
            f"echo '{version} {mark}' > %{{buildroot}}/usr/share/{name}/version\n{body}\n"
            f"%files\n/usr/share/{name}\n{files}\n"
        )
        self.run("rpmbuild", "-bb", "--define", f"_topdir {folder}", spec)
        (built,) = (folder / "RPMS").rglob("*.rpm")
        return built

    def publish(self, repository: Repository, package: Path, person: Person | None, *, status: int = 201) -> str:
        """Upload as people do it in a script; what was answered."""
        who = ("-u", f"{person.name}:{person.password}") if person else ()
        address = f"{repository.url()}packages/{package.name}"
        said = self.run("curl", "-sS", *who, "-w", "\n%{http_code}", "-T", package, address)
        body, _, code = said.rpartition("\n")
        assert code == str(status), said
        return body

    # dnf

    def configure(self, repository: Repository, **options: str) -> None:
        """The repository that dnf uses from now on. options: lines of its file, instead of these."""
        lines = {"name": "ours", "baseurl": repository.url(), "enabled": "1", "gpgcheck": "0", **options}
        text = "[ours]\n" + "".join(f"{name}={value}\n" for name, value in lines.items())
        (self.sources / "ours.repo").write_text(text)

    def dnf(self, *arguments: str | Path, root: str = "root", fails: bool = False) -> str:
        """dnf with its files, its cache and what it installs into below this home."""
        place = self.home / root
        settings = {
            "reposdir": self.sources,
            "pluginpath": self.home,
            "varsdir": self.home / "vars",
            "install_weak_deps": "False",
            "retries": "1",
        }
        chosen = [f"--setopt={name}={value}" for name, value in settings.items()]
        config = self.home / "dnf.conf"
        config.write_text("[main]\n")
        return self.run(
            "dnf", "-y", "-c", config, f"--installroot={place}", "--releasever=9", *chosen, *arguments, fails=fails
        )

    def installed(self, root: str = "root") -> list[str]:
        """The packages in a root."""
        found = self.run("rpm", "--root", self.home / root, "-qa").split()
        return sorted(name for name in found if not name.startswith("gpg-pubkey-"))

    # signing

    def make_key(self) -> Path:
        """A key for packages; the file with its public half."""
        self.require("gpg", "rpmsign")
        gnupg = self.home / ".gnupg"
        gnupg.mkdir(mode=0o700)
        gpg = ("gpg", "--homedir", gnupg, "--batch", "--pinentry-mode", "loopback", "--passphrase", "")
        self.run(*gpg, "--quick-generate-key", "Builder <builder@example.org>", "rsa3072", "sign", "never")
        public = self.home / "builder.asc"
        self.run(*gpg, "--armor", "--output", public, "--export", "builder@example.org")
        self.run("gpgconf", "--homedir", gnupg, "--kill", "gpg-agent")
        return public

    def sign(self, package: Path) -> None:
        """Sign a package with the key that was made."""
        gnupg = self.home / ".gnupg"
        macros = {
            "__gpg": shutil.which("gpg", path=self.env["PATH"]),
            "_gpg_path": gnupg,
            "_gpg_name": "builder@example.org",
        }
        defined = [part for name, value in macros.items() for part in ("--define", f"{name} {value}")]
        self.run("rpmsign", *defined, "--addsign", package)
        self.run("gpgconf", "--homedir", gnupg, "--kill", "gpg-agent")
