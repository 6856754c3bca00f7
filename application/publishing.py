"""Publishing, deleting and judging artifacts: store the bytes, decide, append, wait until the index shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Protocol, TypeAlias
from uuid import UUID

import msgspec

from application.catalogue import Catalogue, Storage
from application.log import Change, EventLog, Receipt
from application.ports import BlobLease, BlobLeases, BlobStore, Spool, Spooled, Stored
from domain import artifact, claim, package
from domain.artifact import Artifact, ArtifactPublished, Overwrite, Precondition
from domain.claim import Claim
from domain.errors import Gone, NotFound, QuotaExceeded
from domain.event import Event, Metadata
from domain.ids import artifact_id, claim_id, package_id
from domain.package import Package
from domain.repository import Settings

MAX_INLINE_METADATA_BYTES = 16 * 1024
_PACKAGE_CLAIM = "package"

Decide: TypeAlias = Callable[[], list[Change]]
"""Loads and decides; called again after a lost race."""

Properties: TypeAlias = dict[str, tuple[str, ...]]

DecidePackage: TypeAlias = Callable[[Package], Sequence[Event]]
"""Pure: from a package's state to events."""


class Progress(Protocol):
    """How far read models are; see `projections.progress`."""

    def reached(self, names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        """Wait until the named projections have passed a position everywhere."""


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file to publish.

    package: normalised name, empty for formats that group nothing. metadata: JSON. blobs: further bytes that belong to
    it, by role. overwrite: the format's rule; the repository's setting goes before it. properties: None leaves the
    artifact without, or with those it has. fetched_from: the address at an upstream that it came from.
    """

    path: str
    spooled: Spooled | Stored
    media_type: str
    package: str = ""
    name: str = ""
    version: str = ""
    algorithms: tuple[str, ...] = ()
    metadata: bytes = b"{}"
    blobs: dict[str, Spooled | Stored] = {}
    overwrite: Overwrite = "never"
    properties: Properties | None = None
    precondition: Precondition | None = None
    fetched_from: str = ""


class Target(msgspec.Struct, frozen=True):
    """The repository a command goes to, and who sends it."""

    repository: UUID
    settings: Settings
    meta: Metadata


class Holdings(Catalogue, Storage, Protocol):
    """What repositories hold, and how much."""


class Publishing:
    """The commands that formats and the management API give."""

    def __init__(
        self,
        log: EventLog,
        catalogue: Holdings,
        blobs: BlobStore,
        leases: BlobLeases,
        spool: Spool,
        progress: Progress,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._blobs = blobs
        self._leases = leases
        self._spool = spool
        self._progress = progress

    def publish(self, target: Target, files: Sequence[NewFile], decision: PackageDecision | None = None) -> Receipt:
        """Put files into the repository, with what follows for their package, as one atomic set of events.

        Answers when the catalogue shows it. Position 0: everything was there already, byte for byte. Raises
        ArtifactExists or ArtifactBurnt by the overwrite rule, PreconditionUnmet, QuotaExceeded.
        """
        self._require_room(target, files)
        with self._leases.hold(_digests(files)) as lease:
            decide_files = self._deciding(target, files, lease)

            def decide() -> list[Change]:
                changes = decide_files()
                if decision is not None:
                    changes += decision.changes(self._log, target.repository)
                lease.check()
                return changes

            return self._append(decide, target.meta)

    def move(self, source: Target, paths: Sequence[str], target: Target, files: Sequence[NewFile]) -> Receipt:
        """Put files into the target and take paths of the source away, as one atomic set of events."""
        if source.repository != target.repository:
            self._require_room(target, files)
        with self._leases.hold(_digests(files)) as lease:
            decide_files = self._deciding(target, files, lease)

            def decide() -> list[Change]:
                changes = [*decide_files(), *(self._delete_one(source, path, "moved", None) for path in paths)]
                lease.check()
                return changes

            return self._append(decide, target.meta)

    def delete(
        self,
        target: Target,
        paths: Sequence[str],
        reason: str = "",
        decision: PackageDecision | None = None,
        precondition: Precondition | None = None,
    ) -> Receipt:
        """Take artifacts away, all or none. Raises ArtifactNotFound, PreconditionUnmet."""

        def decide() -> list[Change]:
            changes = [self._delete_one(target, path, reason, precondition) for path in paths]
            if decision is not None:
                changes += decision.changes(self._log, target.repository)
            return changes

        return self._append(decide, target.meta)

    def delete_version(self, target: Target, package_name: str, version: str, reason: str = "") -> Receipt:
        """Take every artifact of a version away; an empty version means the whole package. Raises NotFound."""
        rows = self._catalogue.artifacts(target.repository, package_name)
        paths = [row.path for row in rows if not version or row.version == version]
        if not paths:
            raise NotFound(f"{package_name} {version}".strip() + " not found")
        return self.delete(target, paths, reason)

    def set_properties(self, target: Target, path: str, properties: Properties) -> Receipt:
        """Replace the properties of an artifact. Raises ArtifactNotFound."""
        return self.change_properties(target, [path], lambda _: properties)

    def change_properties(
        self, target: Target, paths: Sequence[str], change: Callable[[Properties], Properties]
    ) -> Receipt:
        """Make new properties out of those that each artifact has; all or none. Raises ArtifactNotFound."""

        def decide_one(path: str) -> Change:
            state, version = self._artifact(target.repository, path)
            events = artifact.set_properties(state, path, change(state.properties))
            return Change(artifact_id(target.repository, path), version, events, target.repository)

        return self._append(lambda: [decide_one(path) for path in paths], target.meta)

    def judge(self, target: Target, decision: PackageDecision) -> Receipt:
        """Change what is true of a package: tags, yanks, deprecations, owners, status."""
        return self._append(lambda: decision.changes(self._log, target.repository), target.meta)

    # steps

    def _require_room(self, target: Target, files: Sequence[NewFile]) -> None:
        """Refuse what would go over the quota. Publishers that come at once may go over it together."""
        quota = target.settings.quota_bytes
        if quota is None:
            return
        used = self._catalogue.used_bytes([target.repository]).get(target.repository, 0)
        coming = sum(file.spooled.size_bytes for file in files)
        if used + coming > quota:
            raise QuotaExceeded(f"the repository holds {used} of {quota} bytes; {coming} more do not fit")

    def _store(self, target: Target, file: NewFile, lease: BlobLease) -> ArtifactPublished:
        """Bytes before the event that names them; a crash in between leaves a blob for the collector."""
        for content in (file.spooled, *file.blobs.values()):
            if isinstance(content, Spooled):
                self._blobs.keep(content)
            elif not self._blobs.exists(content.sha256):
                raise Gone(f"the bytes sha256:{content.sha256} are stored no longer")
        metadata, metadata_blob = file.metadata, None
        if len(metadata) > MAX_INLINE_METADATA_BYTES:
            metadata, metadata_blob = b"{}", self._store_bytes(file.metadata, lease)
        return ArtifactPublished(
            repository=target.repository,
            path=file.path,
            package=file.package,
            name=file.name,
            version=file.version,
            sha256=file.spooled.sha256,
            size_bytes=file.spooled.size_bytes,
            media_type=file.media_type,
            digests={name: file.spooled.digests[name] for name in file.algorithms},
            metadata=msgspec.Raw(metadata),
            metadata_blob=metadata_blob,
            blobs={role: spooled.sha256 for role, spooled in file.blobs.items()},
            fetched_from=file.fetched_from,
        )

    def _store_bytes(self, data: bytes, lease: BlobLease) -> str:
        with self._spool.create() as writer:
            writer.write(data)
            spooled = writer.finish()
            lease.extend((spooled.sha256,))
            self._blobs.keep(spooled)
        return spooled.sha256

    def _deciding(self, target: Target, files: Sequence[NewFile], lease: BlobLease) -> Callable[[], list[Change]]:
        """Store the files; what is given decides about them, each time anew."""
        proposed = [(file, self._store(target, file, lease)) for file in files]
        blind = all(file.precondition is None or file.precondition.match is None for file in files)

        def decide() -> list[Change]:
            nonlocal blind
            changes = [self._publish_one(target, file, event, blind=blind) for file, event in proposed]
            blind = False  # the first try assumes new paths and reads nothing; a collision in the log corrects it
            return changes

        return decide

    def _publish_one(self, target: Target, file: NewFile, event: ArtifactPublished, *, blind: bool) -> Change:
        state, version = (Artifact(), 0) if blind else self._artifact(target.repository, file.path)
        if file.precondition is not None:
            artifact.require(state, file.path, file.precondition)
        events = artifact.publish(state, event, _overwrite(target.settings, file.overwrite))
        if file.properties is not None:
            published = reduce(artifact.evolve, events, state)
            events += artifact.set_properties(published, file.path, file.properties)
        return Change(artifact_id(target.repository, file.path), version, events, target.repository)

    def _delete_one(self, target: Target, path: str, reason: str, precondition: Precondition | None) -> Change:
        state, version = self._artifact(target.repository, path)
        if precondition is not None:
            artifact.require(state, path, precondition)
        events = artifact.delete(state, path, reason)
        return Change(artifact_id(target.repository, path), version, events, target.repository)

    def _artifact(self, repository: UUID, path: str) -> tuple[Artifact, int]:
        return self._log.load(artifact_id(repository, path), Artifact(), artifact.evolve)

    def _append(self, decide: Decide, meta: Metadata) -> Receipt:
        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return receipt


class PackageDecision:
    """A decision about one package, made on its state at the moment of appending.

    decide: from the package's state to events, as the functions in `domain.package` do. alone: what no other package of
    the repository may claim, such as what is left of its name without punctuation; taken when the package begins.
    """

    def __init__(self, package_name: str, decide: DecidePackage, *, alone: str = "") -> None:
        self._package = package_name
        self._decide = decide
        self._alone = alone

    def changes(self, log: EventLog, repository: UUID) -> list[Change]:
        """The decision as a change of the package's stream, before it that of the claim's. Raises NameTaken."""
        stream = package_id(repository, self._package)
        state, version = log.load(stream, Package(), package.evolve)
        change = Change(stream, version, list(self._decide(state)), repository)
        return [self._claim(log, repository, stream), change] if self._alone and not version else [change]

    def _claim(self, log: EventLog, repository: UUID, holder: UUID) -> Change:
        stream = claim_id(_PACKAGE_CLAIM, f"{repository.hex}\0{self._alone}")
        state, version = log.load(stream, Claim(), claim.evolve)
        return Change(stream, version, claim.take(state, _PACKAGE_CLAIM, self._package, holder), repository)


def _digests(files: Sequence[NewFile]) -> list[str]:
    return [content.sha256 for file in files for content in (file.spooled, *file.blobs.values())]


def _overwrite(settings: Settings, format_rule: Overwrite) -> Overwrite:
    if settings.overwrite == "allow" or settings.versioning_enabled:
        return "replace"
    if settings.overwrite == "once" and format_rule == "replace":
        return "never"
    return format_rule
