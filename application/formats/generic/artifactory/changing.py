"""What clients change: deploying, deleting, copying and moving files, and their properties."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.depositing import deposit
from application.format import Deposit
from application.formats.generic import copying, writing
from application.formats.generic.addresses import address_of, flag, precondition_of
from application.formats.generic.artifactory.documents import FOLDER, addresses_of, answer, folder_info
from application.formats.generic.artifactory.telling import file_answer
from application.formats.generic.names import check_path, check_properties, parse_properties, property_names
from application.formats.generic.properties import merge, named_paths, read_changes
from application.formats.generic.storing import PathBlocked, new_file, remove, require_room, store, target_of
from application.ports import Spooled
from application.publishing import NewFile
from application.wire import Answer, Call
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid, NotAllowed


class _PropertyChanges(msgspec.Struct, frozen=True):
    props: msgspec.Raw


def is_home(call: Call) -> bool:
    """Whether the repository is one of raw files."""
    found = call.services.formats.by_key(call.repository.format)
    return found is not None and found.key == "generic"


def admit(call: Call) -> None:
    """Refuse a large body early; other formats look at theirs only when it is there."""
    if is_home(call):
        writing.admit(call)


def deploy(call: Call) -> Answer:
    """PUT {repo}/{path}[;k=v]: deploy a file, bytes by their checksum, or an archive; `{dir}/` makes a directory."""
    if "content-range" in call.request.headers:
        raise writing.PartialPut
    address = address_of(call)
    if writing.wants_explosion(call):
        directory = address.path if address.folder else address.path.rpartition("/")[0]
        return writing.report(call, _explode(call, directory))
    if address.folder:
        if address.path and require_room(call.services, target_of(call), [address.path]):
            raise PathBlocked(address.path)
        info = folder_info(address.path, call.repository, addresses_of(call.request))
        return answer(info | {"children": []}, FOLDER, 201)
    path = _deploy_file(call, check_path(address.path))
    row = call.services.catalogue.artifact(call.content, path)
    return file_answer(call, row, 201) if row is not None else Answer(status=202)


def _explode(call: Call, directory: str) -> Sequence[NewFile]:
    if not is_home(call):
        raise NotAllowed(f"archives are not taken apart in a repository of {call.repository.format} packages")
    return writing.explode_into(call, directory)


def _deploy_file(call: Call, path: str) -> str:
    """Put a file where it belongs, by the rules of the repository's own format; gives the path at which it is."""
    content, given = writing.content_of(call), address_of(call).properties
    media_type = call.request.headers.get("content-type", "")
    precondition = precondition_of(call.request)
    if is_home(call):
        file = new_file(path, content, media_type=media_type, properties=given or None, precondition=precondition)
        store(call.services, target_of(call), [file])
        return path
    if not isinstance(content, Spooled):
        raise writing.BytesUnknown  # a format reads what it publishes: let them be sent
    asked = Deposit(
        path=path,
        spooled=content,
        services=call.services,
        target=target_of(call),
        media_type=media_type,
        properties=given,
        precondition=precondition,
    )
    return deposit(call.repository, asked)


def delete(call: Call) -> Answer:
    """DELETE {repo}/{path}: a file, or a directory with everything in it."""
    address = address_of(call)
    if not address.path:
        raise NotAllowed("a repository is deleted through the management API")
    if not address.folder:
        try:
            remove(call, address.path, precondition_of(call.request))
        except ArtifactNotFound:
            pass  # perhaps a directory
        else:
            return Answer(status=204)
    if not writing.delete_below(call, address.path):
        raise ArtifactNotFound(address.path)
    return Answer(status=204)


def set_properties(call: Call) -> Answer:
    """PUT api/storage/{repo}/{path}?properties=k=v;k2=a,b[&recursive=0]: of all files below, for a directory."""
    given = parse_properties(call.request.query_value("properties"))
    if not given:
        raise Invalid("properties=k=v;k2=a,b is missing in the query")
    return _change(call, dict(given.items()))


def remove_properties(call: Call) -> Answer:
    """DELETE api/storage/{repo}/{path}?properties=k1,k2."""
    names = property_names(call.request.query_value("properties"))
    if not names:
        raise Invalid("properties=k1,k2 is missing in the query")
    return _change(call, dict.fromkeys(names))


def update_properties(call: Call) -> Answer:
    """PATCH api/metadata/{repo}/{path} with `{"props": {"k": "v", "k2": null}}`."""
    try:
        body = msgspec.json.decode(call.text, type=_PropertyChanges)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid('expected {"props": {…}}') from None
    return _change(call, read_changes(bytes(body.props)))


def _change(call: Call, changes: dict[str, tuple[str, ...] | None]) -> Answer:
    recursive = call.request.query_value("recursive", "1") != "0"
    paths = named_paths(call, address_of(call), recursive=recursive)
    call.services.publishing.change_properties(
        target_of(call), paths, lambda held: check_properties(merge(held, changes))
    )
    return Answer(status=204)


def copy(call: Call) -> Answer:
    """POST api/copy/{repo}/{path}?to=/{repo}/{path}[&dry=1]."""
    return _transfer(call, moving=False)


def move(call: Call) -> Answer:
    """POST api/move/{repo}/{path}?to=/{repo}/{path}[&dry=1]."""
    return _transfer(call, moving=True)


def _transfer(call: Call, *, moving: bool) -> Answer:
    key, _, path = call.request.query_value("to").removeprefix("/").partition("/")
    if not key:
        raise Invalid("to=/{repository}/{path} is missing in the query")
    source = copying.own_place(call)
    target = copying.place_in(call, key, "/" + copying.quoted(path), "write")
    if target.path and not target.address.folder and _is_directory(call, target):
        name = source.path.rpartition("/")[2]  # into the directory, as `cp` does
        target = copying.place_in(call, key, "/" + copying.quoted(f"{target.path}/{name}"), "write")
    copying.transfer(call, source, target, moving=moving, dry=flag(call.request, "dry"))
    verb = "moving" if moving else "copying"
    done = f"{verb} {call.repository.key}:{source.path} to {key}:{target.path} completed successfully"
    return answer({"messages": [{"level": "INFO", "message": done}]})


def _is_directory(call: Call, place: copying.Place) -> bool:
    return bool(call.services.catalogue.children(place.resolved.content, f"{place.path}/", limit=1))
