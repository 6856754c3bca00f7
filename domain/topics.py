"""Every topic, and how old shapes become new ones. The only table from stored text to event types."""

from __future__ import annotations

from collections.abc import Callable

from domain import (
    account,
    artifact,
    checkpoint,
    claim,
    incident,
    package,
    permissions,
    promotion,
    repository,
    session,
    sign_in,
    signing_key,
    storage,
    token,
)
from domain.event import Event

EVENTS: tuple[type[Event], ...] = (
    account.PasswordChanged,
    account.UserCreated,
    account.UserDeleted,
    account.UserErased,
    account.UserUpdated,
    artifact.ArtifactDeleted,
    artifact.ArtifactDownloaded,
    artifact.ArtifactLabelsSet,
    artifact.ArtifactPropertiesSet,
    artifact.ArtifactPublished,
    checkpoint.CheckpointNamed,
    claim.ClaimReleased,
    claim.ClaimTaken,
    incident.UpstreamRejected,
    package.LocationsSet,
    package.OwnersSet,
    package.StatusSet,
    package.TagRemoved,
    package.TagSet,
    package.VersionYankedV1,
    package.VersionsDeprecated,
    package.VersionsUnyanked,
    package.VersionsYanked,
    permissions.GrantGiven,
    permissions.GrantRevoked,
    promotion.ApprovalGranted,
    promotion.ApprovalRefused,
    promotion.ApprovalRequested,
    promotion.FilesPromoted,
    promotion.PromotionRejected,
    repository.RepositoryCreated,
    repository.RepositoryDeleted,
    repository.RepositoryUpdated,
    session.SessionEnded,
    session.SessionRefreshed,
    session.SessionStarted,
    sign_in.AccessDenied,
    sign_in.FailuresCleared,
    sign_in.LoginFailed,
    sign_in.LoginRefused,
    signing_key.ArtifactSigned,
    signing_key.RepositorySigningChanged,
    signing_key.SigningKeyAssigned,
    signing_key.SigningKeyCreated,
    signing_key.SigningKeyDeleted,
    signing_key.SigningKeyReleased,
    signing_key.SigningKeyRetired,
    signing_key.SigningKeyRevoked,
    signing_key.SigningKeyRotated,
    storage.BlobsCollected,
    token.TokenCreated,
    token.TokenRevoked,
)


def _several_versions(old: Event) -> Event:
    assert isinstance(old, package.VersionYankedV1)  # noqa: S101 - the table below calls it for nothing else
    return package.VersionsYanked(
        repository=old.repository, package=old.package, versions=(old.version,), reason=old.reason
    )


UPCASTS: dict[str, Callable[[Event], Event]] = {
    package.VersionYankedV1.TOPIC: _several_versions,
}
"""Retired topic to the function that gives the shape in use now."""
