"""Promoting what was staged: files of a version, all or none, into another repository, with who and why.

No byte is copied, and no file is read again: what the target gets refers to the blobs that the source has, with the
metadata that was read when they were published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from application.catalogue import ArtifactRow, Catalogue, RepositoryRow
from application.format import Format, Formats
from application.log import Change, EventLog, Receipt
from application.pointing import carried
from application.ports import BlobStore, Stored
from application.publishing import NewFile, PackageDecision, Publishing, Target
from application.publishing import Progress as ReadModels
from application.signing_keys import SigningKeyView
from domain import claim, package, promotion
from domain.artifact import ArtifactNotFound, Precondition, PreconditionUnmet
from domain.claim import Claim, NameTaken
from domain.errors import Invalid, NotFound
from domain.event import Event, Metadata
from domain.ids import claim_id
from domain.package import Package
from domain.promotion import (
    AlreadyInTarget,
    Approval,
    ApprovalNotFound,
    ApprovalPending,
    ApprovalRequested,
    FilesPromoted,
    PromotedFile,
    PromotionRejected,
    checked_notes,
)

HOSTED = frozenset({"local", "staging"})

_CLAIM = "approval"
_ONLY_NEW = Precondition(none_match=("*",))


class PromotionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to list; None is any."""

    source: UUID
    artifact: UUID | None = None
    status: str | None = None


class ApprovalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests to list; None is any. decided: only those that are not pending."""

    source: UUID | None = None
    status: str | None = None
    decided: bool = False


class PromotionRow(msgspec.Struct, frozen=True):
    """What became of one file. status: `promoted` or `rejected`; target: None for the latter."""

    promotion: UUID
    artifact: UUID
    position: int
    source: UUID
    target: UUID | None
    path: str
    sha256: str
    status: str
    reason: str | None
    notes: str | None
    made_at: datetime
    made_by: UUID | None


class ApprovalRow(msgspec.Struct, frozen=True):
    """A request, and what became of it."""

    approval: UUID
    position: int
    source: UUID
    target: UUID
    artifact: UUID
    path: str
    status: str
    notes: str | None
    policy_skipped: bool
    requested_by: UUID
    requested_at: datetime
    reviewed_by: UUID | None
    reviewed_at: datetime | None
    review_notes: str | None


class Promotions(Protocol):
    """Queries over what was decided, newest first."""

    def history(self, wanted: PromotionFilter, *, limit: int, offset: int = 0) -> tuple[list[PromotionRow], int]:
        """One page, and how many there are."""

    def rejection(self, artifact: UUID, sha256: str) -> str | None:
        """Why these bytes of an artifact are not to leave its repository; None when they may."""

    def approval(self, approval: UUID) -> ApprovalRow | None:
        """The request of that id."""

    def approvals(self, wanted: ApprovalFilter, *, limit: int, offset: int = 0) -> tuple[list[ApprovalRow], int]:
        """One page, and how many there are."""


class Violation(msgspec.Struct, frozen=True):
    """A rule that speaks against a promotion."""

    rule: str
    severity: str
    message: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to promote: files of the source that are there now. skip_policy: whatever speaks against it."""

    source: RepositoryRow
    target: RepositoryRow
    rows: Sequence[ArtifactRow]
    notes: str = ""
    skip_policy: bool = False


class Promoted(msgspec.Struct, frozen=True):
    """What came of it. promotion: None when there were violations; then nothing has changed."""

    promotion: UUID | None
    violations: list[Violation]


class Promoting:
    """The commands on promotions. Each returns when the read models that are asked next show what it changed."""

    def __init__(
        self,
        log: EventLog,
        catalogue: Catalogue,
        blobs: BlobStore,
        publishing: Publishing,
        formats: Formats,
        promotions: Promotions,
        keys: SigningKeyView,
        progress: ReadModels,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._blobs = blobs
        self._publishing = publishing
        self._formats = formats
        self._promotions = promotions
        self._keys = keys
        self._progress = progress

    def promote(self, wanted: Wanted, meta: Metadata) -> Promoted:
        """Put files into the target as well, all or none; they are of one version or each alone.

        Raises Invalid for repositories between which nothing can be promoted, AlreadyInTarget, ArtifactBurnt, and
        NameTaken where the target has a package whose name is too similar.
        """
        violations = self._violations(wanted)
        if violations:
            return Promoted(None, violations)
        return Promoted(self._promote(wanted, meta, None, lambda _: []), [])

    def reject(self, row: ArtifactRow, reason: str, notes: str, meta: Metadata) -> UUID:
        """Keep a file from being promoted, as long as it is these bytes; the id of the decision."""
        if not checked_notes(reason, "reason"):
            raise Invalid("a rejection needs a reason")
        rejected = PromotionRejected(
            promotion=uuid4(),
            source=row.repository,
            file=_file(row),
            reason=checked_notes(reason, "reason"),
            notes=checked_notes(notes),
        )
        self._record([Change(rejected.promotion, 0, [rejected], row.repository)], meta)
        return rejected.promotion

    def request(self, wanted: Wanted, meta: Metadata) -> UUID:
        """Ask that a file be promoted; the id of the request. Raises ApprovalPending, and what `promote` raises."""
        (row,) = wanted.rows
        self._files(wanted)
        if meta.by is None:
            raise Invalid("only somebody with an account can ask for approval")
        asked = ApprovalRequested(
            approval=uuid4(),
            source=wanted.source.id,
            target=wanted.target.id,
            file=_file(row),
            requested_by=meta.by,
            notes=checked_notes(wanted.notes),
            policy_skipped=wanted.skip_policy,
        )

        def decide() -> list[Change]:
            stream, state, version = self._pending(row.id, wanted.target.id)
            try:
                taken = claim.take(state, _CLAIM, row.path, asked.approval)
            except NameTaken:
                raise ApprovalPending(row.path, wanted.target.key) from None
            return [
                Change(stream, version, taken, wanted.source.id),
                Change(asked.approval, 0, [asked], wanted.source.id),
            ]

        self._executed(decide, meta)
        return asked.approval

    def approve(self, approval: UUID, notes: str, meta: Metadata, *, skip_policy: bool = False) -> Promoted:
        """Grant a request and promote what it asks for, by one command.

        Raises ApprovalNotFound, ApprovalDecided, OwnApproval, ArtifactNotFound when other bytes are there by now, and
        what `promote` raises.
        """
        state, _ = self._load(approval)
        promotion.grant(state, meta.by, "")
        wanted = self._asked(promotion.require_pending(state), skip_policy=skip_policy)
        violations = self._violations(wanted)
        if violations:
            return Promoted(None, violations)

        def granting(log: EventLog) -> list[Change]:
            state, version = self._load(approval)
            events = promotion.grant(state, meta.by, checked_notes(notes))
            return [
                Change(approval, version, events, wanted.source.id),
                self._decided(promotion.require_pending(state)),
            ]

        return Promoted(self._promote(wanted, meta, approval, granting), [])

    def refuse(self, approval: UUID, notes: str, meta: Metadata) -> None:
        """Refuse a request. Raises ApprovalNotFound, ApprovalDecided."""

        def decide() -> list[Change]:
            state, version = self._load(approval)
            events = promotion.refuse(state, checked_notes(notes))
            asked = promotion.require_pending(state)
            return [Change(approval, version, events, asked.source), self._decided(asked)]

        self._executed(decide, meta)

    # steps

    def _promote(
        self, wanted: Wanted, meta: Metadata, approval: UUID | None, further: Callable[[EventLog], list[Change]]
    ) -> UUID:
        files = self._files(wanted)
        first = wanted.rows[0]
        made = FilesPromoted(
            promotion=uuid4(),
            source=wanted.source.id,
            target=wanted.target.id,
            files=tuple(map(_file, wanted.rows)),
            package=first.package,
            version=first.version,
            notes=checked_notes(wanted.notes),
            approval=approval,
            policy_skipped=wanted.skip_policy,
        )

        def recorded(log: EventLog) -> list[Change]:
            changes = [Change(made.promotion, 0, [made], wanted.target.id), *further(log)]
            return changes + led.changes(log, wanted.target.id)

        format_ = self._format(wanted.source)
        leads = format_.pointers(self._catalogue, wanted.source.id, [first.package]) if format_.pointers else ()
        led = carried(leads, wanted.target.id)
        alone = format_.alike(first.name) if format_.alike is not None else ""
        decision = _Alongside(first.package, self._followed(wanted, first), alone, recorded)
        target = Target(wanted.target.id, wanted.target.settings, meta)
        try:
            receipt = self._publishing.publish(target, files, decision)
        except PreconditionUnmet:
            raise AlreadyInTarget(first.path, wanted.target.key) from None
        self._wait(receipt)
        return made.promotion

    def _files(self, wanted: Wanted) -> list[NewFile]:
        """What is to be published; raises Invalid, AlreadyInTarget."""
        source, target = wanted.source, wanted.target
        format_ = self._format(source)
        if source.kind not in HOSTED or target.kind not in HOSTED or source.id == target.id:
            raise Invalid("files are promoted from a local or staging repository to another one of these kinds")
        if self._format(target) is not format_:
            raise Invalid(f"'{target.key}' is of format {target.format}, '{source.key}' of format {source.format}")
        if not format_.promotes:
            raise Invalid(f"files of format {format_.key} depend on others, and are not promoted one by one")
        if source.settings.release_target not in {None, target.id}:
            raise Invalid(f"'{source.key}' is linked to another repository; to it alone its files are promoted")
        for row in wanted.rows:
            if self._catalogue.artifact(target.id, row.path) is not None:
                raise AlreadyInTarget(row.path, target.key)
        return [self._copy(row, format_) for row in wanted.rows]

    def _copy(self, row: ArtifactRow, format_: Format) -> NewFile:
        metadata = bytes(row.metadata)
        if row.metadata_blob is not None:
            with self._blobs.open(row.metadata_blob) as file:
                metadata = file.read()
        return NewFile(
            path=row.path,
            spooled=Stored(row.size_bytes, {**row.digests, "sha256": row.sha256}),
            media_type=row.media_type,
            package=row.package,
            name=row.name,
            version=row.version,
            algorithms=tuple(row.digests),
            metadata=metadata,
            blobs={role: Stored(self._blobs.size(sha256), {"sha256": sha256}) for role, sha256 in row.blobs.items()},
            overwrite=format_.overwrite,
            properties=row.properties or None,
            precondition=_ONLY_NEW,
        )

    def _followed(self, wanted: Wanted, row: ArtifactRow) -> Callable[[Package], list[Event]]:
        """What is true of the version in the source becomes true in the target: yanks, deprecation, tags; owners too
        where there are none.
        """
        source, target = wanted.source.id, wanted.target.id
        name, version = row.package, row.version
        known = next((one for one in self._catalogue.versions(source, name) if one.version == version), None)
        tags = [tag for tag, at in self._catalogue.marks(source, name, "tag").items() if at == version]
        owners = self._catalogue.marks(source, name, "owner")

        def decide(state: Package) -> list[Event]:
            events: list[Event] = []
            if known is not None and known.yanked is not None:
                events += package.yank(state, target, name, (version,), known.yanked)
            if known is not None and known.deprecated:
                events += package.deprecate(state, target, name, (version,), known.deprecated)
            for tag in tags:
                events += package.set_tag(state, target, name, tag, version)
            if owners and not state.owners:
                ordered = sorted(owners, key=lambda owner: int(owners[owner]))
                events += package.set_owners(state, target, name, tuple(map(UUID, ordered)))
            return events

        return decide

    def _violations(self, wanted: Wanted) -> list[Violation]:
        if wanted.skip_policy:
            return []
        chosen = self._keys.signing(wanted.target.id)
        signed_only = chosen is not None and chosen.require_signatures
        found = []
        for row in wanted.rows:
            reason = self._promotions.rejection(row.id, row.sha256)
            if reason is not None:
                found.append(Violation("rejected", "high", f"{row.path} was rejected: {reason}"))
            if signed_only and not self._keys.signatures(row.id, row.sha256):
                found.append(Violation("require_signature", "high", f"{row.path} has no signature"))
        return found

    def _asked(self, asked: ApprovalRequested, *, skip_policy: bool) -> Wanted:
        source = self._catalogue.repository_by_id(asked.source)
        target = self._catalogue.repository_by_id(asked.target)
        if source is None or target is None:
            raise NotFound("one of the repositories of this request is no more")
        row = self._catalogue.artifact_by_id(asked.file.artifact)
        if row is None or row.sha256 != asked.file.sha256:
            raise ArtifactNotFound(asked.file.path)
        skip = skip_policy or asked.policy_skipped
        return Wanted(source=source, target=target, rows=[row], notes=asked.notes, skip_policy=skip)

    def _format(self, row: RepositoryRow) -> Format:
        found = self._formats.by_key(row.format)
        if found is None:
            raise Invalid(f"format {row.format} is not served here")
        return found

    def _pending(self, artifact: UUID, target: UUID) -> tuple[UUID, Claim, int]:
        stream = claim_id(_CLAIM, f"{artifact.hex}\0{target.hex}")
        state, version = self._log.load(stream, Claim(), claim.evolve)
        return stream, state, version

    def _decided(self, asked: ApprovalRequested) -> Change:
        stream, state, version = self._pending(asked.file.artifact, asked.target)
        return Change(stream, version, claim.release(state, _CLAIM), asked.source)

    def _load(self, approval: UUID) -> tuple[Approval, int]:
        state, version = self._log.load(approval, Approval(), promotion.evolve)
        if state.asked is None:
            raise ApprovalNotFound
        return state, version

    def _record(self, changes: list[Change], meta: Metadata) -> None:
        self._executed(lambda: changes, meta)

    def _executed(self, decide: Callable[[], list[Change]], meta: Metadata) -> None:
        self._wait(self._log.execute(decide, meta))

    def _wait(self, receipt: Receipt) -> None:
        self._progress.reached(("catalogue", "promotions"), receipt.position)


class _Alongside(PackageDecision):
    """A package's decision, if there is a package, and further changes that belong to the same command."""

    def __init__(
        self,
        package_name: str,
        decide: Callable[[Package], list[Event]],
        alone: str,
        further: Callable[[EventLog], list[Change]],
    ) -> None:
        super().__init__(package_name, decide, alone=alone)
        self._named = bool(package_name)
        self._further = further

    def changes(self, log: EventLog, repository: UUID) -> list[Change]:
        """See PackageDecision."""
        own = super().changes(log, repository) if self._named else []
        return [*own, *self._further(log)]


def _file(row: ArtifactRow) -> PromotedFile:
    return PromotedFile(row.id, row.path, row.sha256)
