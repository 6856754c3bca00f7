"""The bounds within which an uploaded archive is read: how much it may expand, how many members, which names."""

from __future__ import annotations

from application.formats.pypi.faults import ArchiveInvalid, shown

CHUNK_BYTES = 256 << 10
MAX_MEMBERS = 100_000
MAX_METADATA_BYTES = 4 << 20

# The public index refuses what is both large and far out of proportion; a small file may compress as well as it likes.
_FREE_BYTES = 64 << 20
_MAX_RATIO = 50
# Reading everything once must end within minutes, whatever the ratio: the largest wheels of today expand to 6 GiB.
_MAX_EXPANDED_BYTES = 16 << 30

_MAX_NAME_CHARS = 1024
_MAX_DEPTH = 64
_MAX_NAMES_CHARS = 32 << 20


def check_expansion(expanded_bytes: int, archive_bytes: int) -> None:
    """Raise ArchiveInvalid when an archive unpacks, or claims to unpack, to more than is sane for its size."""
    if expanded_bytes > _MAX_EXPANDED_BYTES:
        raise ArchiveInvalid(f"the archive expands to more than {_MAX_EXPANDED_BYTES} bytes")
    if expanded_bytes > _FREE_BYTES and expanded_bytes > _MAX_RATIO * archive_bytes:
        raise ArchiveInvalid(f"the archive expands to more than {_MAX_RATIO} times its size")


def check_member_name(name: str) -> None:
    """Raise ArchiveInvalid for a name that could leave the folder it is unpacked in, or that readers take apart
    differently; a final slash is allowed (folders).
    """
    if not name or len(name) > _MAX_NAME_CHARS:
        raise ArchiveInvalid("a member has an empty or overlong name")
    if "\\" in name or any(character < " " or character == "\x7f" for character in name):
        raise ArchiveInvalid(f"the member name {shown(name)} contains a backslash or a control character")
    parts = name.removesuffix("/").split("/")
    if len(parts) > _MAX_DEPTH:
        raise ArchiveInvalid(f"the member name {shown(name)} is more than {_MAX_DEPTH} folders deep")
    if any(part in ("", ".", "..") for part in parts) or (len(parts[0]) == 2 and parts[0].endswith(":")):
        raise ArchiveInvalid(f"the member name {shown(name)} is not a plain relative path")


class MemberNames:
    """The names of an archive so far: no file twice, nothing inside a file or link, and not too many."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._count = 0
        self._chars = 0

    def add(self, name: str, *, is_folder: bool) -> None:
        """Take one more member (a name that passed `check_member_name`); a folder may be named again."""
        name = name.removesuffix("/")
        self._count += 1
        self._chars += len(name)
        if self._count > MAX_MEMBERS:
            raise ArchiveInvalid(f"more than {MAX_MEMBERS} members")
        if name in self._files or (not is_folder and name in self._folders):
            raise ArchiveInvalid(f"two members are named {shown(name)}")
        (self._folders if is_folder else self._files).add(name)
        self._add_parents(name)
        if self._chars > _MAX_NAMES_CHARS:
            raise ArchiveInvalid(f"the member names are longer than {_MAX_NAMES_CHARS} characters together")

    def _add_parents(self, name: str) -> None:
        slash = name.rfind("/")
        while slash > 0:
            parent = name[:slash]
            if parent in self._files:
                raise ArchiveInvalid(f"{shown(name)} lies inside a file or a link")
            if parent in self._folders:
                return
            self._folders.add(parent)
            self._chars += slash
            slash = name.rfind("/", 0, slash)
