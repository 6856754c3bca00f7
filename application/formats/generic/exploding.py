"""Taking an uploaded archive apart: every file of it received like an upload of its own, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from application.formats.generic.archives import ArchiveInvalid, walk
from application.formats.generic.digests import PUBLISHED
from application.formats.generic.storing import MAX_FILES
from application.ports import Spool, Spooled


@contextmanager
def explode(archive: Spooled, spool: Spool) -> Iterator[list[tuple[str, Spooled]]]:
    """The files of an archive by their names, until the block ends; what nobody keeps is removed then.

    Raises ArchiveInvalid.
    """
    with ExitStack() as cleaning, archive.open() as file:
        members: list[tuple[str, Spooled]] = []
        for member in walk(file):
            if len(members) == MAX_FILES:
                raise ArchiveInvalid(f"more than {MAX_FILES} files")
            with spool.create(PUBLISHED) as writer:
                for chunk in member.chunks:
                    writer.write(chunk)
                received = writer.finish()
            cleaning.callback(spool.discard, received)
            members.append((member.name, received))
        if not members:
            raise ArchiveInvalid("it has no files")
        yield members
