"""Requests, routes and answers of package protocols, as values. No framework: one adapter in `api` speaks HTTP for all.

A route says what it needs; one without does not exist. A handler is called in a thread, after the repository was
resolved, the action authorised and the body received; it returns an answer value or raises a RegistryError, which the
format turns into its clients' dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from application.catalogue import RepositoryRow
from application.ports import Spool, Spooled
from domain.event import Metadata
from domain.permissions import Action, Principal

if TYPE_CHECKING:
    from application.services import Services

SEPARATOR = "\x1f"
"""Joins decoded path segments for matching: a `%2F` within a segment stays part of it."""


class Request(msgspec.Struct, frozen=True):
    """What a client asked, decoded once.

    params: the route's placeholders. headers: names in lower case. base_url: the public address without a trailing
    slash, as the client sees it. mount: the path of the repository as written, `/pypi/libs@1200`. segments: the decoded
    path below the mount; raw_path: the same as sent, for the few that tell `;` from `%3B`. client: its address.
    """

    method: str
    segments: tuple[str, ...]
    params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    base_url: str
    mount: str
    raw_path: str = ""
    client: str = ""

    def query_value(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    @property
    def repository_url(self) -> str:
        """The public address of the repository, without a trailing slash."""
        return self.base_url + self.mount


class Form(msgspec.Struct, frozen=True):
    """A multipart/form-data body: text fields in order, and files by field name with their announced file name."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str, Spooled], ...]

    def values(self, name: str) -> list[str]:
        """All values of a text field."""
        return [value for key, value in self.fields if key == name]

    def value(self, name: str, default: str = "") -> str:
        """The first value of a text field."""
        return next((value for key, value in self.fields if key == name), default)


class Body(msgspec.Struct, frozen=True):
    """How a route wants its body. `bytes` and `form` go to disk and are hashed on the way; `text` is held in memory.
    `either` is a form when its type says so, and bytes otherwise.

    algorithms: digests besides SHA-256. max_bytes: None is the server's upload limit. announced: digests that the
    client's headers announce are computed too, and the handler runs only if the bytes have them (DigestMismatch).
    """

    kind: Literal["none", "bytes", "form", "either", "text"] = "none"
    algorithms: tuple[str, ...] = ()
    max_bytes: int | None = None
    announced: bool = False


NO_BODY = Body()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A small answer that is made for this request."""

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A generated document, the same for everybody who asks under its key. Kept, compressed, and validated by ETag."""

    body: bytes
    media_type: str
    headers: tuple[tuple[str, str], ...] = ()
    last_modified: datetime | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A stored blob.

    artifact: counted as a download of it. immutable: the address will always mean these bytes. redirectable: this
    protocol's clients take the bytes of an artifact from an address at another host, too. holder: the member of a
    virtual repository that has it.
    """

    sha256: str
    size_bytes: int
    media_type: str
    filename: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    last_modified: datetime | None = None
    artifact: UUID | None = None
    immutable: bool = False
    redirectable: bool = True
    holder: RepositoryRow | None = None


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A long answer, produced piece by piece in a thread. Chunks that have a `close` are closed at the end.

    artifact: counted as a download of it. waits: its pieces come from another server, and may be long in coming.
    holder: the member of a virtual repository that has it.
    """

    chunks: Iterator[bytes]
    media_type: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    artifact: UUID | None = None
    waits: bool = False
    holder: RepositoryRow | None = None


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """A document that has not been rendered yet, and perhaps need not be.

    key: everything it depends on besides the repository and the address. fresh_seconds: how long nobody need look
    whether the key is still the same. headers: of this answer, not of the document. render: raises NotFound, or gives
    another answer than a document, when there is none.
    """

    key: str
    render: Callable[[], AnyAnswer]
    fresh_seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


AnyAnswer: TypeAlias = "Answer | Document | File | Stream | Derived"


class DocumentKey(msgspec.Struct, frozen=True):
    """What a document depends on: a scope of the catalogue, and its own name (with every variant: type, base URL).

    shared: worth keeping for other processes. A stored file is not: it is looked up sooner than asked for there.
    """

    scope: str
    name: str
    shared: bool = True


class Call(msgspec.Struct, frozen=True):
    """One request that may be answered: authorised, with its repository and everything that handlers use.

    repository: what was addressed. content: the id under which its packages are (of a snapshot: its source). at: the
    position to read as of; None is now. For a document it is always a position. through: the virtual repositories by
    which the question came to this one, outermost first.
    """

    request: Request
    repository: RepositoryRow
    content: UUID
    at: int | None
    principal: Principal
    meta: Metadata
    services: Services
    upload: Spooled | None = None
    form: Form | None = None
    text: bytes = b""
    through: tuple[RepositoryRow, ...] = ()

    @property
    def params(self) -> Mapping[str, str]:
        """The route's placeholders."""
        return self.request.params


class ServerCall(msgspec.Struct, frozen=True):
    """One request that concerns no single repository: a ping, a login, a search over all of them.

    Nothing is authorised but that the caller is who they say; a handler shows only what they may read.
    """

    request: Request
    principal: Principal
    meta: Metadata
    services: Services
    upload: Spooled | None = None
    form: Form | None = None
    text: bytes = b""

    @property
    def params(self) -> Mapping[str, str]:
        """The route's placeholders."""
        return self.request.params


Handler: TypeAlias = Callable[[Call], AnyAnswer]
Combine: TypeAlias = Callable[[Call, Sequence[Document]], Document]
ServerHandler: TypeAlias = Callable[[ServerCall], AnyAnswer]
Needs: TypeAlias = Action
"""There is no `nothing`: an answer that is the same for everybody would tell that the repository is there."""


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers of several repositories become one.

    combine: the documents of the members that have one, first member first, into one that is answered to the call.
    ask: the request that members are asked instead, where their documents are easier to combine in another form; then
    a single one is combined too.
    """

    combine: Combine
    ask: Callable[[Request], Request] | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request.

    method: GET answers HEAD too. pattern: segments with `{name}` for text within one segment and `{name+}` for one or
    more whole segments; a trailing slash counts. needs: the action on the repository; what needs none is a
    ServerRoute. document: gives the key of the document this request asks for, without I/O;
    then a hit is answered from memory, and the handler renders on a miss; of the request it looks at the address, the
    query, `Accept` and the base URL, and at nothing else. None asks the handler. any_format: serves
    repositories of other formats too; theirs are never taken for documents. admit: may refuse before a large body is
    received what the handler would refuse after it; `upload`, `form` and `text` are not there yet. remote: answers for
    remote repositories, by means of `call.services.proxy`; None is nothing there. merge: of the answers of a virtual
    repository's members; None gives the first one's that has any. package: the package that the request concerns,
    normalised, None for none or many; a name that a hosted member has is not asked of remote ones. virtual: answers for
    virtual repositories in place of all that, given the same question to each member that may be asked. spool: where
    the body goes, chosen before it is received, and may refuse it; None is the server's own.
    """

    method: str
    pattern: str
    needs: Needs
    handler: Handler
    body: Body = NO_BODY
    document: Callable[[Request], DocumentKey | None] | None = None
    any_format: bool = False
    admit: Callable[[Call], None] | None = None
    remote: Handler | None = None
    merge: Merge | None = None
    package: Callable[[Request], str | None] | None = None
    virtual: Callable[[Call, Sequence[Call]], AnyAnswer] | None = None
    spool: Callable[[Call], Spool] | None = None


class ServerRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request that concerns no single repository. needs: `user` refuses anonymous callers.

    One that clients send to the address of a repository, such as a login, begins with a placeholder for it and must not
    look whether there is one.
    """

    method: str
    pattern: str
    needs: Literal["nothing", "user"]
    handler: ServerHandler
    body: Body = NO_BODY


R = TypeVar("R", bound=Route | ServerRoute)


class Matcher(Generic[R]):
    """A route table, compiled. The first route that matches wins."""

    def __init__(self, routes: Iterable[R]) -> None:
        self._routes: dict[str, list[tuple[re.Pattern[str], R]]] = {}
        for route in routes:
            compiled = (_compile(route.pattern), route)
            self._routes.setdefault(route.method, []).append(compiled)

    def match(self, method: str, path: str) -> tuple[R, dict[str, str]] | None:
        """The route for decoded segments joined by SEPARATOR, and its placeholders."""
        for pattern, route in self._routes.get("GET" if method == "HEAD" else method, ()):
            found = pattern.match(path)
            if found:
                return route, {name: value.replace(SEPARATOR, "/") for name, value in found.groupdict().items()}
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that some route of this path takes, for `Allow`."""
        allowed = [
            method for method, routes in self._routes.items() if any(pattern.match(path) for pattern, _ in routes)
        ]
        return sorted([*allowed, "HEAD"] if "GET" in allowed else allowed)


_PLACEHOLDER = re.compile(r"\{(\w+)(\+?)\}")


def _compile(pattern: str) -> re.Pattern[str]:
    expression, at = "", 0
    text = pattern.removeprefix("/")
    for found in _PLACEHOLDER.finditer(text):
        expression += _literal(text[at : found.start()])
        one = f"[^{SEPARATOR}]+"
        value = f"{one}(?:{SEPARATOR}{one})*" if found[2] else one
        expression += f"(?P<{found[1]}>{value})"
        at = found.end()
    return re.compile(expression + _literal(text[at:]) + r"\Z", re.DOTALL)


def _literal(text: str) -> str:
    return SEPARATOR.join(re.escape(part) for part in text.split("/"))
