"""Keys of repositories: made with them, used by every process, rotated and revoked, and true to every position."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pysequoia
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace

from api.composition import signing as composed
from api.composition.projector import decoder
from application.catalogue import PACKAGES_SCOPE, TREE_SCOPE
from application.formats import FORMATS
from application.key_ring import KeyRing
from application.signing_keys import SigningKeyMissing, SigningKeyUnsuitable
from infrastructure.signing.vault import SealedKeys, SigningKeySealed
from projections.catalogue.fold import CatalogueProjection
from projections.rebuild import Rebuild
from tests.integration.product import Product, product
from tests.publishes import publish

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
TEXT = b"Origin: libs\n- Suite: stable\n"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Two workers that take generic repositories for ones whose clients expect signatures."""
    signed = tuple(replace(one, signs="openpgp") if one.key == "generic" else one for one in FORMATS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(composed, "FORMATS", signed)
        with product(postgres_dsn, tmp_path_factory.mktemp("signing"), workers=2) as opened:
            yield opened


class Signed:
    """A repository and what is asked of its keys."""

    def __init__(self, running: Product, **more: Any) -> None:
        self.running = running
        self.key = f"libs-{uuid4().hex[:8]}"
        self.id = UUID(running.repository(self.key, more.pop("format", "generic"), **more)["id"])

    def done(self, method: str, below: str, body: object = None) -> Any:
        return self.running.done(method, f"/api/v1/signing{below}", body)

    @property
    def keys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.done("GET", f"/keys?repository_id={self.id}")["keys"]
        return found

    def certificates(self, at: int | None = None, worker: int = 0) -> list[pysequoia.Cert]:
        block = self.running.workers[worker].app.repository_signer.public_key(self.id, at)
        return pysequoia.Cert.split_bytes(block)

    def cleartext(self, at: int | None = None, worker: int = 0) -> bytes:
        return self.running.workers[worker].app.repository_signer.sign_cleartext(self.id, TEXT, AT, at)

    def detached(self, at: int | None = None, worker: int = 0) -> bytes:
        return self.running.workers[worker].app.repository_signer.sign_detached(self.id, TEXT, AT, at)

    def revision(self, scope: str) -> int:
        return self.running.workers[0].app.catalogue.revision(self.id, scope)

    def end_overlap(self) -> int:
        """What the worker does once the days are over."""
        return ring(self.running, datetime.now(UTC) + timedelta(days=31)).retire()


def ring(running: Product, now: datetime) -> KeyRing:
    """The commands as of another time."""
    app = running.workers[0].app
    vault = SealedKeys(running.settings.instance_key)
    return KeyRing(
        app.log,
        app.signing_keys,
        vault,
        app.blobs,
        app.progress,
        signs=lambda _: True,
        overlap=timedelta(days=30),
        now=lambda: now,
    )


def signers(message: bytes, certificates: list[pysequoia.Cert]) -> set[str]:
    """Fingerprints of those whose signature below a text is good."""
    found = set()
    for certificate in certificates:
        try:
            verified = pysequoia.verify(message, store=lambda _, known=certificate: [known])
        except RuntimeError:
            continue
        assert verified.bytes is not None
        assert verified.bytes.splitlines() == TEXT.splitlines()
        found |= {signature.certificate.upper() for signature in verified.valid_sigs}
    return found


def fingerprints(certificates: list[pysequoia.Cert]) -> list[str]:
    return [certificate.fingerprint.upper() for certificate in certificates]


@pytest.mark.parametrize("kind", ["local", "staging"])
def test_a_repository_is_made_with_a_key_of_its_own(running: Product, kind: str) -> None:
    libs = Signed(running, repo_type=kind)
    (key,) = libs.keys
    assert (key["key_type"], key["algorithm"], key["is_active"]) == ("gpg", "rsa3072", True)
    assert fingerprints(libs.certificates()) == [key["fingerprint"]]
    assert signers(libs.cleartext(), libs.certificates()) == {key["fingerprint"]}
    created = running.workers[0].app.catalogue.repository_by_id(libs.id)
    assert created is not None
    positions = [event.position for event in running.workers[0].app.log.read(created.since - 2, 10) if event.repository == libs.id]  # fmt: skip
    assert len(positions) >= 4, "the repository and its key are one command"


def test_a_detached_signature_is_over_exactly_the_bytes(running: Product) -> None:
    libs = Signed(running)
    signature = pysequoia.Sig.from_bytes(libs.detached())
    (key,) = running.workers[0].app.signing_keys.signing_keys(libs.id)
    assert key.made_at.microsecond == 0
    assert signature.created == max(AT, key.made_at)
    verified = pysequoia.verify(TEXT, store=lambda _: libs.certificates(), signature=signature)
    assert [one.certificate.upper() for one in verified.valid_sigs] == [libs.keys[0]["fingerprint"]]
    with pytest.raises(RuntimeError):
        pysequoia.verify(TEXT + b" ", store=lambda _: libs.certificates(), signature=signature)


def test_snapshots_sign_with_their_sources_key_and_other_formats_have_none(running: Product) -> None:
    libs = Signed(running)
    frozen = running.repository(f"{libs.key}-frozen", "generic", repo_type="snapshot", snapshot_of=libs.key)
    assert running.done("GET", f"/api/v1/signing/keys?repository_id={frozen['id']}")["keys"] == []
    public = running.done("GET", f"/api/v1/signing/repositories/{libs.id}/public-key", auth=running.admin)
    assert public is None  # it is text
    reply = running.call("GET", f"/api/v1/signing/repositories/{frozen['id']}/public-key", auth=running.admin)
    assert fingerprints(pysequoia.Cert.split_bytes(reply.body)) == fingerprints(libs.certificates())
    plain = Signed(running, format="pypi")
    assert plain.keys == []
    with pytest.raises(SigningKeyMissing):
        plain.cleartext()
    with pytest.raises(SigningKeyMissing):
        plain.certificates()
    reply = running.call("GET", f"/api/v1/signing/repositories/{plain.id}/public-key", auth=running.admin)
    assert reply.status == 404


def test_every_process_gives_the_same_bytes_also_after_a_restart(
    running: Product, postgres_dsn: str, tmp_path: Path
) -> None:
    libs = Signed(running)
    signed = libs.cleartext(), libs.detached()
    assert (libs.cleartext(worker=1), libs.detached(worker=1)) == signed
    vault = SealedKeys(running.settings.instance_key)  # as a process has it that begins
    rows = running.workers[0].app.signing_keys.signing_keys(libs.id)
    assert vault.cleartext([row.material() for row in rows], TEXT, AT) == signed[0]


def test_after_a_rotation_both_keys_sign_until_the_overlap_ends(running: Product) -> None:
    libs = Signed(running)
    (old,) = libs.keys
    old_certificate = libs.certificates()
    revisions = libs.revision(PACKAGES_SCOPE), libs.revision(TREE_SCOPE)
    new = libs.done("POST", f"/keys/{old['id']}/rotate")
    assert new["id"] != old["id"]
    assert fingerprints(libs.certificates()) == [new["fingerprint"], old["fingerprint"]]
    assert signers(libs.cleartext(), libs.certificates()) == {new["fingerprint"], old["fingerprint"]}
    assert signers(libs.cleartext(), old_certificate) == {old["fingerprint"]}, "clients with the old key go on"
    assert libs.revision(PACKAGES_SCOPE) == libs.revision(TREE_SCOPE) > max(revisions)
    shown = libs.done("GET", f"/keys/{old['id']}")
    assert (shown["is_active"], shown["state"], shown["successor_id"]) == (False, "overlapping", new["id"])
    assert datetime.fromisoformat(shown["expires_at"]) > datetime.now(UTC) + timedelta(days=29)
    assert libs.end_overlap() >= 1
    assert libs.end_overlap() == 0
    assert fingerprints(libs.certificates()) == [new["fingerprint"]]
    assert signers(libs.cleartext(), libs.certificates()) == {new["fingerprint"]}


def test_the_past_has_the_signatures_it_had(running: Product) -> None:
    libs = Signed(running)
    answers: dict[int, tuple[bytes, list[str]]] = {}

    def note() -> None:
        answers[running.head()] = libs.cleartext(), fingerprints(libs.certificates())

    note()
    libs.done("POST", f"/keys/{libs.keys[0]['id']}/rotate")
    note()
    libs.end_overlap()
    note()
    assert len({answer for answer, _ in answers.values()}) == 3
    for position, (message, keys) in answers.items():
        for worker in (0, 1):
            assert libs.cleartext(position, worker) == message
            assert fingerprints(libs.certificates(position, worker)) == keys


def test_a_revoked_key_never_signs_again_not_even_the_past(running: Product) -> None:
    libs = Signed(running)
    before = running.head()
    (old,) = libs.keys
    new = libs.done("POST", f"/keys/{old['id']}/rotate")
    revision = libs.revision(TREE_SCOPE)
    revoked = libs.done("POST", f"/keys/{old['id']}/revoke")
    assert (revoked["state"], revoked["is_active"]) == ("revoked", False)
    assert pysequoia.Cert.from_bytes(revoked["public_key_pem"].encode()).is_revoked
    assert libs.revision(TREE_SCOPE) == libs.revision(PACKAGES_SCOPE) > revision
    for position in (None, before):
        assert fingerprints(libs.certificates(position)) == [new["fingerprint"]]
        assert signers(libs.cleartext(position), libs.certificates(position)) == {new["fingerprint"]}
    assert libs.done("POST", f"/keys/{old['id']}/revoke")["state"] == "revoked"
    assert running.call("POST", f"/api/v1/signing/keys/{old['id']}/rotate", auth=running.admin).status == 409
    libs.done("POST", f"/keys/{new['id']}/revoke")
    with pytest.raises(SigningKeyMissing):
        libs.cleartext()
    third = libs.done("POST", "/keys", {"name": "third", "repository_id": str(libs.id), "key_type": "gpg", "algorithm": "ed25519"})  # fmt: skip
    assert signers(libs.cleartext(), libs.certificates()) == {third["fingerprint"]}


def test_a_deleted_key_is_gone_and_signs_no_more(running: Product) -> None:
    libs = Signed(running)
    (key,) = libs.keys
    assert libs.done("DELETE", f"/keys/{key['id']}") == {"id": key["id"], "deleted": True}
    assert libs.keys == []
    for method, below in (("GET", ""), ("GET", "/public"), ("POST", "/rotate"), ("POST", "/revoke"), ("DELETE", "")):
        reply = running.call(method, f"/api/v1/signing/keys/{key['id']}{below}", auth=running.admin)
        assert (method, below, reply.status) == (method, below, 404)
    with pytest.raises(SigningKeyMissing):
        libs.cleartext()


def test_an_administrator_chooses_what_signs(running: Product) -> None:
    libs, other = Signed(running), Signed(running)
    own = libs.keys[0]
    shared = libs.done("POST", "/keys", {"name": "shared", "key_type": "gpg", "algorithm": "ed25519", "uid_name": "All of us", "uid_email": "all@registry.example"})  # fmt: skip
    assert shared["repository_id"] is None
    assert [str(uid) for uid in pysequoia.Cert.from_bytes(shared["public_key_pem"].encode()).user_ids] == [
        "All of us <all@registry.example>"
    ]
    for one in (libs, other):
        chosen = one.done("POST", f"/repositories/{one.id}/config", {"signing_key_id": shared["id"]})
        assert (chosen["signing_key_id"], chosen["key"]["id"], chosen["sign_metadata"]) == (shared["id"], shared["id"], True)  # fmt: skip
        assert signers(one.cleartext(), one.certificates()) == {shared["fingerprint"]}
    new = libs.done("POST", f"/keys/{shared['id']}/rotate")
    for one in (libs, other):
        assert fingerprints(one.certificates()) == [new["fingerprint"], shared["fingerprint"]]
    theirs = other.keys
    refused = running.call("POST", f"/api/v1/signing/repositories/{libs.id}/config", {"signing_key_id": theirs[0]["id"]}, auth=running.admin)  # fmt: skip
    assert refused.status in {400, 409}
    off = libs.done("POST", f"/repositories/{libs.id}/config", {"sign_metadata": False, "sign_packages": True})
    assert (off["sign_metadata"], off["sign_packages"], off["signing_key_id"]) == (False, True, new["id"])
    with pytest.raises(SigningKeyMissing):
        libs.cleartext()
    assert libs.certificates()
    back = libs.done("POST", f"/repositories/{libs.id}/config", {"sign_metadata": True, "signing_key_id": own["id"]})
    assert back["signing_key_id"] == own["id"]
    assert signers(libs.cleartext(), libs.certificates()) >= {own["fingerprint"]}
    none = libs.done("POST", f"/repositories/{libs.id}/config", {"signing_key_id": None})
    assert none["signing_key_id"] is None
    assert none["key"] is None


def test_keys_of_other_types_are_no_openpgp_keys(running: Product) -> None:
    plain = Signed(running, format="pypi")
    for key_type, algorithm in (("rsa", "rsa2048"), ("ed25519", "ed25519")):
        key = plain.done("POST", "/keys", {"name": "raw", "key_type": key_type, "algorithm": algorithm, "repository_id": str(plain.id)})  # fmt: skip
        assert key["public_key_pem"].startswith("-----BEGIN PUBLIC KEY-----")
        public = running.call("GET", f"/api/v1/signing/repositories/{plain.id}/public-key", auth=running.admin)
        assert public.body.decode() == plain.keys[0]["public_key_pem"]
        assert public.header("content-type").startswith("text/plain")
    with pytest.raises(SigningKeyUnsuitable):
        plain.cleartext()
    with pytest.raises(SigningKeyUnsuitable):
        plain.certificates()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "key_type": "dsa"},
        {"name": "x", "key_type": "rsa", "algorithm": "ed25519"},
        {"name": "x", "key_type": "ed25519", "algorithm": "rsa4096"},
        {"name": " ", "key_type": "ed25519"},
        {"name": "x", "key_type": "gpg", "algorithm": "ed25519", "uid_name": "a <b>"},
        {"name": "x", "key_type": "gpg", "algorithm": "ed25519", "uid_name": "a", "uid_email": "nobody"},
        {"name": "x", "key_type": "gpg", "algorithm": "ed25519", "uid_name": "a\nb"},
        {"name": "x", "key_type": "gpg", "algorithm": "ed25519", "uid_name": "é" * 120},
    ],
)
def test_what_cannot_be_a_key_is_refused(running: Product, body: dict[str, str]) -> None:
    reply = running.call("POST", "/api/v1/signing/keys", body, auth=running.admin)
    assert (reply.status, json.loads(reply.body)["code"]) == (400, "VALIDATION_ERROR")


def test_a_stored_file_is_signed_by_its_repositorys_key(running: Product) -> None:
    libs = Signed(running)
    running.done("PUT", f"/general/{libs.key}/a.bin", b"some bytes")
    artifact = running.done("GET", f"/api/v1/repositories/{libs.key}/artifacts/a.bin")["id"]
    signed = libs.done("POST", f"/artifacts/{artifact}/sign")
    assert signed["signature_sha256"] == hashlib.sha256(signed["signature"].encode()).hexdigest()
    signature = pysequoia.Sig.from_bytes(signed["signature"].encode())
    verified = pysequoia.verify(b"some bytes", store=lambda _: libs.certificates(), signature=signature)
    assert len(verified.valid_sigs) == 1
    key = libs.keys[0]
    assert key["last_used_at"] is not None
    (shown,) = libs.done("GET", f"/artifacts/{artifact}/signatures")["signatures"]
    assert (shown["key_id"], shown["signature"]) == (key["id"], signed["signature"])
    running.done("PUT", f"/general/{libs.key}/a.bin", b"other bytes")
    assert libs.done("GET", f"/artifacts/{artifact}/signatures")["signatures"] == []
    plain = Signed(running, format="pypi")
    assert running.call("POST", f"/api/v1/signing/artifacts/{uuid4()}/sign", auth=running.admin).status == 404
    assert plain.keys == []


def test_files_are_signed_off_the_requests_where_that_is_chosen(running: Product) -> None:
    libs, plain = Signed(running), Signed(running)
    for one in (libs, plain):
        for name in ("a", "b"):
            running.done("PUT", f"/general/{one.key}/{name}", name.encode())
    libs.done("POST", f"/repositories/{libs.id}/config", {"sign_packages": True})
    key_ring = ring(running, datetime.now(UTC))

    def signed(one: Signed) -> dict[str, list[str]]:
        rows = running.workers[0].app.catalogue.artifacts_below(one.id, "")
        found = {row.path: running.workers[0].app.signing_keys.signatures(row.id, row.sha256) for row in rows}
        return {path: [signature.key.hex for signature in signatures] for path, signatures in found.items()}

    assert key_ring.sign_packages() == 2
    key = UUID(libs.keys[0]["id"]).hex
    assert signed(libs) == {"a": [key], "b": [key]}
    assert signed(plain) == {"a": [], "b": []}
    assert key_ring.sign_packages() == 0
    running.done("PUT", f"/general/{libs.key}/a", b"changed")
    assert key_ring.sign_packages() == 1
    new = libs.done("POST", f"/keys/{libs.keys[0]['id']}/rotate")
    assert key_ring.sign_packages() == 0, "what the former key signed is signed"
    libs.done("POST", f"/keys/{UUID(key)}/revoke")
    assert signed(libs) == {"a": [], "b": []}
    assert key_ring.sign_packages() == 2
    assert signed(libs) == {path: [UUID(new["id"]).hex] for path in ("a", "b")}
    libs.done("DELETE", f"/keys/{new['id']}")
    assert key_ring.sign_packages() == 0


def test_only_administrators_change_keys_and_only_readers_know_of_them(running: Product) -> None:
    secret = Signed(running, public=False)
    key = secret.keys[0]
    running.done("PUT", f"/general/{secret.key}/a.bin", b"bytes")
    artifact = running.done("GET", f"/api/v1/repositories/{secret.key}/artifacts/a.bin")["id"]
    reader = running.person(f"rita{uuid4().hex[:6]}", **{secret.key: "read write delete admin"})
    outsider = running.person(f"olga{uuid4().hex[:6]}")
    base = "/api/v1/signing"
    reads = [
        f"/keys/{key['id']}", f"/keys/{key['id']}/public", f"/repositories/{secret.id}/config",
        f"/repositories/{secret.id}/public-key", f"/keys?repository_id={secret.id}", f"/artifacts/{artifact}/signatures",
    ]  # fmt: skip
    for below in reads:
        statuses = [running.call("GET", f"{base}{below}", auth=who).status for who in (reader, outsider, None)]
        assert (below, statuses) == (below, [200, 404, 401])
    listed = json.loads(running.call("GET", f"{base}/keys", auth=outsider).body)["keys"]
    assert key["id"] not in [one["id"] for one in listed]
    changes = [
        ("POST", "/keys", {"name": "x", "repository_id": str(secret.id)}),
        ("POST", f"/keys/{key['id']}/rotate", None),
        ("POST", f"/keys/{key['id']}/revoke", None),
        ("DELETE", f"/keys/{key['id']}", None),
        ("POST", f"/repositories/{secret.id}/config", {"sign_metadata": False}),
        ("POST", f"/artifacts/{uuid4()}/sign", None),
    ]
    for method, below, body in changes:
        statuses = [running.call(method, f"{base}{below}", body, auth=who).status for who in (reader, outsider, None)]
        assert (method, below, statuses) == (method, below, [403, 403, 401])
    assert secret.keys == [key]


def test_no_private_key_is_stored_or_shown_in_clear(running: Product, postgres_dsn: str) -> None:
    libs = Signed(running)
    vault = SealedKeys(running.settings.instance_key)
    (row,) = running.workers[0].app.signing_keys.signing_keys(libs.id)
    private = vault._private(row.material())
    inner = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())[60:]
    clear = [inner, *(base64.b64encode(inner[shift:])[:200] for shift in range(3))]
    with psycopg.connect(postgres_dsn) as connection:
        states = [bytes(state) for (state,) in connection.execute("SELECT state FROM es_events")]
        sealed = [bytes(value) for (value,) in connection.execute("SELECT sealed FROM view_signing_key")]
    assert row.sealed in sealed
    assert any(base64.b64encode(row.sealed) in state for state in states)
    for stored in (*states, *sealed):
        assert not any(text in stored for text in clear)
        assert b"PRIVATE KEY" not in stored
    audit = running.done("GET", f"/api/v1/audit/streams/{row.id}")
    assert audit["steps"][0]["event"]["sealed"] == "[REDACTED]"
    assert [step["action"] for step in audit["steps"]] == ["SIGNING_KEY_CREATED", "SIGNING_KEY_ASSIGNED"]
    for path in (f"/keys?repository_id={libs.id}", f"/keys/{row.id}"):
        assert "sealed" not in running.call("GET", f"/api/v1/signing{path}", auth=running.admin).text


def test_another_instance_key_opens_nothing(running: Product) -> None:
    libs = Signed(running)
    (row,) = running.workers[0].app.signing_keys.signing_keys(libs.id)
    other = SealedKeys("of another instance " * 3)
    with pytest.raises(SigningKeySealed):
        other.detached([row.material()], [TEXT], AT)
    swapped = replace(row.material(), key=uuid4())
    with pytest.raises(SigningKeySealed):
        SealedKeys(running.settings.instance_key).detached([swapped], [TEXT], AT)


def test_the_read_model_is_what_its_events_say(running: Product, postgres_dsn: str) -> None:
    libs = Signed(running)
    libs.done("POST", f"/keys/{libs.keys[0]['id']}/rotate")
    running.done("DELETE", f"/api/v1/repositories/{Signed(running).key}")
    with Rebuild(postgres_dsn, CatalogueProjection(), decoder()) as shadow:
        assert shadow.verify().equal
    message = libs.cleartext()
    with Rebuild(postgres_dsn, CatalogueProjection(), decoder()) as shadow:
        shadow.swap()
    assert libs.cleartext() == message


class Index(NamedTuple):
    """Where a format's clients find a signed index, what signs it, and the keys. signature: empty when it is inside."""

    document: str
    signature: str
    keys: str


INDEXES = {
    "debian": Index("dists/stable/InRelease", "", "gpg-key.asc"),
    "rpm": Index("repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key"),
}


class Fetched(NamedTuple):
    """What a client gets at one moment."""

    document: bytes
    signature: bytes
    keys: bytes

    def signers(self, keys: bytes) -> set[str]:
        """Which of the keys have signed the document."""
        found = set()
        for certificate in pysequoia.Cert.split_bytes(keys):
            for signature in self._signatures():
                try:
                    verified = pysequoia.verify(
                        self.document, store=lambda _, known=certificate: [known], signature=signature
                    )
                except RuntimeError:
                    continue
                found |= {one.certificate.upper() for one in verified.valid_sigs}
        return found

    def _signatures(self) -> list[pysequoia.Sig | None]:
        if not self.signature:
            return [None]
        pile = pysequoia.packet.PacketPile.from_bytes(self.signature)
        return [pysequoia.Sig.from_bytes(bytes(packet)) for packet in pile]


@pytest.mark.parametrize("format", list(INDEXES))
def test_clients_are_given_indexes_signed_anew_when_keys_change(running: Product, format: str) -> None:
    libs, index = Signed(running, format=format), INDEXES[format]
    made = publish(format, libs.key, "hello", "1.0.0")
    running.done(made.method, made.target, made.body, headers=made.headers)

    def fetch(at: int | None = None, worker: int = 0) -> Fetched:
        root = f"/{format}/{libs.key}" + (f"@{at}" if at is not None else "")
        parts = []
        for below in index:
            reply = running.call("GET", f"{root}/{below}", worker=worker) if below else None
            assert reply is None or reply.status == 200, (below, reply)
            parts.append(reply.body if reply is not None else b"")
        return Fetched(*parts)

    first, before = fetch(), running.head()
    old = libs.keys[0]
    assert first.signers(first.keys) == {old["fingerprint"]}
    new = libs.done("POST", f"/keys/{old['id']}/rotate")
    both, during = fetch(), running.head()
    assert fetch(worker=1) == both
    assert both.signers(both.keys) == {old["fingerprint"], new["fingerprint"]}
    assert both.signers(first.keys) == {old["fingerprint"]}, "clients that know the old key alone go on"
    libs.end_overlap()
    last = fetch()
    assert fetch(worker=1) == last
    assert last.signers(last.keys) == {new["fingerprint"]}
    for worker in (0, 1):
        assert fetch(before, worker) == first
        assert fetch(during, worker) == both
    libs.done("POST", f"/keys/{new['id']}/revoke")
    for below in filter(None, (index.signature or index.document, index.keys)):
        assert running.call("GET", f"/{format}/{libs.key}/{below}").status == 404


def test_a_deleted_repository_signs_its_past_only(running: Product) -> None:
    libs = Signed(running)
    before, message = running.head(), libs.cleartext()
    running.done("DELETE", f"/api/v1/repositories/{libs.key}")
    assert libs.cleartext(before) == message
    with pytest.raises(SigningKeyMissing):
        libs.cleartext()
