"""How apt and its kin are answered: refusals are lines of text, and a missing credential is asked for by name."""

from __future__ import annotations

from application.wire import Answer, Request
from domain.errors import Conflict, RegistryError, Unauthenticated

REALM = "debian"


class VersionTaken(Conflict):
    """The version is in one of the suites, at another place and with other bytes."""

    template = "{package} {version} for {architecture} is {path} already, with other content; versions do not change"

    def __init__(self, package: str, version: str, architecture: str, path: str) -> None:
        super().__init__(package=package, version=version, architecture=architecture, path=path)


class InEverySuite(Conflict):
    """An artifact that names no suite cannot be taken out of one."""

    template = "{path} is in every suite; delete it, or set its property deb.distribution to the suites it shall be in"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    headers = (("www-authenticate", f'Basic realm="{REALM}"'),) if isinstance(fault, Unauthenticated) else ()
    return Answer(status=status, body=f"{fault}\n".encode(), headers=headers)
