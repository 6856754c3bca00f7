"""Keys that sign for repositories: listing, making, rotating and revoking them, and which one a repository uses."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, MediaType, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.app import App
from api.http.given import GivenApp, GivenMeta, GivenPrincipal
from application.key_ring import NewSigningKey, SigningChange
from application.resolving import Resolved
from application.signing_keys import SigningKeyRow, ToSign
from domain.artifact import ArtifactNotFound
from domain.permissions import Principal
from domain.repository import RepositoryNotFound
from domain.signing_key import SigningKeyNotFound


class SigningKeyBody(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the API shows it. expires_at: of one that was rotated, when it signs no more."""

    id: UUID
    repository_id: UUID | None
    name: str
    key_type: str
    fingerprint: str
    key_id: str
    public_key_pem: str
    algorithm: str
    uid_name: str | None
    uid_email: str | None
    expires_at: datetime | None
    is_active: bool
    state: str
    successor_id: UUID | None
    created_at: datetime
    last_used_at: datetime | None


class SigningKeyList(msgspec.Struct, frozen=True):
    """Keys that the caller may know of, oldest first."""

    keys: list[SigningKeyBody]
    total: int


class CreateSigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a creation. algorithm: rsa2048, rsa3072, rsa4096 or ed25519; by default the one that fits the type."""

    name: str
    repository_id: UUID | None = None
    key_type: str = "rsa"
    algorithm: str | None = None
    uid_name: str | None = None
    uid_email: str | None = None


class SigningConfigBody(msgspec.Struct, frozen=True, kw_only=True):
    """What signs for a repository, and what is signed. key: the one in use."""

    repository_id: UUID
    signing_key_id: UUID | None
    sign_metadata: bool
    sign_packages: bool
    require_signatures: bool
    key: SigningKeyBody | None


class SetSigningConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a choice; what is absent stays. signing_key_id: null takes the key away."""

    signing_key_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    sign_metadata: bool | msgspec.UnsetType = msgspec.UNSET
    sign_packages: bool | msgspec.UnsetType = msgspec.UNSET
    require_signatures: bool | msgspec.UnsetType = msgspec.UNSET


class DeletedKey(msgspec.Struct, frozen=True):
    """Which key is no more."""

    id: UUID
    deleted: bool


class SignedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed, by which key. signature: detached; armored OpenPGP, or base64 of a bare one."""

    artifact_id: UUID
    key_id: UUID
    algorithm: str
    signature_sha256: str
    signature: str


class SignatureBody(msgspec.Struct, frozen=True):
    """A signature over a stored file: detached; armored OpenPGP, or base64 of a bare one."""

    key_id: UUID
    signature: str
    created_at: datetime


class SignatureList(msgspec.Struct, frozen=True):
    """Signatures over the bytes that are stored now, oldest first; none by keys that were revoked."""

    artifact_id: UUID
    sha256: str
    signatures: list[SignatureBody]


class SigningController(Controller):
    """`/api/v1/signing`."""

    path = "/api/v1/signing"
    tags = ["signing"]

    @get("/keys", opt={"needs": "user"}, sync_to_thread=True)
    def list_keys(
        self, app: GivenApp, principal: GivenPrincipal, repository_id: FromQuery[UUID | None] = None
    ) -> SigningKeyList:
        """Keys of repositories that the caller may read, and those of no repository."""
        rows = [row for row in app.signing_keys.keys(repository_id) if _known(app, principal, row)]
        if repository_id is not None:
            _readable(app, principal, repository_id)
        return SigningKeyList([_body(row) for row in rows], len(rows))

    @post("/keys", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def create_key(self, app: GivenApp, meta: GivenMeta, data: JSONBody[CreateSigningKey]) -> SigningKeyBody:
        """Make a key. A repository that has no active one uses it from now on."""
        if data.repository_id is not None and app.catalogue.repository_by_id(data.repository_id) is None:
            raise RepositoryNotFound(str(data.repository_id))
        new = NewSigningKey(
            name=data.name,
            key_type=data.key_type,
            algorithm=data.algorithm,
            repository=data.repository_id,
            uid_name=data.uid_name,
            uid_email=data.uid_email,
        )
        return _body(app.key_ring.create(new, meta))

    @get("/keys/{key_id:uuid}", opt={"needs": "user"}, sync_to_thread=True)
    def get_key(self, app: GivenApp, principal: GivenPrincipal, key_id: FromPath[UUID]) -> SigningKeyBody:
        """One key."""
        return _body(_key(app, principal, key_id))

    @get("/keys/{key_id:uuid}/public", opt={"needs": "user"}, sync_to_thread=True, media_type=MediaType.TEXT)
    def public_half(self, app: GivenApp, principal: GivenPrincipal, key_id: FromPath[UUID]) -> str:
        """The public half: armored OpenPGP, with its revocation once it has one, or PEM."""
        return _key(app, principal, key_id).public_key

    @post("/keys/{key_id:uuid}/rotate", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def rotate_key(self, app: GivenApp, meta: GivenMeta, key_id: FromPath[UUID]) -> SigningKeyBody:
        """Make a key in the place of this one. Both sign, and are handed out, until the overlap ends."""
        return _body(app.key_ring.rotate(key_id, meta))

    @post("/keys/{key_id:uuid}/revoke", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def revoke_key(self, app: GivenApp, meta: GivenMeta, key_id: FromPath[UUID]) -> SigningKeyBody:
        """End a key's use at once and for ever."""
        return _body(app.key_ring.revoke(key_id, meta))

    @delete("/keys/{key_id:uuid}", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def delete_key(self, app: GivenApp, meta: GivenMeta, key_id: FromPath[UUID]) -> DeletedKey:
        """End a key's use at once and for ever, and list it no more."""
        app.key_ring.delete(key_id, meta)
        return DeletedKey(key_id, deleted=True)

    @get("/repositories/{repository_id:uuid}/config", opt={"needs": "user"}, sync_to_thread=True)
    def get_config(self, app: GivenApp, principal: GivenPrincipal, repository_id: FromPath[UUID]) -> SigningConfigBody:
        """What signs for a repository."""
        _readable(app, principal, repository_id)
        return _config(app, repository_id)

    @post("/repositories/{repository_id:uuid}/config", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def set_config(
        self, app: GivenApp, meta: GivenMeta, repository_id: FromPath[UUID], data: JSONBody[SetSigningConfig]
    ) -> SigningConfigBody:
        """Choose what signs for a repository. A key that is replaced here signs no more at once."""
        if app.catalogue.repository_by_id(repository_id) is None:
            raise RepositoryNotFound(str(repository_id))
        change = SigningChange(
            key=data.signing_key_id,
            sign_metadata=data.sign_metadata,
            sign_packages=data.sign_packages,
            require_signatures=data.require_signatures,
        )
        app.key_ring.configure(repository_id, change, meta)
        return _config(app, repository_id)

    @get(
        "/repositories/{repository_id:uuid}/public-key",
        opt={"needs": "user"},
        sync_to_thread=True,
        media_type=MediaType.TEXT,
    )
    def repository_key(self, app: GivenApp, principal: GivenPrincipal, repository_id: FromPath[UUID]) -> str:
        """Every public key whose signatures may be met in the repository: one armored block, or PEM."""
        resolved = _readable(app, principal, repository_id)
        rows = [row for row in app.signing_keys.signing_keys(resolved.content, resolved.at) if row.key_type != "gpg"]
        if rows and rows[0].state in {"active", "overlapping"}:
            return "".join(row.public_key for row in rows if row.state in {"active", "overlapping"})
        return app.repository_signer.public_key(resolved.content, resolved.at).decode()

    @post("/artifacts/{artifact_id:uuid}/sign", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def sign_artifact(self, app: GivenApp, meta: GivenMeta, artifact_id: FromPath[UUID]) -> SignedArtifact:
        """Sign a stored file with the active key of its repository."""
        row = app.catalogue.artifact_by_id(artifact_id)
        if row is None:
            raise ArtifactNotFound(str(artifact_id))
        key, signature = app.key_ring.sign_artifact(ToSign(row.id, row.repository, row.path, row.sha256), meta)
        return SignedArtifact(
            artifact_id=artifact_id,
            key_id=key.id,
            algorithm=key.algorithm,
            signature_sha256=hashlib.sha256(signature.encode()).hexdigest(),
            signature=signature,
        )

    @get("/artifacts/{artifact_id:uuid}/signatures", opt={"needs": "user"}, sync_to_thread=True)
    def signatures(self, app: GivenApp, principal: GivenPrincipal, artifact_id: FromPath[UUID]) -> SignatureList:
        """The signatures over a stored file as it is now."""
        row = app.catalogue.artifact_by_id(artifact_id)
        owner = None if row is None else app.catalogue.repository_by_id(row.repository)
        if row is None or owner is None or not app.access.visible(principal, [owner]):
            raise ArtifactNotFound(str(artifact_id))
        found = app.signing_keys.signatures(artifact_id, row.sha256)
        return SignatureList(
            artifact_id, row.sha256, [SignatureBody(one.key, one.signature, one.made_at) for one in found]
        )


def _key(app: App, principal: Principal, key_id: UUID) -> SigningKeyRow:
    row = app.signing_keys.key(key_id)
    if row is None or not _known(app, principal, row):
        raise SigningKeyNotFound
    return row


def _known(app: App, principal: Principal, row: SigningKeyRow) -> bool:
    """Whether the caller may know of a key: of one that belongs to a repository, who may read that."""
    if row.repository is None or principal.is_admin:
        return True
    owner = app.catalogue.repository_by_id(row.repository)
    return owner is not None and bool(app.access.visible(principal, [owner]))


def _readable(app: App, principal: Principal, repository_id: UUID) -> Resolved:
    row = app.catalogue.repository_by_id(repository_id)
    resolved = None if row is None else app.access.resolve(principal, row.key)
    if resolved is None or not app.access.allows(principal, resolved, "read"):
        raise RepositoryNotFound(str(repository_id))
    return resolved


def _config(app: App, repository_id: UUID) -> SigningConfigBody:
    chosen = app.signing_keys.signing(repository_id)
    keys = app.signing_keys.signing_keys(repository_id)
    active = next((row for row in keys if row.state == "active"), None)
    return SigningConfigBody(
        repository_id=repository_id,
        signing_key_id=None if active is None else active.id,
        sign_metadata=chosen is None or chosen.sign_metadata,
        sign_packages=chosen is not None and chosen.sign_packages,
        require_signatures=chosen is not None and chosen.require_signatures,
        key=None if active is None else _body(active),
    )


def _body(row: SigningKeyRow) -> SigningKeyBody:
    return SigningKeyBody(
        id=row.id,
        repository_id=row.repository,
        name=row.name,
        key_type=row.key_type,
        fingerprint=row.fingerprint,
        key_id=row.key_id,
        public_key_pem=row.public_key,
        algorithm=row.algorithm,
        uid_name=row.uid_name,
        uid_email=row.uid_email,
        expires_at=row.overlap_ends_at,
        is_active=row.state == "active",
        state=row.state,
        successor_id=row.successor,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
