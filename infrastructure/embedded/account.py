"""The user under which servers run when we are root, which PostgreSQL refuses to be."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import stat
import struct
import subprocess
from pathlib import Path

from infrastructure.embedded.errors import DataDirectoryUnusable
from infrastructure.processes import Account

ACCOUNT_NAME = "artifact-keeper"

_log = logging.getLogger(__name__)

_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_ACL_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_SEARCH = 1


def server_account(cluster: Path) -> Account | None:
    """The account for servers whose files are in `cluster`; None when we are not root and they run as ourselves.

    Files that exist decide by their owner; otherwise it is a system user of our own, which is made when it is absent.
    Raises DataDirectoryUnusable when it cannot be made.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(name=str(owner.st_uid), uid=owner.st_uid, gid=owner.st_gid)
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        entry = _create_account()
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def _create_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None:
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command = [useradd, *options, "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - constant arguments
        try:  # asked again whatever the command said: another process may have been faster
            return pwd.getpwnam(ACCOUNT_NAME)
        except KeyError:
            _log.warning("could not create the user %s: %s", ACCOUNT_NAME, done.stderr.strip())
    raise DataDirectoryUnusable(
        f"PostgreSQL does not run as root, and the user {ACCOUNT_NAME!r} could not be created: create it, "
        "start as another user, or set DATABASE_URL"
    )


def let_pass(account: Account, path: Path) -> None:
    """See to it that the account can reach `path`, by entering (not listing) the directories above it.

    Where a directory such as /root is closed, that one account is let through by an access control entry; nobody else
    gets anything. Raises DataDirectoryUnusable where the file system has no such entries.
    """
    for directory in reversed(path.parents):
        if _may_enter(account, directory):
            continue
        try:
            _add_entry(directory, account.uid)
        except OSError as fault:
            raise DataDirectoryUnusable(
                f"user {account.name!r}, as which PostgreSQL runs, cannot enter {directory}: move this below one that "
                f"it can enter, or allow it with `chmod o+x {directory}` ({fault.strerror})"
            ) from None
        _log.warning(
            "let user %s pass through %s (access control entry user:%s:--x)", account.name, directory, account.uid
        )


def make_readable(tree: Path) -> None:
    """Let everybody read a tree of program files, as a restrictive umask at installation may have prevented."""
    for path in (tree, *tree.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | 0o044 | (0o011 if mode & 0o100 else 0)
        if wanted != mode:
            path.chmod(wanted)


def _may_enter(account: Account, directory: Path) -> bool:
    found = directory.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    for tag, permissions, who in _entries(directory):
        if tag == _USER and who == account.uid:
            return bool(permissions & _SEARCH)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _entries(directory: Path) -> list[tuple[int, int, int]]:
    """(tag, permissions, id) of each entry; those that the mode stands for when the directory has no list."""
    try:
        raw = os.getxattr(directory, _ACL)
    except OSError:
        mode = directory.stat().st_mode
        return [(_USER_OBJ, mode >> 6 & 7, _NO_ID), (_GROUP_OBJ, mode >> 3 & 7, _NO_ID), (_OTHER, mode & 7, _NO_ID)]
    return list(_ACL_ENTRY.iter_unpack(raw[4:]))


def _add_entry(directory: Path, uid: int) -> None:
    """Add `user:uid:--x`; the mask grows by just that. Entries are kept in the order the kernel asks for."""
    entries = {(tag, who): permissions for tag, permissions, who in _entries(directory)}
    granted = entries.get((_GROUP_OBJ, _NO_ID), 0)
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _SEARCH
    entries[_MASK, _NO_ID] = entries.get((_MASK, _NO_ID), granted) | _SEARCH
    packed = b"".join(_ACL_ENTRY.pack(tag, entries[tag, who], who) for tag, who in sorted(entries))
    os.setxattr(directory, _ACL, struct.pack("<I", _ACL_VERSION) + packed)
